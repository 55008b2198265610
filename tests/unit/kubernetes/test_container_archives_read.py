"""Archives of container images: told by their digests, refused when they are none."""

from __future__ import annotations

import io
import json
import lzma
import tarfile
from pathlib import Path
from typing import Any

import pytest

from kutti_sdk.core.errors import ImageFormatError
from kutti_sdk.kubernetes.container_images import importable, read_archive, whole_name

pytestmark = pytest.mark.anyio

CONFIG = "a" * 64
DOCKER = [{"Config": f"{CONFIG}.json", "RepoTags": ["app:1"], "Layers": []}]
OCI = {
    "manifests": [
        {
            "digest": "sha256:" + "b" * 64,
            "annotations": {"io.containerd.image.name": "kutti.local/app:1"},
        }
    ]
}


def archive(path: Path, **files: Any) -> Path:
    with tarfile.open(path, "w") as tar:
        for name, content in files.items():
            raw = content if isinstance(content, bytes) else json.dumps(content).encode()
            member = tarfile.TarInfo(f"{name}.json")
            member.size = len(raw)
            tar.addfile(member, io.BytesIO(raw))
    return path


async def test_an_archive_of_docker_is_known_by_its_configuration(tmp_path: Path) -> None:
    (image,) = await read_archive(archive(tmp_path / "a.tar", manifest=DOCKER))
    assert image.name == "docker.io/library/app:1"
    assert image.digests == {f"sha256:{CONFIG}"}


async def test_an_oci_archive_is_known_by_its_descriptor(tmp_path: Path) -> None:
    (image,) = await read_archive(archive(tmp_path / "a.tar", index=OCI))
    assert image.name == "kutti.local/app:1"
    assert image.digests == {"sha256:" + "b" * 64}


async def test_a_newer_docker_writes_both(tmp_path: Path) -> None:
    both = archive(tmp_path / "a.tar", manifest=DOCKER, index=OCI)
    assert len(await read_archive(both)) == 2


async def test_xz_is_read_and_unpacked_for_containerd(tmp_path: Path) -> None:
    plain = archive(tmp_path / "a.tar", manifest=DOCKER)
    packed = tmp_path / "b.tar.xz"
    packed.write_bytes(lzma.compress(plain.read_bytes()))
    assert await read_archive(packed) == await read_archive(plain)
    async with importable(packed) as unpacked:
        assert unpacked.read_bytes() == plain.read_bytes()
    assert not unpacked.exists()
    async with importable(plain) as same:
        assert same == plain


@pytest.mark.parametrize(
    "files",
    [
        {},
        {"other": {}},
        {"manifest": b"{"},
        {"manifest": {"Config": "x"}},
        {"manifest": [{"RepoTags": ["a"]}]},
        {"manifest": [{"Config": "x", "RepoTags": None}]},
        {"index": {"manifests": [{"digest": "sha256:0", "annotations": None}]}},
        {"index": []},
    ],
)
async def test_what_is_no_archive_of_images_is_refused(
    tmp_path: Path, files: dict[str, Any]
) -> None:
    with pytest.raises(ImageFormatError):
        await read_archive(archive(tmp_path / "a.tar", **files))


@pytest.mark.parametrize("content", [b"", b"text", b"\xfd7zXZ\x00 cut off", b"\x1f\x8b cut off"])
async def test_what_is_no_archive_at_all_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.tar"
    path.write_bytes(content)
    with pytest.raises(ImageFormatError):
        await read_archive(path)


async def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(ImageFormatError, match="No such file"):
        await read_archive(tmp_path / "none.tar")


@pytest.mark.parametrize(
    ("name", "whole"),
    [
        ("app", "docker.io/library/app:latest"),
        ("me/app:1", "docker.io/me/app:1"),
        ("localhost/app", "localhost/app:latest"),
        ("kutti.local/app:1", "kutti.local/app:1"),
        ("host:5000/app", "host:5000/app:latest"),
    ],
)
async def test_names_are_spelled_out_as_containerd_keeps_them(name: str, whole: str) -> None:
    assert whole_name(name) == whole
