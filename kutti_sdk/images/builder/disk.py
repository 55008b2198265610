"""The root file system as a disk: ext4 without partitions, in a compressed qcow2 file.

The same archive gives the same bytes: the file system's identity and the times
inside come from the caller and not from chance and the clock.
"""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from uuid import UUID

import anyio
import anyio.to_thread

from kutti_sdk.images.builder.namespace import UserNamespace
from kutti_sdk.images.builder.overlay_marks import opaque_commands

_FIRST_INODE = 11  # lost+found; 1 to 10 are ext4's own, of which 2 is the root folder
_ROOT_INODE = 2


async def unpack_root(namespace: UserNamespace, folder: Path, archive: Path) -> None:
    """Unpack a root file system into the folder ``tree``.

    Args:
        namespace: Where to do it.
        folder: A folder that belongs to root of the namespace.
        archive: The root file system, a tar archive.

    Raises:
        ImageBuildError: When it does not fit, or a program fails.
    """
    await namespace.run("mkdir", "tree", folder=folder)
    async with await anyio.open_file(archive, "rb") as file:
        await namespace.run(
            *("tar", "--extract", "--directory=tree", "--numeric-owner", "--preserve-permissions"),
            *("--xattrs", "--xattrs-include=security.capability"),
            "--delay-directory-restore",  # or what comes late changes its folder's date
            folder=folder,
            stdin=file.wrapped,
        )


async def make_disk(
    namespace: UserNamespace,
    folder: Path,
    disk: Path,
    *,
    size: int,
    identity: UUID,
    timestamp: int,
    opaque: Sequence[str] = (),
) -> None:
    """Make a disk of the root file system in the folder ``tree``.

    Args:
        namespace: Where to do it.
        folder: A folder that belongs to root of the namespace.
        disk: The qcow2 file to write.
        size: Size of the disk in bytes.
        identity: UUID and hash seed of the file system.
        timestamp: When everything was changed last, in seconds since the epoch.
        opaque: Folders of container images' layers that hide what is below them;
            see `overlay_marks`.

    Raises:
        ImageBuildError: When it does not fit, or a program fails.
    """
    # The names by which e2fsprogs before and since 1.47.1 are told the time.
    clock = dict.fromkeys(("E2FSPROGS_FAKE_TIME", "SOURCE_DATE_EPOCH"), str(timestamp))
    await namespace.run(
        *("mke2fs", "-q", "-t", "ext4", "-d", "tree", "-L", "root", "-U", str(identity)),
        # Zeroed now, where it costs nothing: else every host would do it in its overlay.
        *("-E", f"hash_seed={identity},lazy_itable_init=0,lazy_journal_init=0"),
        *("disk.ext4", f"{size // 1024}k"),
        folder=folder,
        environment=clock,
    )
    await _debugfs(namespace, folder, opaque_commands(opaque), clock)
    await _set_times(namespace, folder, timestamp, clock)
    await namespace.run(
        *("qemu-img", "convert", "-f", "raw", "-O", "qcow2", "-c"),
        *("-o", "compression_type=zstd", "disk.ext4", "disk.qcow2"),
        folder=folder,
    )
    async with await anyio.open_file(disk, "wb") as file:
        await namespace.run("cat", "disk.qcow2", folder=folder, stdout=file.wrapped)


async def _set_times(
    namespace: UserNamespace, folder: Path, timestamp: int, environment: Mapping[str, str]
) -> None:
    """Replace the times of unpacking, which no program can choose, in every inode."""
    header: dict[str, str] = {}

    def keep(line: str) -> None:
        name, _, value = line.partition(":")
        header[name] = value.strip()

    await namespace.run("dumpe2fs", "-h", "disk.ext4", folder=folder, on_line=keep)
    used = int(header["Inode count"]) - int(header["Free inodes"])
    script = "".join(
        f"set_inode_field <{inode}> {time} @{timestamp}\n"
        for inode in (_ROOT_INODE, *range(_FIRST_INODE, used + 1))
        for time in ("atime", "ctime", "crtime")
    )
    await _debugfs(namespace, folder, script, environment)


async def _debugfs(
    namespace: UserNamespace, folder: Path, script: str, environment: Mapping[str, str]
) -> None:
    if not script:
        return
    with tempfile.TemporaryFile() as file:
        await anyio.to_thread.run_sync(file.write, script.encode())
        file.seek(0)
        await namespace.run(
            *("debugfs", "-w", "-f", "-", "disk.ext4"),
            folder=folder,
            environment=environment,
            stdin=file,
            stdout=subprocess.DEVNULL,
        )
