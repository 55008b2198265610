"""Whether this machine is large enough."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence

import anyio.to_thread
import psutil

from kutti_sdk.core.errors import NotEnoughCPUsError, NotEnoughDiskError, NotEnoughMemoryError
from kutti_sdk.core.host import HostSize
from kutti_sdk.core.sizes import MiB, format_size
from kutti_sdk.runtime.directories import data_dir

_OVERHEAD = 192 * MiB
"""What a QEMU takes for itself, translated code above all: 390 MiB were measured in all
for a guest of 512 MiB that had just booted under emulation."""

_DISK_RESERVE = 256 * MiB
"""What a host's first boot writes, with room to spare; disks grow as they are written."""


def check_size(size: HostSize) -> None:
    """Make sure that a host is not larger than this machine.

    Args:
        size: The host's size.

    Raises:
        ResourceError: When it is, whatever else runs.
    """
    cpus = os.cpu_count() or 1
    if size.cpus > cpus:
        raise NotEnoughCPUsError(
            f"a host with {size.cpus} CPUs is more than this machine has",
            hint=f"Use at most {cpus}.",
            driver="qemu",
        )
    memory = psutil.virtual_memory().total
    if size.memory > memory:
        raise NotEnoughMemoryError(
            f"a host with {format_size(size.memory)} memory is more than this machine has",
            hint=f"This machine has {format_size(memory)} in all.",
            driver="qemu",
        )
    disk = shutil.disk_usage(data_dir()).total
    if size.disk > disk:
        raise NotEnoughDiskError(
            f"a host with a disk of {format_size(size.disk)} is more than this machine has",
            hint=f"The disk that holds {data_dir()} has {format_size(disk)} in all.",
            driver="qemu",
        )


async def check_memory(sizes: Sequence[HostSize]) -> None:
    """Make sure that hosts can be started now, all at once.

    Args:
        sizes: The hosts' sizes.

    Raises:
        NotEnoughMemoryError: When there is too little memory left.
    """
    wanted = sum(size.memory + _OVERHEAD for size in sizes)
    available = (await anyio.to_thread.run_sync(psutil.virtual_memory)).available
    if wanted > available:
        raise NotEnoughMemoryError(
            f"{format_size(wanted)} memory are needed, and {format_size(available)} are left",
            hint="Stop other hosts or programs, or use hosts with less memory.",
            driver="qemu",
        )


async def check_disk(hosts: int) -> None:
    """Make sure that hosts can write what they write first.

    Args:
        hosts: How many hosts are to be made or started.

    Raises:
        NotEnoughDiskError: When there is too little disk space left.
    """
    free = (await anyio.to_thread.run_sync(shutil.disk_usage, data_dir())).free
    if hosts * _DISK_RESERVE > free:
        raise NotEnoughDiskError(
            f"{format_size(hosts * _DISK_RESERVE)} disk space are needed, "
            f"and {format_size(free)} are left",
            hint=f"Make room on the disk that holds {data_dir()}.",
            driver="qemu",
        )
