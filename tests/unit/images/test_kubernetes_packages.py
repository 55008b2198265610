from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from package_samples import NAMES, make_package, make_packages

from kutti_sdk.core.errors import ImageBuildError
from kutti_sdk.core.versions import K8sVersion
from kutti_sdk.images.builder.kubernetes_packages import (
    BinaryPackage,
    choose_packages,
    parse_control,
)
from kutti_sdk.images.builder.package_folder import packages_in_folder

V1_34 = K8sVersion("1.34")

needs_dpkg = pytest.mark.skipif(shutil.which("dpkg") is None, reason="needs dpkg")


def package(name: str, version: str, architecture: str = "amd64", sha: str = "0") -> BinaryPackage:
    return BinaryPackage(name, version, architecture, sha, f"{name}_{version}.deb")


def offer(*versions: str) -> list[BinaryPackage]:
    return [package(name, version) for version in versions for name in NAMES]


@needs_dpkg
@pytest.mark.parametrize(
    ("wanted", "chosen"), [("1.34", "1.34.10-1.1"), ("1.34.9", "1.34.9-2.1"), ("v1.33", "1.33.1-1")]
)
def test_the_newest_fitting_packages_are_chosen(wanted: str, chosen: str) -> None:
    offered = offer("1.34.9-1.1", "1.34.10-1.1", "1.34.9-2.1", "1.33.1-1")
    versions = {
        one.name: one.version
        for one in choose_packages(K8sVersion.parse(wanted), offered, place="there")
    }
    assert [versions[name] for name in ("kubeadm", "kubelet", "kubectl")] == [chosen] * 3
    assert versions["cri-tools"] == "1.34.10-1.1"


@pytest.mark.parametrize(
    ("version", "upstream"),
    [
        ("1.34.2-1.1", "1.34.2"),
        ("1.20.2-00", "1.20.2"),
        ("2:1.34.0~rc.1-1.1", "1.34.0-rc.1"),
        ("1.20.5+really1.20.2-1", None),
        ("newest", None),
    ],
)
def test_the_kubernetes_version_is_read_from_debians(version: str, upstream: str | None) -> None:
    found = package("kubeadm", version).upstream_version
    assert (found and found.text) == upstream


@needs_dpkg
@pytest.mark.parametrize("missing", NAMES)
def test_a_missing_package_is_named(missing: str) -> None:
    offered = [one for one in offer("1.34.2-1.1") if one.name != missing]
    with pytest.raises(ImageBuildError, match=f"there has no package {missing}"):
        choose_packages(V1_34, offered, place="there")


@needs_dpkg
@pytest.mark.parametrize("name", ["kubelet", "kubectl"])
def test_packages_of_mixed_versions_are_refused(name: str) -> None:
    offered = [one for one in offer("1.34.2-1.1") if one.name != name]
    offered.append(package(name, "1.35.0-1.1"))
    with pytest.raises(ImageBuildError, match=rf"kubeadm 1\.34\.2-1\.1, but {name} 1\.35\.0-1\.1"):
        choose_packages(V1_34, offered, place="there")


def test_another_version_than_the_wanted_one_is_refused() -> None:
    with pytest.raises(ImageBuildError, match=r"kubeadm 1\.33\.1-1, and 1\.34 is wanted"):
        choose_packages(V1_34, offer("1.33.1-1"), place="there")


def test_packages_of_another_architecture_are_refused() -> None:
    offered = [package(name, "1.34.2-1.1", "arm64") for name in NAMES]
    with pytest.raises(ImageBuildError, match="kubeadm for arm64 only"):
        choose_packages(V1_34, offered, place="there")


@needs_dpkg
def test_two_different_packages_of_one_version_are_refused() -> None:
    offered = [*offer("1.34.2-1.1"), package("kubelet", "1.34.2-1.1", sha="1")]
    with pytest.raises(ImageBuildError, match="they differ"):
        choose_packages(V1_34, offered, place="there")


@given(st.text(max_size=200))
def test_any_text_is_a_package_or_refused(text: str) -> None:
    with pytest.raises(ImageBuildError):
        parse_control(text)


@pytest.mark.anyio
async def test_a_folder_of_packages_is_read(tmp_path: Path) -> None:
    paths = make_packages(tmp_path)
    found = await packages_in_folder(tmp_path, V1_34)
    assert found.version == "1.34.2"
    assert set(found.names) == {f"{name}=1.34.2-1.1" for name in NAMES}
    checksum = hashlib.sha256(paths["kubelet"].read_bytes()).hexdigest()
    assert found.checksums["kubelet_1.34.2-1.1_amd64.deb"] == checksum
    assert found.kubeadm is not None
    assert found.files[found.kubeadm] == paths["kubeadm"]


@pytest.mark.anyio
async def test_apt_gets_an_index_of_every_package_in_the_folder(tmp_path: Path) -> None:
    make_packages(tmp_path)
    extra = make_package(tmp_path, "conntrack", "1.4-2")
    found = await packages_in_folder(tmp_path, V1_34)
    index = found.files["Packages"]
    assert isinstance(index, bytes)
    stanzas = index.decode().split("\n\n")
    assert len(stanzas) == len(NAMES) + 1
    (stanza,) = (text for text in stanzas if "Package: conntrack\n" in text)
    parsed = parse_control(stanza)
    assert found.files[parsed.origin.removeprefix("./")] == extra
    assert parsed.sha256 == hashlib.sha256(extra.read_bytes()).hexdigest()
    assert f"\nSize: {extra.stat().st_size}\n" in stanza


def cut_off(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-200])


def filled_with_something_else(path: Path) -> None:
    path.write_bytes(b"<html>404 not found</html>")


def a_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


@pytest.mark.anyio
@pytest.mark.parametrize("damage", [cut_off, filled_with_something_else, a_folder])
async def test_a_package_that_cannot_be_read_is_named(
    tmp_path: Path, damage: Callable[[Path], None]
) -> None:
    path = make_packages(tmp_path)["kubectl"]
    damage(path)
    with pytest.raises(ImageBuildError, match=path.name):
        await packages_in_folder(tmp_path, V1_34)


@pytest.mark.anyio
async def test_a_folder_without_packages_is_refused(tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "missing"):
        with pytest.raises(ImageBuildError, match=str(folder)):
            await packages_in_folder(folder, V1_34)
