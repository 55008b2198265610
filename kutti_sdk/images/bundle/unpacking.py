"""Taking the image out of a bundle, into the store."""

from __future__ import annotations

import errno
import hashlib
import shutil
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import IO

import anyio
import anyio.to_thread

from kutti_sdk.core.errors import ImageFormatError, NotEnoughDiskError
from kutti_sdk.core.events import report
from kutti_sdk.core.sizes import MiB, format_size
from kutti_sdk.images.bundle.contents import Contents, Member, judge
from kutti_sdk.images.checksums import mismatch
from kutti_sdk.images.incoming import images_folder, incoming
from kutti_sdk.images.manifest import MANIFEST_NAME
from kutti_sdk.images.store import LocalImage, find_local, keep, renew

_BLOCK = 4 * MiB


async def import_bundle(
    source: Path, k8s_version: str, *, checksum: str | None = None
) -> LocalImage:
    """Take the image out of a bundle from elsewhere.

    Args:
        source: The bundle; it stays as it is.
        k8s_version: The Kubernetes version that the image must have.
        checksum: The checksum that the image must be known by; None to take it as it is.

    Returns:
        The image.

    Raises:
        ImageFormatError: When it is damaged, no bundle, or of another version.
        ChecksumMismatchError: When it is another image, or a file in it is not what its
            manifest says.
        NotEnoughDiskError: When it does not fit.
    """
    async with _opened(source) as file:
        contents = await _judged(file, source, k8s_version, checksum)
        async with incoming() as place:
            return await _take_out(file, contents, place / "image")


async def keep_bundle(bundle: Path, k8s_version: str, *, checksum: str) -> LocalImage:
    """Take the image out of a bundle in an incoming folder, and keep it.

    Args:
        bundle: The bundle, in a folder of `incoming`, which removes it in the end.
        k8s_version: The Kubernetes version that the image must have.
        checksum: The checksum that the image must be known by.

    Returns:
        The image.

    Raises:
        KuttiError: As `import_bundle` does.
    """
    async with _opened(bundle) as file:
        contents = await _judged(file, bundle, k8s_version, checksum)
        return await _take_out(file, contents, bundle.with_name("image"))


@asynccontextmanager
async def _opened(path: Path) -> AsyncIterator[IO[bytes]]:
    if not await anyio.Path(path).is_file():
        raise ImageFormatError(f"there is no file {path}")
    with await anyio.to_thread.run_sync(lambda: path.open("rb", buffering=0)) as file:
        yield file


async def _judged(
    file: IO[bytes], source: Path, k8s_version: str, checksum: str | None
) -> Contents:
    contents = await anyio.to_thread.run_sync(judge, file)
    if contents.manifest.k8s_version != k8s_version:
        raise ImageFormatError(
            f"the image in {source.name} has version {contents.manifest.k8s_version}, "
            f"not {k8s_version}"
        )
    if checksum not in (None, contents.checksum):
        raise mismatch(source, checksum, contents.checksum)
    return contents


async def _take_out(file: IO[bytes], contents: Contents, folder: Path) -> LocalImage:
    present = await find_local(contents.checksum)
    if present is not None:
        await renew(present)
        return present
    await anyio.to_thread.run_sync(_check_space, contents)
    await anyio.Path(folder).mkdir(mode=0o755)
    try:
        await anyio.Path(folder / MANIFEST_NAME).write_bytes(contents.raw_manifest)
        done = 0
        for member in contents.members:
            await _copy_member(file, member, folder, contents, done)
            done += member.file.size
        return await keep(folder)
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        raise _no_space(contents, "the disk is full") from error


async def _copy_member(
    source: IO[bytes], member: Member, folder: Path, contents: Contents, before: int
) -> None:
    path, size = folder / member.file.name, member.file.size
    digest = hashlib.sha256()
    done = 0
    with await anyio.to_thread.run_sync(lambda: path.open("x+b", buffering=0)) as copy:
        while done < size:
            length = min(_BLOCK, size - done)
            block = await anyio.to_thread.run_sync(
                _copy_block, source, member.offset + done, copy, done, length
            )
            await anyio.to_thread.run_sync(digest.update, block)
            done += length
            report(
                "import",
                f"unpacking {member.file.name}",
                image=contents.manifest.k8s_version,
                fraction=(before + done) / contents.size,
                bytes_done=before + done,
                bytes_total=contents.size,
            )
    if digest.hexdigest() != member.file.sha256:
        raise mismatch(path, member.file.sha256, digest.hexdigest())


def _copy_block(
    source: IO[bytes], offset: int, copy: IO[bytes], position: int, length: int
) -> bytes:
    """Copy a block, and give the bytes that are in the copy."""
    shared = _share(source, offset, copy, position, length)
    source.seek(offset + shared)
    copy.seek(position + shared)
    rest = memoryview(_read(source, length - shared))
    written = bytes(rest)
    while rest:
        rest = rest[copy.write(rest) :]
    if not shared:
        return written
    copy.seek(position)
    return _read(copy, shared) + written


def _share(source: IO[bytes], offset: int, copy: IO[bytes], position: int, length: int) -> int:
    """Let the kernel copy, which shares the blocks where the file system can do that."""
    if sys.platform != "linux":
        return 0
    import os

    try:
        return os.copy_file_range(source.fileno(), copy.fileno(), length, offset, position)
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise
        return 0  # between these two files it cannot


def _read(file: IO[bytes], length: int) -> bytes:
    raw = bytearray()
    while len(raw) < length:
        block = file.read(length - len(raw))
        if not block:
            raise ImageFormatError(
                "the bundle became shorter while it was read", hint="Export or get it again."
            )
        raw += block
    return bytes(raw)


def _check_space(contents: Contents) -> None:
    free = shutil.disk_usage(images_folder()).free
    if contents.size > free:
        raise _no_space(contents, f"{format_size(free)} are free")


def _no_space(contents: Contents, found: str) -> NotEnoughDiskError:
    return NotEnoughDiskError(
        f"the image has {format_size(contents.size)}, and where images are kept {found}",
        hint="Make room, `image prune` may help, or move the cache folder with KUTTI_WORKSPACE.",
        image=contents.manifest.k8s_version,
    )
