"""Marks of overlayfs, from the kind a user namespace writes to the kind a node reads.

A layer of a container image can replace a whole folder of the layers below. On
disk that is an extended attribute of the folder. overlayfs calls it
`user.overlay.opaque` where it is mounted in a user namespace, as in a build, and
`trusted.overlay.opaque` where it is mounted by root, as on a node; each ignores
the other's. Left alone, files that an image deleted would be back in its
containers. https://docs.kernel.org/filesystems/overlayfs.html, "User xattr".

(A single deleted file is a character device in both cases.)
"""

from __future__ import annotations

import tarfile
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import IO

import anyio.to_thread

from kutti_sdk.core.errors import ImageBuildError
from kutti_sdk.images.builder.namespace import UserNamespace

_SNAPSHOTS = "var/lib/containerd/io.containerd.snapshotter.v1.overlayfs/snapshots"
_MARK = "SCHILY.xattr.user.overlay.opaque"
# Folders only, without what is in them: a small archive.
_LIST_FOLDERS = (
    f"find {_SNAPSHOTS} -type d -print0 | tar --create --format=pax --no-recursion --null "
    "--files-from=- --xattrs --xattrs-include='user.overlay.*'"
)


async def opaque_folders(namespace: UserNamespace, folder: Path) -> tuple[str, ...]:
    """Find the folders of unpacked layers that hide what is below them.

    Args:
        namespace: Where to look.
        folder: The build's scratch folder, with the root file system in ``tree``.

    Returns:
        Their paths in the root file system.

    Raises:
        ImageBuildError: When they cannot be read.
    """
    with tempfile.TemporaryFile() as archive:
        await namespace.run("sh", "-c", _LIST_FOLDERS, folder=folder / "tree", stdout=archive)
        archive.seek(0)
        return await anyio.to_thread.run_sync(_marked, archive)


def opaque_commands(paths: Sequence[str]) -> str:
    """Write the commands of debugfs(8) that give folders the mark that a node reads.

    Args:
        paths: The folders' paths in the file system.

    Returns:
        The commands, one a line.

    Raises:
        ImageBuildError: When a path cannot be told to debugfs.
    """
    lines = []
    for path in paths:
        if '"' in path or "\n" in path:
            raise ImageBuildError(f"a container image has a folder that cannot be marked: {path!r}")
        lines.append(f'ea_set "/{path}" trusted.overlay.opaque y\n')
        lines.append(f'ea_rm "/{path}" user.overlay.opaque\n')
    return "".join(lines)


def _marked(archive: IO[bytes]) -> tuple[str, ...]:
    with tarfile.open(fileobj=archive) as folders:
        return tuple(member.name for member in folders if _MARK in member.pax_headers)
