"""The local store: one folder for each image, named by its checksum.

```
cache_dir()/images/CHECKSUM/          a complete image, never changed
cache_dir()/images/.incoming-XXXX/    one that is being made, downloaded or copied
cache_dir()/images.lock               held while one is put in place or removed
```

There is no index beside the folders that could disagree with them. An image is
made in an incoming folder and renamed when it is complete and on the disk. An
incoming folder whose lock nobody holds was left by somebody who died.
"""

from __future__ import annotations

import logging
import os
import secrets
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import anyio
import anyio.to_thread

from kutti_sdk.core.errors import (
    ImageFormatError,
    KuttiError,
    LockTimeoutError,
)
from kutti_sdk.core.events import report
from kutti_sdk.images.builder import NodeImageRecipe, build_node_image
from kutti_sdk.images.checksums import mismatch, verify
from kutti_sdk.images.manifest import (
    MANIFEST_NAME,
    ImageManifest,
    decode_manifest,
    image_checksum,
)
from kutti_sdk.images.qcow2 import read_header
from kutti_sdk.runtime.directories import cache_dir
from kutti_sdk.runtime.locks import locked
from kutti_sdk.runtime.state import sync_folder

_INCOMING = ".incoming-"
_LOCK = ".lock"
_BUILD_LOG = "image-build.log"

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class LocalImage:
    """A complete image on this machine.

    Attributes:
        checksum: The checksum that it is known by.
        manifest: What it is.
        folder: Where it is.
        disk_size: Bytes of its disk as a guest sees it.
    """

    checksum: str
    manifest: ImageManifest
    folder: Path
    disk_size: int

    @property
    def disk(self) -> Path:
        """The disk that hosts' disks are laid over."""
        return self.folder / self.manifest.disk.name

    @property
    def kernel(self) -> Path | None:
        """Its kernel; None when that is inside of the disk."""
        boot = self.manifest.boot
        return None if boot is None else self.folder / boot.kernel.name


async def local_images() -> list[LocalImage]:
    """List the images on this machine.

    Returns:
        The images, the one that was kept last first; a damaged one is logged and left out.
    """
    return await anyio.to_thread.run_sync(_local_images)


async def find_local(checksum: str) -> LocalImage | None:
    """Find an image on this machine.

    Args:
        checksum: Its checksum.

    Returns:
        The image, or None when it is not here or damaged.
    """
    return next((image for image in await local_images() if image.checksum == checksum), None)


async def build_into_store(recipe: NodeImageRecipe) -> LocalImage:
    """Build a node image and keep it.

    Args:
        recipe: What goes into it.

    Returns:
        The image.

    Raises:
        ImageBuildError: When it could not be built.
    """
    async with incoming() as place:
        await build_node_image(recipe, place / "image", log=cache_dir() / _BUILD_LOG)
        return await keep(place / "image")


async def keep(folder: Path) -> LocalImage:
    """Take a complete folder out of an incoming one into the store.

    Args:
        folder: The image folder; it is moved.

    Returns:
        The image.
    """
    await anyio.to_thread.run_sync(_bring_to_disk, folder)
    async with locked(_lock()):  # of two that keep the same image, one finds the other's
        return await anyio.to_thread.run_sync(_put_in_place, folder)


async def import_folder(
    source: Path, k8s_version: str, *, checksum: str | None = None
) -> LocalImage:
    """Copy an image folder from elsewhere into the store, and verify every byte.

    Args:
        source: The image folder.
        k8s_version: The Kubernetes version that it must have.
        checksum: The checksum that it must have; None to take it as it is.

    Returns:
        The image.

    Raises:
        ImageFormatError: When it is not complete or of another version.
        ChecksumMismatchError: When it has another checksum, or a file is not what
            its manifest says.
    """
    raw = await _read_manifest(source)
    manifest, found = decode_manifest(raw), image_checksum(raw)
    if manifest.k8s_version != k8s_version:
        raise ImageFormatError(
            f"the image in {source} has version {manifest.k8s_version}, not {k8s_version}"
        )
    if checksum not in (None, found):
        raise mismatch(source, checksum, found)
    async with incoming() as place:
        copy = place / "image"
        await anyio.Path(copy).mkdir(mode=0o755)
        names = [MANIFEST_NAME, *(file.name for file in manifest.files)]
        for number, name in enumerate(names):
            report("import", f"copying {name}", fraction=number / len(names))
            await anyio.to_thread.run_sync(_copy, source / name, copy / name)
        for file in manifest.files:
            report("import", f"verifying {file.name}")
            await verify(copy / file.name, file.sha256)
        return await keep(copy)


async def remove_local(image: LocalImage) -> None:
    """Remove an image from the store; the caller made sure that nobody uses it.

    Args:
        image: The image.
    """
    async with locked(_lock()):
        await anyio.to_thread.run_sync(_discard, image.folder)


@asynccontextmanager
async def incoming() -> AsyncIterator[Path]:
    """Have a folder in which an image is made; what is left in it is removed.

    Yields:
        The folder, on the same disk as the store.
    """
    root = _root()
    place = root / f"{_INCOMING}{secrets.token_hex(4)}"
    lock = place.with_name(place.name + _LOCK)
    async with locked(lock):
        await _sweep(root, except_for=lock)
        try:
            await anyio.Path(place).mkdir(mode=0o700)
            yield place
        finally:
            with anyio.CancelScope(shield=True):
                await anyio.to_thread.run_sync(_remove_incoming, place, lock)


async def _read_manifest(folder: Path) -> bytes:
    try:
        return await anyio.Path(folder / MANIFEST_NAME).read_bytes()
    except OSError as error:
        raise ImageFormatError(
            f"{folder} is not an image folder: {error.strerror}: {MANIFEST_NAME}",
            hint=f"An image folder has a file {MANIFEST_NAME}.",
        ) from error


async def _sweep(root: Path, *, except_for: Path) -> None:
    for place in await anyio.to_thread.run_sync(_incoming_places, root):
        lock = place.with_name(place.name + _LOCK)
        if lock == except_for:
            continue
        try:
            async with locked(lock, timeout=0):
                await anyio.to_thread.run_sync(_remove_incoming, place, lock)
        except LockTimeoutError:
            pass  # somebody is at work there


def _incoming_places(root: Path) -> set[Path]:
    # Of some there is the folder alone, of others only the lock.
    return {root / f".{path.name.split('.')[1]}" for path in root.glob(f"{_INCOMING}*")}


def _lock() -> Path:
    return _root().with_name("images.lock")


def _root() -> Path:
    root = cache_dir() / "images"
    root.mkdir(mode=0o755, exist_ok=True)
    return root


def _remove_incoming(place: Path, lock: Path) -> None:
    shutil.rmtree(place, ignore_errors=True)
    for path in lock.parent.glob(f"{lock.name}*"):
        path.unlink(missing_ok=True)


def _discard(folder: Path) -> None:
    """Remove an image in such a way that it is never seen half removed."""
    gone = folder.with_name(f"{_INCOMING}{secrets.token_hex(4)}")
    folder.rename(gone)
    shutil.rmtree(gone, ignore_errors=True)  # what is left, if anything, is swept


def _local_images() -> list[LocalImage]:
    images = []
    for folder in _root().iterdir():
        if folder.name.startswith("."):
            continue
        try:
            images.append(_read_stored(folder))
        except (KuttiError, OSError) as error:
            _log.warning("the image in %s cannot be used: %s", folder, error)
    return sorted(images, key=_kept, reverse=True)


def _kept(image: LocalImage) -> int:
    """When it was kept last; the age of what is inside says nothing about that."""
    return (image.folder / MANIFEST_NAME).stat().st_mtime_ns


def _read(folder: Path) -> LocalImage:
    raw = (folder / MANIFEST_NAME).read_bytes()
    manifest = decode_manifest(raw)
    for file in manifest.files:
        size = (folder / file.name).stat().st_size
        if size != file.size:
            raise ImageFormatError(f"{file.name} has {size} bytes, and should have {file.size}")
    header = read_header(folder / manifest.disk.name)
    return LocalImage(image_checksum(raw), manifest, folder, header.virtual_size)


def _read_stored(folder: Path) -> LocalImage:
    image = _read(folder)
    if image.checksum != folder.name:
        raise ImageFormatError(f"{MANIFEST_NAME} is not the one that was stored here")
    return image


def _bring_to_disk(folder: Path) -> None:
    for path in folder.iterdir():
        with path.open("rb") as file:
            os.fsync(file.fileno())
    sync_folder(folder)


def _put_in_place(folder: Path) -> LocalImage:
    image = _read(folder)
    place = _root() / image.checksum
    try:
        _read_stored(place)  # the same image is here already
    except (KuttiError, OSError):
        if place.exists():
            _discard(place)
        folder.rename(place)
        sync_folder(place.parent)
    os.utime(place / MANIFEST_NAME)
    return _read_stored(place)


def _copy(source: Path, destination: Path) -> None:
    if source.is_symlink() or not source.is_file():
        raise ImageFormatError(f"{source} is missing, or not a plain file")
    shutil.copyfile(source, destination)
