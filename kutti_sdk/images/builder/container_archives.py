"""Archives of container images: what is in them, found out before a build starts.

Two formats are common, both tar archives: docker's, whose `manifest.json` names
the images (https://docs.docker.com/reference/cli/docker/image/save/), and the OCI
image layout with an `index.json`
(https://github.com/opencontainers/image-spec/blob/main/image-layout.md). Newer
archives are both. containerd takes the OCI half where there is one, and so do we.
"""

from __future__ import annotations

import shutil
import subprocess
import tarfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Annotated

import anyio.to_thread
import msgspec

from kutti_sdk.core.errors import ImageBuildError
from kutti_sdk.images.builder.programs import search_path
from kutti_sdk.images.checksums import checksum_of

_SUFFIXES = (".tar", ".tar.gz", ".tgz", ".tar.xz", ".tar.zst")
_PACKED = {b"\x1f\x8b": "gzip", b"\xfd7zXZ\x00": "xz", b"\x28\xb5\x2f\xfd": "zstd"}
_PROGRAM_PACKAGES = {"xz": "xz-utils"}
_LARGEST_JSON = 4 * 1024 * 1024  # bytes; every layer that matters is larger, or no JSON
_ARCHITECTURE = "amd64"  # as Go and with it the container world calls it
_NAMED_BY_CONTAINERD = "io.containerd.image.name"
_NAMED_BY_OCI = "org.opencontainers.image.ref.name"


@dataclass(frozen=True, slots=True)
class ContainerArchive:
    """An archive of container images.

    Attributes:
        path: The file.
        sha256: Its checksum.
        unpack: The program that unpacks it from standard input to standard output.
        images: The full names of the images in it.
    """

    path: Path
    sha256: str
    unpack: tuple[str, ...]
    images: tuple[str, ...]


class _DockerImage(msgspec.Struct):
    config: Annotated[str, msgspec.Meta(min_length=1)] = msgspec.field(name="Config")
    names: list[str] | None = msgspec.field(name="RepoTags", default=None)


class _Platform(msgspec.Struct):
    architecture: str | None = None


class _Descriptor(msgspec.Struct):
    annotations: dict[str, str] = {}


class _Index(msgspec.Struct):
    manifests: list[_Descriptor] = []


async def container_archives(
    folder: Path, *, on_progress: Callable[[str], None]
) -> tuple[ContainerArchive, ...]:
    """Read every archive of a folder to its end.

    Args:
        folder: The folder; files with other names than archives have are left alone.
        on_progress: Called with a message before each archive.

    Returns:
        The archives, sorted by name.

    Raises:
        ImageBuildError: When there are none, or one cannot be read, is for another
            architecture, holds no named image, or one that another holds too.
    """
    archives = []
    for path in await anyio.to_thread.run_sync(_archive_files, folder):
        on_progress(f"Reading {path.name}")
        unpack = await anyio.to_thread.run_sync(_unpacking, path)
        # A thread that is left behind only reads, and ends with the archive.
        images = await anyio.to_thread.run_sync(image_names, path, unpack, abandon_on_cancel=True)
        archives.append(ContainerArchive(path, await checksum_of(path), unpack, images))
    _refuse_doubles(archives)
    return tuple(archives)


def image_names(path: Path, unpack: tuple[str, ...]) -> tuple[str, ...]:
    """Read an archive to its end. Takes seconds: call it in a thread.

    Args:
        path: The archive.
        unpack: The program that unpacks it.

    Returns:
        The full names of its images.

    Raises:
        ImageBuildError: When it cannot be read, is for another architecture, or
            holds no named image.
    """
    try:
        with _unpacked(path, unpack) as stream:
            files = _small_json_files(stream)
        names = _oci_names(files) if "oci-layout" in files else _docker_names(files)
    except (tarfile.TarError, EOFError, OSError, msgspec.DecodeError, KeyError) as error:
        raise ImageBuildError(
            f"{path} is not an archive of container images: {error}",
            hint="Make it by `docker save`, `ctr images export` or `skopeo copy`.",
        ) from error
    except ValueError as error:
        raise ImageBuildError(f"{path}: {error}") from error
    return tuple(full_name(name) for name in names)


def full_name(name: str) -> str:
    """Write an image's name as containerd knows it.

    Args:
        name: As people write it: ``busybox``, ``registry.k8s.io/pause:3.10``.

    Returns:
        Registry, path and tag: ``docker.io/library/busybox:latest``.
        https://github.com/distribution/reference tells the rules.
    """
    first, slash, _ = name.partition("/")
    if not slash:
        name = f"docker.io/library/{name}"
    elif "." not in first and ":" not in first and first != "localhost":
        name = f"docker.io/{name}"
    tagged = "@" in name or ":" in name.rpartition("/")[2]
    return name if tagged else f"{name}:latest"


def _archive_files(folder: Path) -> list[Path]:
    try:
        paths = sorted(path for path in folder.iterdir() if path.name.endswith(_SUFFIXES))
    except OSError as error:
        raise ImageBuildError(
            f"the folder of container images {folder} cannot be read: {error.strerror}"
        ) from error
    if not paths:
        raise ImageBuildError(
            f"{folder} has no archives of container images",
            hint=f"Their names end in {', '.join(_SUFFIXES)}.",
        )
    return paths


def _unpacking(path: Path) -> tuple[str, ...]:
    try:
        with path.open("rb") as file:
            start = file.read(8)
    except OSError as error:
        raise ImageBuildError(f"{path} cannot be read: {error.strerror}") from error
    for magic, program in _PACKED.items():
        if start.startswith(magic):
            if shutil.which(program, path=search_path()) is None:
                raise ImageBuildError(
                    f"{path} is packed by {program}, which is not installed",
                    hint=f"sudo apt-get install {_PROGRAM_PACKAGES.get(program, program)}",
                )
            return (program, "-dc")
    return ("cat",)


@contextmanager
def _unpacked(path: Path, unpack: tuple[str, ...]) -> Iterator[IO[bytes]]:
    with (
        path.open("rb") as file,
        subprocess.Popen(
            unpack, stdin=file, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        ) as process,
    ):
        assert process.stdout is not None
        assert process.stderr is not None
        try:
            yield process.stdout
            while process.stdout.read(1 << 20):
                pass  # what follows the archive's end mark is of no interest, but it must be sound
            complaint = process.stderr.read().decode(errors="replace").strip()
        except BaseException:
            process.kill()
            raise
    if process.returncode != 0:
        raise EOFError(complaint or f"{unpack[0]} ended with status {process.returncode}")


def _small_json_files(stream: IO[bytes]) -> dict[str, bytes]:
    found = {}
    with tarfile.open(fileobj=stream, mode="r|") as archive:
        for member in archive:
            if not member.isreg() or member.size > _LARGEST_JSON:
                continue
            content = archive.extractfile(member)
            assert content is not None
            if (text := content.read()).startswith((b"{", b"[")):
                found[member.name.removeprefix("./")] = text
    return found


def _docker_names(files: dict[str, bytes]) -> list[str]:
    names: list[str] = []
    for image in msgspec.json.decode(files["manifest.json"], type=list[_DockerImage]):
        _check_architecture(files[image.config])
        names += image.names or []
    if not names:
        raise ValueError("the images in it have no names")
    return names


def _oci_names(files: dict[str, bytes]) -> list[str]:
    names = []
    for entry in msgspec.json.decode(files["index.json"], type=_Index).manifests:
        name = entry.annotations.get(_NAMED_BY_CONTAINERD, entry.annotations.get(_NAMED_BY_OCI, ""))
        if "/" not in name and ":" not in name:  # a tag alone is no name
            raise ValueError("an image in it has no full name")
        names.append(name)
    if not names:
        raise ValueError("there are no images in it")
    if "manifest.json" in files:
        _docker_names(files)
    return names


def _check_architecture(config: bytes) -> None:
    found = msgspec.json.decode(config, type=_Platform).architecture
    if found not in (None, _ARCHITECTURE):
        raise ValueError(f"its images are for {found}, and nodes are {_ARCHITECTURE}")


def _refuse_doubles(archives: Iterable[ContainerArchive]) -> None:
    seen: dict[str, Path] = {}
    for archive in archives:
        for name in archive.images:
            if name in seen:
                raise ImageBuildError(
                    f"{name} is in {seen[name].name} and in {archive.path.name}",
                    hint="Remove one of the archives.",
                )
            seen[name] = archive.path
