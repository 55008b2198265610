"""Looking after the store: what takes room in it, what may go, and whether it is sound."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import anyio.to_thread

from kutti_sdk.core.errors import ImageInUseError
from kutti_sdk.core.events import report
from kutti_sdk.core.image import ImageCopy
from kutti_sdk.core.status import CopyStatus
from kutti_sdk.images.checksums import verify
from kutti_sdk.images.download import partial_downloads, remove_partial
from kutti_sdk.images.incoming import left_over, sweep
from kutti_sdk.images.store import (
    DamagedImage,
    LocalImage,
    Users,
    kept_at,
    remove_local,
    survey,
)


async def list_copies(users: Users) -> list[ImageCopy]:
    """List everything in the store.

    Args:
        users: Who uses an image.

    Returns:
        Whole images, the one that was kept last first, then damaged ones, then what
        interrupted work left, downloads that can go on among it.
    """
    images, damaged = await survey()
    copies = [await _copy(image, users, CopyStatus.COMPLETE) for image in images]
    copies += [await _copy(image, users, CopyStatus.DAMAGED) for image in damaged]
    copies += [
        ImageCopy(status=CopyStatus.INTERRUPTED, size=await disk_usage(place))
        for place in await left_over()
    ]
    copies += [
        ImageCopy(status=CopyStatus.INTERRUPTED, size=part.bytes_done, checksum=part.checksum)
        for part in await partial_downloads()
    ]
    return copies


async def remove_copies(copies: Sequence[ImageCopy], users: Users) -> list[ImageCopy]:
    """Remove what no host uses.

    Args:
        copies: Only these, of those that `list_copies` told.
        users: Who uses an image.

    Returns:
        What was removed.
    """
    images, damaged = await survey()
    present: dict[str, LocalImage | DamagedImage] = {image.checksum: image for image in images}
    present |= {image.checksum: image for image in damaged}
    return [copy for copy in copies if await _remove(copy, present.get(copy.checksum), users)]


async def verify_image(image: LocalImage) -> None:
    """Read every byte of an image again, and compare it with what was promised.

    Args:
        image: The image.

    Raises:
        ChecksumMismatchError: When a file is not what it was.
    """
    version = image.manifest.k8s_version
    for number, file in enumerate(image.manifest.files):
        fraction = number / len(image.manifest.files)
        report("verify", f"verifying {file.name}", image=version, fraction=fraction)
        await verify(image.folder / file.name, file.sha256)


async def disk_usage(folder: Path) -> int:
    """Tell how much room a folder takes on the disk.

    Args:
        folder: The folder.

    Returns:
        Bytes; 0 when it is gone.
    """
    return await anyio.to_thread.run_sync(_disk_usage, folder)


async def _copy(image: LocalImage | DamagedImage, users: Users, status: CopyStatus) -> ImageCopy:
    return ImageCopy(
        status=status,
        size=await disk_usage(image.folder),
        k8s_version=image.k8s_version,
        checksum=image.checksum,
        used_by=tuple(await users(image.checksum)),
        kept=await kept_at(image),
        problem=image.problem if isinstance(image, DamagedImage) else "",
    )


async def _remove(copy: ImageCopy, image: LocalImage | DamagedImage | None, users: Users) -> bool:
    if copy.status is CopyStatus.INTERRUPTED:
        if copy.checksum:
            return await remove_partial(copy.checksum)
        await sweep()
        return True
    if image is None:
        return False
    try:
        await remove_local(image, users)
    except ImageInUseError:
        return False
    return True


def _disk_usage(folder: Path) -> int:
    total = 0
    for path in folder.rglob("*"):
        with suppress(OSError):  # it may go away while we look
            status = path.lstat()
            blocks = getattr(status, "st_blocks", None)  # not on Windows
            total += status.st_size if blocks is None else blocks * 512
    return total
