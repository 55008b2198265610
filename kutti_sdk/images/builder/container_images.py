"""Container images, loaded into a node's root file system while it is made.

The containerd that the image itself has is run for some seconds in the unpacked
root file system, in the build's user namespace and with a mount namespace of its
own, and loads the archives: at the speed of this machine and not of an emulated
one, and in the very format that the containerd of the node reads.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Callable, Iterable, Sequence
from importlib.resources import files
from pathlib import Path

import anyio.to_thread

from kutti_sdk.core.errors import ImageBuildError
from kutti_sdk.images.builder.container_archives import ContainerArchive
from kutti_sdk.images.builder.namespace import UserNamespace
from kutti_sdk.images.builder.scratch_files import put_files

_IMPORTED = re.compile(r"image (\S+) (sha256:[0-9a-f]{64}) ")
_UNPACKED = re.compile(r"unpacking (\S+) .*done")
_IMAGE_NAME = re.compile(r"[a-z0-9][\w.:-]*/[\w./-]+:[\w.-]+", re.ASCII)
_IMAGES, _SCRIPT = "images", "import_images.sh"


async def needed_images(namespace: UserNamespace, folder: Path, version: str) -> tuple[str, ...]:
    """Ask kubeadm which container images a cluster needs.

    Args:
        namespace: Where to run it.
        folder: A folder that has ``usr/bin/kubeadm``.
        version: The Kubernetes version, with its patch number.

    Returns:
        Their names.

    Raises:
        ImageBuildError: When kubeadm cannot be run.
    """
    names: list[str] = []

    def keep(line: str) -> None:
        if _IMAGE_NAME.fullmatch(line):
            names.append(line)

    await namespace.run(
        # The version is given, or kubeadm would ask the internet for it.
        *("./usr/bin/kubeadm", "config", "images", "list", "--kubernetes-version", f"v{version}"),
        folder=folder,
        on_line=keep,
    )
    return tuple(names)


def check_complete(needed: Iterable[str], archives: Sequence[ContainerArchive]) -> None:
    """Make sure that nothing is missing which a cluster needs.

    Args:
        needed: The images that it needs.
        archives: What there is.

    Raises:
        ImageBuildError: When some are missing; names them.
    """
    present = {name for archive in archives for name in archive.images}
    missing = [name for name in needed if name not in present]
    if missing:
        raise ImageBuildError(
            f"the archives of container images lack {', '.join(missing)}",
            hint="kubeadm needs all of them. Add them, or build without container images, "
            "which nodes then download.",
        )


def pause_image(needed: Iterable[str]) -> str:
    """Find the image that every pod's first container is made from.

    Args:
        needed: The images that a cluster needs.

    Returns:
        Its name.

    Raises:
        ImageBuildError: When there is none.
    """
    for name in needed:
        if name.rpartition("/")[2].startswith("pause:"):
            return name
    raise ImageBuildError("kubeadm names no pause image, which containerd must know")


async def import_images(
    namespace: UserNamespace,
    folder: Path,
    archives: Sequence[ContainerArchive],
    *,
    timestamp: int,
    on_progress: Callable[[str, float], None],
) -> dict[str, str]:
    """Load archives into the containerd of the root file system in ``tree``.

    Args:
        namespace: Where to do it.
        folder: The build's scratch folder, with the root file system in ``tree``.
        archives: What to load.
        timestamp: No file is younger, in seconds since the epoch.
        on_progress: Called with a message and a fraction.

    Returns:
        The digests of all images, by name.

    Raises:
        ImageBuildError: When one cannot be loaded.
    """
    imported: dict[str, str] = {}
    expected = sum(len(archive.images) for archive in archives)
    unpacked = 0

    def follow(line: str) -> None:
        nonlocal unpacked
        if found := _UNPACKED.match(line):
            unpacked += 1
            on_progress(f"Loaded {found[1]}", unpacked / expected)
        if found := _IMPORTED.match(line):
            imported[found[1]] = found[2]

    names = {f"{number:04d}": archive for number, archive in enumerate(archives)}
    script = (files(__package__) / _SCRIPT).read_bytes()
    await put_files(
        namespace,
        folder,
        {_SCRIPT: script} | {f"{_IMAGES}/{name}": archive.path for name, archive in names.items()},
    )
    lines = "".join(f"{name} {' '.join(archive.unpack)}\n" for name, archive in names.items())
    with tempfile.TemporaryFile() as listing:
        await anyio.to_thread.run_sync(listing.write, lines.encode())
        listing.seek(0)
        await namespace.run(
            *("unshare", "--mount", "sh", _SCRIPT, str(timestamp)),
            folder=folder,
            stdin=listing,
            on_line=follow,
        )
    await namespace.run("rm", "-rf", _IMAGES, folder=folder)
    missing = {name for archive in archives for name in archive.images} - imported.keys()
    if missing:
        raise ImageBuildError(f"containerd did not take {', '.join(sorted(missing))}")
    return imported
