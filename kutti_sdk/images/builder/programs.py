"""The programs of this machine that a build needs, found before it starts."""

from __future__ import annotations

import os
import platform
import shutil

from kutti_sdk.core.errors import ImageBuildError
from kutti_sdk.images.builder.recipe import ARCHITECTURE

_PACKAGES = {
    "mmdebstrap": "mmdebstrap",
    "dpkg-deb": "dpkg",
    "tar": "tar",
    "unshare": "util-linux",
    "mke2fs": "e2fsprogs",
    "debugfs": "e2fsprogs",
    "dumpe2fs": "e2fsprogs",
    "qemu-img": "qemu-utils",
}
_PACKAGES_FOR_USERS = {"newuidmap": "uidmap", "newgidmap": "uidmap"}

_KEYRINGS = ("/usr/share/keyrings/debian-archive-keyring.gpg",)


def search_path() -> str:
    """Tell where programs are looked for.

    Returns:
        The caller's PATH, and the folders of system programs that an ordinary
        user's PATH lacks.
    """
    return os.pathsep.join((os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin"))


def require_programs() -> None:
    """Check that everything is there to build an image.

    Raises:
        ImageBuildError: When this is no machine to build on, or packages are missing.
    """
    machine = platform.machine()
    if platform.system() != "Linux" or machine != ARCHITECTURE:
        raise ImageBuildError(
            f"node images are built on {ARCHITECTURE} Linux only, "
            f"and this machine is {platform.system()} on {machine}",
            hint="Fetch or import an image instead.",
        )
    missing = missing_packages()
    if missing:
        raise ImageBuildError(
            f"building an image needs packages that are not installed: {', '.join(missing)}",
            hint=f"sudo apt-get install {' '.join(missing)}",
        )


def missing_packages() -> list[str]:
    """List Debian's packages that a build needs and that are not installed.

    Returns:
        Their names, sorted.
    """
    needed = _PACKAGES | (_PACKAGES_FOR_USERS if os.geteuid() != 0 else {})
    missing = {package for name, package in needed.items() if not _is_there(name)}
    if not any(map(os.path.exists, _KEYRINGS)):
        missing.add("debian-archive-keyring")
    return sorted(missing)


def _is_there(program: str) -> bool:
    return shutil.which(program, path=search_path()) is not None
