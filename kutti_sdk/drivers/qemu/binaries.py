"""Which QEMU this machine has."""

from __future__ import annotations

import re
from dataclasses import dataclass

import anyio

from kutti_sdk.core.errors import DriverUnavailableError
from kutti_sdk.images.qemu_programs import DISK_TOOL, locate
from kutti_sdk.runtime import processes

SYSTEM = "qemu-system-x86_64"

OLDEST_VERSION = (7, 2)
"""The first QEMU with ``-netdev stream`` over unix sockets."""


@dataclass(frozen=True, slots=True)
class Qemu:
    """The QEMU of this machine.

    Attributes:
        system: Path of the emulator.
        disk_tool: Path of qemu-img.
        version: Major, minor and micro version.
    """

    system: str
    disk_tool: str
    version: tuple[int, int, int]


async def find_qemu() -> Qemu:
    """Find QEMU and make sure that it is new enough.

    Returns:
        Where it is and which version.

    Raises:
        DriverUnavailableError: When it is missing or too old; the hint is the command
            that installs it on this system.
    """
    system, disk_tool = locate(SYSTEM), locate(DISK_TOOL)
    key = (system, (await anyio.Path(system).stat()).st_mtime_ns)
    if key not in _versions:
        text = await processes.run([system, "--version"], timeout=20)
        match = re.search(r"version (\d+)\.(\d+)\.(\d+)", text)
        if match is None:
            raise DriverUnavailableError(f"{system} does not tell its version", driver="qemu")
        _versions[key] = (int(match[1]), int(match[2]), int(match[3]))
    version = _versions[key]
    if version[:2] < OLDEST_VERSION:
        raise DriverUnavailableError(
            f"QEMU {'.'.join(map(str, version))} is too old",
            hint=f"QEMU {'.'.join(map(str, OLDEST_VERSION))} or newer is needed.",
            driver="qemu",
        )
    return Qemu(system, disk_tool, version)


_versions: dict[tuple[str, int], tuple[int, int, int]] = {}
