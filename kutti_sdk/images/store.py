"""The local store: one folder for each image, named by its checksum.

```
cache_dir()/images/CHECKSUM/          a complete image, never changed
cache_dir()/images/.incoming-XXXX/    one that is being made, downloaded or copied
cache_dir()/images.lock               held while one is put in place or removed
```

There is no index beside the folders that could disagree with them. An image is
made in an incoming folder and renamed when it is complete and on the disk.
"""

from __future__ import annotations

import logging
import os
from dataclasses import dataclass
from pathlib import Path

import anyio
import anyio.to_thread

from kutti_sdk.core.errors import ImageFormatError, KuttiError
from kutti_sdk.images.incoming import discard, images_folder
from kutti_sdk.images.manifest import (
    MANIFEST_NAME,
    ImageManifest,
    decode_manifest,
    image_checksum,
)
from kutti_sdk.images.qcow2 import read_header
from kutti_sdk.runtime.locks import locked
from kutti_sdk.runtime.state import sync_folder

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


async def remove_local(image: LocalImage) -> None:
    """Remove an image from the store; the caller made sure that nobody uses it.

    Args:
        image: The image.
    """
    async with locked(_lock()):
        await anyio.to_thread.run_sync(discard, image.folder)


def _lock() -> Path:
    return images_folder().with_name("images.lock")


def _local_images() -> list[LocalImage]:
    images = []
    for folder in images_folder().iterdir():
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
    place = images_folder() / image.checksum
    try:
        _read_stored(place)  # the same image is here already
    except (KuttiError, OSError):
        if place.exists():
            discard(place)
        folder.rename(place)
        sync_folder(place.parent)
    os.utime(place / MANIFEST_NAME)
    return _read_stored(place)
