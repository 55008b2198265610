"""What came of files that are not complete: kept by their checksum, to be gone on with.

```
cache_dir()/downloads/CHECKSUM.part       the bytes
cache_dir()/downloads/CHECKSUM.json       whose they are: URL, length and validators
cache_dir()/downloads/CHECKSUM.failure    why the last download failed, for who waited for it
cache_dir()/downloads/CHECKSUM.lock       held by the one who downloads
```

The checksum is that of the complete file. An image list that changes names another
one, so that bytes of two images never meet in one file.
"""

from __future__ import annotations

import errno
import os
from dataclasses import dataclass
from pathlib import Path

import anyio.to_thread

from kutti_sdk.core.errors import CorruptStateError, LockTimeoutError
from kutti_sdk.runtime.directories import cache_dir
from kutti_sdk.runtime.locks import locked
from kutti_sdk.runtime.state import load, remove, save


@dataclass(frozen=True, slots=True)
class PartialDownload:
    """A file of which a part is here.

    Attributes:
        checksum: SHA-256 of the complete file.
        bytes_done: How much of it is here.
        path: Where.
    """

    checksum: str
    bytes_done: int
    path: Path


@dataclass(frozen=True, slots=True)
class Origin:
    """Where the bytes of a part came from.

    Attributes:
        source_url: The URL that was asked.
        total: Bytes of the complete file; None while unknown.
        etag: Its strong ETag; None when it has none.
        last_modified: Its Last-Modified; None when it has none.
    """

    source_url: str
    total: int | None = None
    etag: str | None = None
    last_modified: str | None = None

    @property
    def validator(self) -> str | None:
        """What an If-Range header may hold (RFC 9110, section 13.1.5)."""
        return self.etag or self.last_modified


def downloads_folder() -> Path:
    """Give the folder of partial files, made if it is missing.

    Returns:
        The folder.
    """
    folder = cache_dir() / "downloads"
    folder.mkdir(mode=0o700, exist_ok=True)
    return folder


def part_of(checksum: str) -> Path:
    """Tell where the bytes of a file are.

    Args:
        checksum: SHA-256 of the complete file.

    Returns:
        The path, whether there is something or not.
    """
    return downloads_folder() / f"{checksum}.part"


def lock_of(checksum: str) -> Path:
    """Tell which lock the one who downloads a file holds.

    Args:
        checksum: SHA-256 of the complete file.

    Returns:
        The path.
    """
    return part_of(checksum).with_suffix(".lock")


def failure_of(checksum: str) -> Path:
    """Tell where it is kept why the last download of a file failed.

    Args:
        checksum: SHA-256 of the complete file.

    Returns:
        The path.
    """
    return part_of(checksum).with_suffix(".failure")


async def bytes_here(checksum: str) -> int | None:
    """Tell how much of a file is here.

    Args:
        checksum: SHA-256 of the complete file.

    Returns:
        Bytes; None when there is no part of it.
    """
    try:
        return (await anyio.Path(part_of(checksum)).stat()).st_size
    except FileNotFoundError:
        return None


async def load_origin(checksum: str) -> Origin | None:
    """Tell where the bytes of a part came from.

    Args:
        checksum: SHA-256 of the complete file.

    Returns:
        The origin; None when it is not known, and the checksum alone has to decide.
    """
    try:
        return await load(_origin_of(checksum), Origin)
    except CorruptStateError:
        return None


async def save_origin(checksum: str, origin: Origin) -> None:
    """Keep where the bytes of a part came from.

    Args:
        checksum: SHA-256 of the complete file.
        origin: The origin.
    """
    await save(_origin_of(checksum), origin)


async def partial_downloads() -> list[PartialDownload]:
    """List the files of which a part is here, being downloaded or not.

    Returns:
        The parts, by checksum.
    """
    return await anyio.to_thread.run_sync(_list)


async def remove_partial(checksum: str) -> bool:
    """Remove what is here of a file, unless somebody is downloading it.

    Args:
        checksum: SHA-256 of the complete file.

    Returns:
        Whether nothing of it is here any more.
    """
    try:
        async with locked(lock_of(checksum), timeout=0):
            await forget(checksum)
            await anyio.to_thread.run_sync(_unlink, lock_of(checksum))
    except LockTimeoutError:
        return False
    return True


async def forget(checksum: str) -> None:
    """Remove what is here of a file; the caller holds its lock.

    Args:
        checksum: SHA-256 of the complete file.
    """
    for path in (part_of(checksum), failure_of(checksum)):
        await anyio.to_thread.run_sync(_unlink, path)
    await anyio.to_thread.run_sync(remove, _origin_of(checksum))


async def hand_over(checksum: str, destination: Path) -> None:
    """Give a complete file a second name, so that it outlives an import that is broken off.

    Args:
        checksum: Its SHA-256.
        destination: The name, on the same disk.
    """
    await anyio.to_thread.run_sync(_link, part_of(checksum), destination)


def _list() -> list[PartialDownload]:
    parts = []
    for path in sorted(downloads_folder().glob("*.part")):
        try:
            parts.append(PartialDownload(path.stem, path.stat().st_size, path))
        except FileNotFoundError:
            continue  # it was completed in this very moment
    return parts


def _origin_of(checksum: str) -> Path:
    return part_of(checksum).with_suffix(".json")


def _unlink(path: Path) -> None:
    path.unlink(missing_ok=True)


def _link(path: Path, destination: Path) -> None:
    try:
        os.link(path, destination)
    except OSError as error:
        if error.errno not in (errno.EPERM, errno.ENOTSUP, errno.EMLINK, errno.EACCES):
            raise
        path.rename(destination)  # a file system without hard links
