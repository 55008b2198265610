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
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import anyio
import anyio.to_thread

from kutti_sdk.core.errors import (
    ImageFormatError,
    ImageInUseError,
    ImageNotDownloadedError,
    KuttiError,
)
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

Users = Callable[[str], Awaitable[list[str]]]
"""Tells the names of the hosts that use the image with a checksum."""

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
    def k8s_version(self) -> str:
        """The Kubernetes version inside."""
        return self.manifest.k8s_version

    @property
    def disk(self) -> Path:
        """The disk that hosts' disks are laid over."""
        return self.folder / self.manifest.disk.name

    @property
    def kernel(self) -> Path | None:
        """Its kernel; None when that is inside of the disk."""
        boot = self.manifest.boot
        return None if boot is None else self.folder / boot.kernel.name


@dataclass(frozen=True, slots=True)
class DamagedImage:
    """What is in the place of an image, and cannot be used.

    Attributes:
        checksum: The checksum that it was kept under.
        folder: Where it is.
        problem: What is wrong with it.
        k8s_version: Its Kubernetes version; None when that cannot be told.
    """

    checksum: str
    folder: Path
    problem: str
    k8s_version: str | None = None


async def local_images() -> list[LocalImage]:
    """List the images on this machine.

    Returns:
        The images, the one that was kept last first; a damaged one is logged and left out.
    """
    images, damaged = await survey()
    for image in damaged:
        _log.warning("the image in %s cannot be used: %s", image.folder, image.problem)
    return images


async def survey() -> tuple[list[LocalImage], list[DamagedImage]]:
    """List all that is in the store.

    Returns:
        The images, the one that was kept last first, and what is damaged.
    """
    return await anyio.to_thread.run_sync(_survey)


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


async def renew(image: LocalImage) -> None:
    """Make an image the one that was kept last, as if it had been kept again.

    Args:
        image: The image.
    """
    await anyio.to_thread.run_sync(os.utime, image.folder / MANIFEST_NAME)


@asynccontextmanager
async def pinned(image: LocalImage) -> AsyncIterator[None]:
    """Make sure that an image is here, and is not removed for the length of a block.

    Whoever starts to use an image makes that known inside of the block; whoever
    removes one looks for its users and takes it away under the same lock.

    Args:
        image: The image.

    Yields:
        Nothing.

    Raises:
        ImageNotDownloadedError: When it was removed since it was found.
    """
    async with locked(_lock()):
        await make_sure_here(image)
        yield


async def make_sure_here(image: LocalImage) -> None:
    """Refuse to go on with an image that somebody removed since it was found.

    Args:
        image: The image.

    Raises:
        ImageNotDownloadedError: When it is gone.
    """
    if not await anyio.Path(image.disk).exists():
        raise ImageNotDownloadedError(
            f"image {image.k8s_version!r} was removed from this machine just now",
            hint="Fetch, build or import it again.",
            image=image.k8s_version,
        )


async def remove_local(image: LocalImage | DamagedImage, users: Users) -> None:
    """Remove an image from the store, unless somebody uses it.

    Args:
        image: The image; one that is gone already is no error.
        users: Who uses an image.

    Raises:
        ImageInUseError: When somebody uses it; names them.
    """
    async with locked(_lock()):
        names = await users(image.checksum)
        if names:
            raise ImageInUseError(
                f"image {image.k8s_version or image.checksum[:12]!r} is used by {', '.join(names)}",
                hint="Delete these hosts first.",
                image=image.k8s_version,
            )
        if await anyio.Path(image.folder).exists():
            await anyio.to_thread.run_sync(discard, image.folder)


async def kept_at(image: LocalImage | DamagedImage) -> datetime | None:
    """Tell when an image was kept last.

    Args:
        image: The image.

    Returns:
        The time in UTC; None when it cannot be told.
    """
    try:
        status = await anyio.Path(image.folder / MANIFEST_NAME).stat()
    except OSError:
        return None
    return datetime.fromtimestamp(status.st_mtime, UTC)


def _lock() -> Path:
    return images_folder().with_name("images.lock")


def _survey() -> tuple[list[LocalImage], list[DamagedImage]]:
    images, damaged = [], []
    for folder in images_folder().iterdir():
        if folder.name.startswith("."):
            continue
        try:
            images.append(_read_stored(folder))
        except FileNotFoundError as error:
            if folder.exists():  # else it was removed while we looked
                damaged.append(_damaged(folder, error))
        except (KuttiError, OSError) as error:
            damaged.append(_damaged(folder, error))
    return sorted(images, key=_kept, reverse=True), damaged


def _damaged(folder: Path, error: Exception) -> DamagedImage:
    try:
        version = decode_manifest((folder / MANIFEST_NAME).read_bytes()).k8s_version
    except (KuttiError, OSError):
        version = None
    problem = error.message if isinstance(error, KuttiError) else str(error)
    return DamagedImage(folder.name, folder, problem, version)


def _kept(image: LocalImage) -> int:
    """When it was kept last; the age of what is inside says nothing about that."""
    try:
        return (image.folder / MANIFEST_NAME).stat().st_mtime_ns
    except FileNotFoundError:  # removed since it was read
        return 0


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
    # Later than all others, by a clock that may have been years ahead when they were kept.
    latest = max(map(_kept, _survey()[0]), default=0)
    now = max(time.time_ns(), latest + 1)
    os.utime(place / MANIFEST_NAME, ns=(now, now))
    return _read_stored(place)
