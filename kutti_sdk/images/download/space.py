"""Room on the disk for a download, and for what becomes of it."""

from __future__ import annotations

import errno
import shutil
from urllib.parse import urlsplit

import anyio.to_thread

from kutti_sdk.core.errors import DownloadError, KuttiError, NotEnoughDiskError
from kutti_sdk.core.sizes import GiB, MiB, format_size
from kutti_sdk.images.catalogue import CatalogueEntry
from kutti_sdk.images.download.answers import Refused
from kutti_sdk.images.download.partial import downloads_folder

LARGEST_FILE = 64 * GiB
"""The largest file that is downloaded, whatever a server promises."""

_RESERVE = 256 * MiB  # left free by a download of which nobody knows how long it is
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_USED_AS_IT_IS = ".qcow2"


async def room_for(entry: CatalogueEntry, start: int, length: int | None) -> int:
    """Make sure that a transfer fits, and tell how many bytes may come.

    Args:
        entry: What is downloaded.
        start: Where in the file the transfer begins.
        length: How many bytes are promised; None when nothing is.

    Returns:
        The most bytes that may come: those that were promised, else as many as there
        is room for.

    Raises:
        NotEnoughDiskError: When there is no room for it.
        Refused: When no image is that large.
    """
    free = (await anyio.to_thread.run_sync(shutil.disk_usage, downloads_folder())).free
    if length is None:
        if free <= _RESERVE:
            raise _too_little(f"{entry.source_url} is of unknown size", free, entry)
        return min(free - _RESERVE, LARGEST_FILE - start)
    total = start + length
    if length + _to_unpack(entry, total) > free:
        raise _too_little(_needs(entry, total, length), free, entry)
    if total > LARGEST_FILE:
        raise Refused(
            f"the server promises {format_size(total)}",
            "Look at the image list; is it the right one?",
        )
    return length


def disk_failure(error: OSError, entry: CatalogueEntry) -> KuttiError:
    """Make the error for a disk that took no more bytes.

    Args:
        error: What the system said.
        entry: What is downloaded.

    Returns:
        The error, to be raised.
    """
    folder = downloads_folder()
    if error.errno in _FULL:
        return NotEnoughDiskError(
            f"the image cannot be written: {error.strerror}",
            hint=f"Make room and fetch again; what came is kept in {folder} and gone on with.",
            image=entry.k8s_version,
        )
    return DownloadError(
        f"the image cannot be written to {folder}: {error.strerror or error}",
        hint="Look at the disk, and at who owns the folder.",
        image=entry.k8s_version,
    )


def _to_unpack(entry: CatalogueEntry, total: int) -> int:
    """A qcow2 disk is used as it is; of others at least their content is written once more."""
    return 0 if urlsplit(entry.source_url).path.endswith(_USED_AS_IT_IS) else total


def _needs(entry: CatalogueEntry, total: int, length: int) -> str:
    needs = f"the image has {format_size(total)}"
    if length < total:
        needs += f", of which {format_size(length)} are missing"
    if room := _to_unpack(entry, total):
        needs += f", and needs {format_size(room)} or more to be unpacked"
    return needs


def _too_little(what: str, free: int, entry: CatalogueEntry) -> NotEnoughDiskError:
    return NotEnoughDiskError(
        f"{what}; {format_size(free)} are left on the disk",
        hint=f"Make room on the disk with {downloads_folder()}, "
        "or move the cache folder with KUTTI_WORKSPACE.",
        image=entry.k8s_version,
    )
