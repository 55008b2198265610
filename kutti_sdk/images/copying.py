"""A file from elsewhere is copied, and its checksum taken on the way.

A copy and never a hard link: who gave the file can go on writing to it, and would
write into the store. Where the file system can (Btrfs, XFS), the copy is a clone
(ioctl_ficlonerange(2)), which takes no time and no room.
"""

from __future__ import annotations

import hashlib
import sys
from functools import partial
from pathlib import Path
from typing import BinaryIO

import anyio.from_thread
import anyio.to_thread

from kutti_sdk.core.events import report

_BLOCK = 2 * 1024 * 1024
_FICLONE = 0x40049409  # linux/fs.h


async def copy_and_hash(source: Path, destination: Path, *, k8s_version: str) -> str:
    """Copy a file; may be cancelled in the middle.

    Args:
        source: The file.
        destination: The copy; must not exist.
        k8s_version: The Kubernetes version of the image, for the progress.

    Returns:
        SHA-256 of the bytes that are in the copy, in hexadecimal.
    """
    return await anyio.to_thread.run_sync(_copy, source, destination, k8s_version)


def _copy(source: Path, destination: Path, k8s_version: str) -> str:
    with source.open("rb", buffering=0) as reader, destination.open("x+b", buffering=0) as writer:
        if _clone(reader, writer):
            return _pass_on(writer, None, f"verifying {source.name}", k8s_version)
        return _pass_on(reader, writer, f"copying {source.name}", k8s_version)


def _clone(source: BinaryIO, destination: BinaryIO) -> bool:
    if not sys.platform.startswith("linux"):
        return False
    import fcntl

    try:
        fcntl.ioctl(destination.fileno(), _FICLONE, source.fileno())
    except OSError:  # another file system, or one that cannot
        return False
    return True


def _pass_on(source: BinaryIO, destination: BinaryIO | None, doing: str, k8s_version: str) -> str:
    digest = hashlib.sha256()
    total = source.seek(0, 2)
    source.seek(0)
    done = 0
    buffer = memoryview(bytearray(_BLOCK))
    while count := source.readinto(buffer):  # type: ignore[attr-defined]  # it is a raw file
        anyio.from_thread.check_cancelled()
        digest.update(buffer[:count])
        if destination is not None:
            _write_all(destination, buffer[:count])
        done += count
        tell = partial(report, bytes_done=done, bytes_total=total, fraction=min(done / total, 1.0))
        anyio.from_thread.run_sync(partial(tell, "import", doing, image=k8s_version))
    return digest.hexdigest()


def _write_all(destination: BinaryIO, block: memoryview) -> None:
    while block:
        block = block[destination.write(block) :]
