"""Disks of other formats become qcow2, by qemu-img."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import anyio
import anyio.to_thread

from kutti_sdk.core.errors import HypervisorError, ImageFormatError, NotEnoughDiskError
from kutti_sdk.core.events import report
from kutti_sdk.core.sizes import GiB, format_size
from kutti_sdk.images.disk_source import DiskSource
from kutti_sdk.images.qemu_programs import DISK_TOOL, locate
from kutti_sdk.runtime import processes

_PERCENT = re.compile(r"\(([0-9]+(?:\.[0-9]+)?)/100%\)")
_MEMORY = 2 * GiB  # of addresses; half of it is enough for every format
_NO_SPACE = "No space left on device"


async def convert(source: DiskSource, destination: Path, *, k8s_version: str) -> None:
    """Write a disk anew as qcow2, where it lies; reports its progress.

    QEMU is told the format of every layer and the stretch of the file that it may
    read; it does not guess. When this is cancelled, it is killed.

    Args:
        source: The disk, which was judged.
        destination: The file to write.
        k8s_version: The Kubernetes version of the image, for the progress.

    Raises:
        ImageFormatError: When the disk is damaged.
        NotEnoughDiskError: When it does not fit.
    """
    await _check_space(source, destination, k8s_version)
    command = [*_limits(), locate(DISK_TOOL), "convert", "-p", "-W", "-O", "qcow2"]
    command += ["--image-opts", source.image_options, str(destination)]

    def tell(output: str) -> None:
        for match in _PERCENT.finditer(output):
            fraction = min(float(match[1]) / 100, 1.0)
            report("import", "converting the disk", image=k8s_version, fraction=fraction)

    try:
        await processes.follow(command, tell)
    except HypervisorError as error:
        if _NO_SPACE in error.message:
            raise NotEnoughDiskError(
                f"the disk does not fit: {error.message}",
                hint=f"Make room on the disk that holds {destination.parent.parent}.",
                image=k8s_version,
            ) from error
        raise ImageFormatError(
            f"the disk cannot be converted: {error.message}",
            hint="It is damaged; get it again.",
            image=k8s_version,
        ) from error


def _limits() -> list[str]:
    """Bound the memory of what follows, where util-linux's program for that is there."""
    program = shutil.which("prlimit")
    return [] if program is None else [program, f"--as={_MEMORY}"]


async def _check_space(source: DiskSource, destination: Path, k8s_version: str) -> None:
    # Unpacked it has at least as many bytes as packed; how many more nobody tells.
    free = (await anyio.to_thread.run_sync(shutil.disk_usage, destination.parent)).free
    least = min(source.size, source.virtual_size)
    if least > free:
        raise NotEnoughDiskError(
            f"the disk has {format_size(least)} or more, and {format_size(free)} are free",
            hint=f"Make room on the disk that holds {destination.parent.parent}.",
            image=k8s_version,
        )
