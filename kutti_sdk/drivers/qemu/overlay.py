"""A new disk: an overlay over that of an image, which costs milliseconds and no copy."""

from __future__ import annotations

from pathlib import Path

from kutti_sdk.core.errors import HypervisorError, InvalidSizeError
from kutti_sdk.core.sizes import format_size
from kutti_sdk.drivers.qemu.binaries import find_qemu
from kutti_sdk.images.store import LocalImage, make_sure_here
from kutti_sdk.runtime import processes

_DISK_TIMEOUT = 60.0  # seconds; takes 0.03


def refuse_smaller(image: LocalImage, size: int) -> None:
    """Make sure that a disk has room for what is on that of an image.

    Args:
        image: The image.
        size: Bytes of the disk as a guest sees it.

    Raises:
        InvalidSizeError: When it is smaller.
    """
    if size < image.disk_size:
        raise InvalidSizeError(
            f"a disk of {format_size(size)} is smaller than that of the image",
            hint=f"Use {format_size(image.disk_size)} or more.",
            driver="qemu",
            image=image.k8s_version,
        )


async def make_overlay(image: LocalImage, path: Path, size: int) -> None:
    """Make a disk over that of an image.

    Args:
        image: The image.
        path: The disk, which is new.
        size: Bytes of it as a guest sees it.

    Raises:
        ImageNotDownloadedError: When the image was removed meanwhile.
        HypervisorError: When it could not be made.
    """
    qemu = await find_qemu()
    command = [qemu.disk_tool, "create", "-q", "-f", "qcow2", "-F", "qcow2"]
    command += ["-b", str(image.disk), str(path), str(size)]
    try:
        await processes.run(command, timeout=_DISK_TIMEOUT)
    except HypervisorError:
        await make_sure_here(image)  # that it is gone tells more than what qemu-img says
        raise
