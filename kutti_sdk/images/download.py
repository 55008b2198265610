"""Downloading the file of an image, verified while it comes."""

from __future__ import annotations

import errno
import hashlib
import shutil
from pathlib import Path

import anyio
import anyio.to_thread

from kutti_sdk.core.errors import ChecksumMismatchError, DownloadError, NotEnoughDiskError
from kutti_sdk.core.events import report
from kutti_sdk.core.sizes import format_size
from kutti_sdk.images.catalogue import CatalogueEntry
from kutti_sdk.runtime.http import http_client


async def download(entry: CatalogueEntry, destination: Path) -> None:
    """Download an image's file.

    Args:
        entry: Which image.
        destination: The file to write; must not exist. It is removed again when the
            bytes are not the promised ones.

    Raises:
        DownloadError: When the server or the line fails.
        ChecksumMismatchError: When other bytes came than were promised.
        NotEnoughDiskError: When it would not fit.
    """
    import httpx

    digest = hashlib.sha256()
    done = 0
    try:
        async with (
            http_client() as client,
            client.stream("GET", entry.source_url) as response,
            await anyio.open_file(destination, "xb") as file,
        ):
            response.raise_for_status()
            total = _length(response.headers.get("Content-Length"))
            await _check_space(destination, total, entry)
            async for block in response.aiter_raw():
                await file.write(block)
                digest.update(block)
                done += len(block)
                report(
                    "download",
                    f"downloading, {format_size(done)}",
                    image=entry.k8s_version,
                    fraction=done / total if total else None,
                    bytes_done=done,
                    bytes_total=total,
                )
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        raise _no_space(f"{format_size(done)} of the image were written, and", 0, entry) from error
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise DownloadError(
            f"{entry.source_url} cannot be downloaded: {str(error) or type(error).__name__}",
            hint="Check the network and try again.",
            image=entry.k8s_version,
        ) from error
    if digest.hexdigest() != entry.checksum:
        await anyio.Path(destination).unlink()
        raise ChecksumMismatchError(
            f"{entry.source_url} is not the promised file: expected SHA-256 "
            f"{entry.checksum}, received {digest.hexdigest()}",
            hint="Fetch the image list again; it may be older than the image.",
            image=entry.k8s_version,
        )


def _length(header: str | None) -> int | None:
    return int(header) if header and header.isdecimal() else None


async def _check_space(destination: Path, total: int | None, entry: CatalogueEntry) -> None:
    usage = await anyio.to_thread.run_sync(shutil.disk_usage, destination.parent)
    if total is not None and total > usage.free:
        raise _no_space(f"the image has {format_size(total)}, and", usage.free, entry)


def _no_space(what: str, free: int, entry: CatalogueEntry) -> NotEnoughDiskError:
    return NotEnoughDiskError(
        f"{what} {format_size(free)} are left on the disk",
        hint="Make room, or move the cache folder with KUTTI_WORKSPACE.",
        image=entry.k8s_version,
    )
