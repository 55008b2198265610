"""The system's packages that the quickstart needs, and installing them."""

from __future__ import annotations

import os
import shutil

import anyio

from kutti_sdk.cli.terminal import output
from kutti_sdk.core.errors import DriverUnavailableError
from kutti_sdk.drivers.qemu.binaries import SYSTEM
from kutti_sdk.images.builder.programs import missing_packages
from kutti_sdk.images.qemu_programs import DISK_TOOL, install_line

_QEMU_PACKAGES = {SYSTEM: "qemu-system-x86", DISK_TOOL: "qemu-utils"}


def packages_to_run() -> list[str]:
    """List Debian's packages that hosts need to run.

    Returns:
        The names of those that are missing.
    """
    return [package for program, package in _QEMU_PACKAGES.items() if not shutil.which(program)]


def packages_to_build() -> list[str]:
    """List Debian's packages that building an image needs beside.

    Returns:
        The names of those that are missing.
    """
    return missing_packages()


async def install(packages: list[str]) -> None:
    """Install packages of Debian or a system derived from it.

    Args:
        packages: Their names.

    Raises:
        DriverUnavailableError: When this is another system, or they could not be installed.
    """
    line = f"apt-get install {' '.join(packages)}"
    if shutil.which("apt-get") is None:
        raise DriverUnavailableError(
            "this system has no apt-get; only Debian and its like can be set up by itself",
            hint=f"Run: {install_line()}",
            driver="qemu",
        )
    rights = [] if os.geteuid() == 0 else ["sudo"]
    output.print(f"Installing {', '.join(packages)}")
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for command in (
        ["apt-get", "update", "-q"],
        ["apt-get", "install", "-q", "-y", "--no-install-recommends", *packages],
    ):
        done = await anyio.run_process(
            [*rights, *command], stdin=None, stdout=None, stderr=None, check=False, env=environment
        )
        if done.returncode != 0:
            raise DriverUnavailableError(
                f"{' '.join(command)} failed with status {done.returncode}",
                hint=f"Read what it said above, then run: {line}",
                driver="qemu",
            )
