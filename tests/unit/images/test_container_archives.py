from __future__ import annotations

import gzip
import lzma
import shutil
import subprocess
from pathlib import Path

import pytest
from container_samples import docker_archive, encoded, layer, oci_archive, tar_of
from hypothesis import given
from hypothesis import strategies as st

from kutti_sdk.core.errors import ImageBuildError
from kutti_sdk.images.builder.container_archives import (
    ContainerArchive,
    container_archives,
    full_name,
    image_names,
)

PAUSE = "registry.k8s.io/pause:3.10"
LAYERS = [layer({"bin/": b"", "bin/pause": b"\x7fELF" * 50_000})]


async def read(folder: Path) -> tuple[ContainerArchive, ...]:
    return await container_archives(folder, on_progress=lambda message: None)


def zstd(content: bytes) -> bytes:
    if shutil.which("zstd") is None:
        pytest.skip("needs zstd")
    return subprocess.run(["zstd", "-c"], input=content, capture_output=True, check=True).stdout


@pytest.mark.anyio
async def test_images_are_found_in_both_formats(tmp_path: Path) -> None:
    (tmp_path / "docker.tar").write_bytes(docker_archive(PAUSE, "busybox:1.35", layers=LAYERS))
    (tmp_path / "oci.tar").write_bytes(oci_archive("quay.io/etcd:3.6", layers=LAYERS))
    docker, oci = await read(tmp_path)
    assert docker.images == (PAUSE, "docker.io/library/busybox:1.35")
    assert oci.images == ("quay.io/etcd:3.6",)


@pytest.mark.anyio
async def test_the_name_may_be_where_other_programs_than_containerd_put_it(tmp_path: Path) -> None:
    archive = oci_archive(PAUSE, key="org.opencontainers.image.ref.name")
    (tmp_path / "a.tar").write_bytes(archive)
    (found,) = await read(tmp_path)
    assert found.images == (PAUSE,)


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("suffix", "pack"),
    [("tar", bytes), ("tar.gz", gzip.compress), ("tar.xz", lzma.compress), ("tar.zst", zstd)],
)
async def test_an_archive_may_be_packed(tmp_path: Path, suffix: str, pack: object) -> None:
    packed = pack(docker_archive(PAUSE, layers=LAYERS))  # type: ignore[operator]
    path = tmp_path / f"pause.{suffix}"
    path.write_bytes(packed)
    (found,) = await read(tmp_path)
    assert found.images == (PAUSE,)
    # Cut off, it is refused, however it was packed.
    path.write_bytes(packed[: len(packed) // 2])
    with pytest.raises(ImageBuildError, match=f"pause.{suffix}"):
        await read(tmp_path)


@pytest.mark.anyio
async def test_an_archive_whose_packing_is_damaged_is_refused_though_it_can_be_read(
    tmp_path: Path,
) -> None:
    packed = bytearray(gzip.compress(docker_archive(PAUSE, layers=LAYERS)))
    packed[-8] ^= 1  # the checksum at its end: RFC 1952, section 2.3.1
    (tmp_path / "pause.tar.gz").write_bytes(packed)
    with pytest.raises(ImageBuildError, match="crc error"):
        await read(tmp_path)


@pytest.mark.anyio
async def test_how_it_is_packed_is_seen_by_its_content(tmp_path: Path) -> None:
    (tmp_path / "misnamed.tar").write_bytes(lzma.compress(docker_archive(PAUSE)))
    (found,) = await read(tmp_path)
    assert found.unpack == ("xz", "-dc")


@pytest.mark.anyio
async def test_a_missing_program_is_told_with_its_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.tar.xz").write_bytes(lzma.compress(docker_archive(PAUSE)))
    monkeypatch.setattr("shutil.which", lambda program, path: None)
    with pytest.raises(ImageBuildError) as refused:
        await read(tmp_path)
    assert refused.value.hint == "sudo apt-get install xz-utils"


@pytest.mark.parametrize(
    ("archive", "reason"),
    [
        (b"", "not an archive"),
        (b"no tar archive" * 100, "not an archive"),
        (tar_of({"file": b"content"}), "not an archive"),
        (tar_of({"manifest.json": b"[{]"}), "not an archive"),
        (tar_of({"manifest.json": encoded([{"Config": "gone.json"}])}), "not an archive"),
        (docker_archive(), "no names"),
        (docker_archive(PAUSE, architecture="arm64"), "arm64"),
        (oci_archive(), "no images"),
        (oci_archive("3.10", key="org.opencontainers.image.ref.name"), "no full name"),
    ],
)
def test_what_containerd_would_not_take_is_refused(
    tmp_path: Path, archive: bytes, reason: str
) -> None:
    path = tmp_path / "image.tar"
    path.write_bytes(archive)
    with pytest.raises(ImageBuildError, match=reason) as refused:
        image_names(path, ("cat",))
    assert str(path) in refused.value.message


@pytest.mark.anyio
async def test_an_image_in_two_archives_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.tar").write_bytes(docker_archive("busybox:1.35"))
    (tmp_path / "b.tar").write_bytes(docker_archive("docker.io/library/busybox:1.35"))
    with pytest.raises(ImageBuildError, match=r"a\.tar and in b\.tar"):
        await read(tmp_path)


@pytest.mark.anyio
async def test_a_folder_without_archives_is_refused(tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text("images are elsewhere")
    for folder in (tmp_path, tmp_path / "missing"):
        with pytest.raises(ImageBuildError, match=str(folder)):
            await read(folder)


@given(st.binary(max_size=4096))
def test_any_bytes_are_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory, raw: bytes
) -> None:
    path = tmp_path_factory.mktemp("archive") / "image.tar"
    path.write_bytes(raw)
    with pytest.raises(ImageBuildError):
        image_names(path, ("cat",))


@pytest.mark.parametrize(
    ("written", "known_as"),
    [
        ("busybox", "docker.io/library/busybox:latest"),
        ("rancher/k3s:v1", "docker.io/rancher/k3s:v1"),
        ("localhost/app", "localhost/app:latest"),
        ("lab:5000/app", "lab:5000/app:latest"),
        (PAUSE, PAUSE),
        ("quay.io/a/b@sha256:00", "quay.io/a/b@sha256:00"),
    ],
)
def test_names_are_completed_as_containerd_does_it(written: str, known_as: str) -> None:
    assert full_name(written) == known_as


@pytest.mark.anyio
async def test_each_archive_is_told_before_it_is_read(tmp_path: Path) -> None:
    (tmp_path / "a.tar").write_bytes(docker_archive(PAUSE))
    (tmp_path / "b.tar").write_bytes(b"broken")
    told: list[str] = []
    with pytest.raises(ImageBuildError):
        await container_archives(tmp_path, on_progress=told.append)
    assert told == ["Reading a.tar", "Reading b.tar"]
