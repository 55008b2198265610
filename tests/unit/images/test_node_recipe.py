from __future__ import annotations

import os
import platform
from pathlib import Path

import pytest

from kutti_sdk.core.errors import (
    ImageBuildError,
    InvalidSizeError,
    InvalidSpecError,
    InvalidVersionError,
    KuttiError,
)
from kutti_sdk.core.sizes import GiB
from kutti_sdk.images.builder import NodeImageRecipe, build_node_image
from kutti_sdk.images.builder.programs import missing_packages, require_programs


@pytest.mark.parametrize(
    ("wrong", "error"),
    [
        ({"suite": "--option"}, InvalidSpecError),
        ({"suite": "../x"}, InvalidSpecError),
        ({"suite": ""}, InvalidSpecError),
        ({"suite": "bookworm\n"}, InvalidSpecError),
        ({"mirror": "deb http://x y"}, InvalidSpecError),
        ({"mirror": "/srv/mirror"}, InvalidSpecError),
        ({"packages": ("--purge",)}, InvalidSpecError),
        ({"packages": ("htop,vim",)}, InvalidSpecError),
        ({"packages": ("/tmp/x.deb",)}, InvalidSpecError),
        ({"packages": ("?true",)}, InvalidSpecError),
        ({"disk_size": GiB}, InvalidSizeError),
        ({"disk_size": 4 * GiB + 1}, InvalidSizeError),
        ({"k8s_version": "newest"}, InvalidVersionError),
        ({"kubernetes_packages": Path("debs")}, InvalidSpecError),
        ({"kubernetes_repository": "https://pkgs.example"}, InvalidSpecError),
        ({"k8s_version": "1.34", "kubernetes_repository": "/srv/mirror"}, InvalidSpecError),
        ({"k8s_version": "1.34", "kubernetes_repository": "https://x y"}, InvalidSpecError),
        ({"k8s_version": "1.34", "kubernetes_repository": "http://no.key"}, InvalidSpecError),
        (
            {
                "k8s_version": "1.34",
                "kubernetes_packages": Path("debs"),
                "kubernetes_key": Path("key"),
            },
            InvalidSpecError,
        ),
    ],
)
def test_what_no_package_manager_should_see_is_refused(
    wrong: dict[str, object], error: type[KuttiError]
) -> None:
    with pytest.raises(error) as refused:
        NodeImageRecipe(**wrong)  # type: ignore[arg-type]
    assert refused.value.hint


def test_each_package_is_installed_once() -> None:
    packages = NodeImageRecipe(packages=("htop", "containerd", "vim-tiny=2:9.0")).all_packages
    assert len(packages) == len(set(packages))
    assert packages[-2:] == ("htop", "vim-tiny=2:9.0")
    assert {"containerd", "openssh-server", "linux-image-cloud-amd64"} <= set(packages)


def test_kubectl_comes_from_debian_where_debian_has_it() -> None:
    assert "kubernetes-client" in NodeImageRecipe().all_packages
    assert "kubernetes-client" not in NodeImageRecipe(suite="trixie").all_packages


def test_debians_kubectl_stays_away_from_kubernetes_own() -> None:
    assert "kubernetes-client" not in NodeImageRecipe(k8s_version="1.34").all_packages


def test_a_copy_of_the_repository_may_be_on_plain_http_when_its_key_is_at_hand() -> None:
    NodeImageRecipe(
        k8s_version="1.34", kubernetes_repository="http://lab.example", kubernetes_key=Path("key")
    )


def test_missing_programs_are_told_with_the_line_that_installs_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(platform, "machine", lambda: "x86_64")
    monkeypatch.setattr("shutil.which", lambda program, path: None)
    assert {"mmdebstrap", "qemu-utils", "e2fsprogs"} <= set(missing_packages())
    with pytest.raises(ImageBuildError) as refused:
        require_programs()
    assert "apt-get install" in (refused.value.hint or "")
    assert "mmdebstrap" in (refused.value.hint or "")


def test_only_an_ordinary_user_needs_uidmap(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.which", lambda program, path: None)
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert "uidmap" not in missing_packages()
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert "uidmap" in missing_packages()


def test_another_architecture_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "machine", lambda: "aarch64")
    with pytest.raises(ImageBuildError, match="x86_64"):
        require_programs()


@pytest.mark.anyio
async def test_an_existing_destination_is_never_touched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kutti_sdk.images.builder.build.require_programs", lambda: None)
    (tmp_path / "image").mkdir()
    (tmp_path / "image" / "precious").write_text("mine")
    with pytest.raises(ImageBuildError, match="exists"):
        await build_node_image(NodeImageRecipe(), tmp_path / "image", log=tmp_path / "log")
    assert (tmp_path / "image" / "precious").read_text() == "mine"
    assert not (tmp_path / "log").exists()
