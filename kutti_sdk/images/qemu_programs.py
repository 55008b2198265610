"""Finding QEMU's programs on this machine, and telling how to get them."""

from __future__ import annotations

import os
import platform
import shutil
from functools import cache

from kutti_sdk.core.errors import DriverUnavailableError

FOLDER_VARIABLE = "KUTTI_QEMU_DIR"
"""Environment variable that names the folder of QEMU's programs when PATH does not."""

DISK_TOOL = "qemu-img"

_INSTALL = {
    "debian": "apt-get install qemu-system-x86 qemu-utils",
    "fedora": "dnf install qemu-system-x86-core qemu-img",
    "rhel": "dnf install qemu-kvm qemu-img",
    "suse": "zypper install qemu-x86 qemu-tools",
    "arch": "pacman -S qemu-system-x86 qemu-img",
    "alpine": "apk add qemu-system-x86_64 qemu-img",
    "Darwin": "brew install qemu",
    "Windows": "winget install SoftwareFreedomConservancy.QEMU",
}


def locate(program: str) -> str:
    """Find one of QEMU's programs.

    Args:
        program: Its name.

    Returns:
        Its path.

    Raises:
        DriverUnavailableError: When it is missing; the hint is the command that
            installs it on this system.
    """
    folder = os.environ.get(FOLDER_VARIABLE)
    found = shutil.which(program, path=folder)
    if found is None:
        raise DriverUnavailableError(
            f"{program} was not found" + (f" in {folder}" if folder else ""),
            hint=f"Run: {install_line()} (or set {FOLDER_VARIABLE} to the folder it is in).",
            driver="qemu",
        )
    return found


def install_line() -> str:
    """Tell the command that installs QEMU on this system.

    Returns:
        A shell command line, or a sentence where none is known.
    """
    for name in _distribution():
        if name in _INSTALL:
            return _INSTALL[name]
    return "install QEMU with your system's package manager"


@cache
def _distribution() -> tuple[str, ...]:
    if platform.system() != "Linux":
        return (platform.system(),)
    try:
        release = platform.freedesktop_os_release()
    except OSError:
        return ()
    return (release.get("ID", ""), *release.get("ID_LIKE", "").split())
