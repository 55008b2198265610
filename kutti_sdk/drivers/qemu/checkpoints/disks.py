"""Disks of hosts in layers: the upper one is written to, those below never again.

A layer names the one below it by its file name alone, so that a folder with links to
all of them is complete, wherever it is.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import anyio.to_thread

from kutti_sdk.drivers.qemu.binaries import Qemu
from kutti_sdk.drivers.qemu.qmp import Monitor
from kutti_sdk.drivers.qemu.records import HostRecord
from kutti_sdk.runtime import processes

_DISK_TIMEOUT = 60.0  # seconds; takes 0.03


async def put_on_top(qemu: Qemu, host: HostRecord, folder: Path) -> HostRecord:
    """Make an empty disk above a host's disk.

    Args:
        qemu: The QEMU of this machine.
        host: The host.
        folder: Where its disk is; the new one is made there.

    Returns:
        The host, with its disk as the last layer below the new one.
    """
    above = replace(host, disk=new_name(), layers=(*host.layers, host.disk))
    await make_above(qemu, above, folder)
    return above


def new_name() -> str:
    """Make up the name of a disk.

    Returns:
        A file name that no other layer has.
    """
    return f"disk-{secrets.token_hex(4)}.qcow2"


async def make_above(qemu: Qemu, host: HostRecord, folder: Path) -> None:
    """Make a host's disk, empty, above its last layer.

    Args:
        qemu: The QEMU of this machine.
        host: The host.
        folder: Where to make it; the layers are, or will be, there.
    """
    # -u: the layer may be in use, and is not looked at.
    command = [qemu.disk_tool, "create", "-q", "-u", "-f", "qcow2", "-F", "qcow2"]
    command += ["-b", host.layers[-1], str(folder / host.disk), str(host.size.disk)]
    await processes.run(command, timeout=_DISK_TIMEOUT)


async def switch_over(qemu: Monitor, host: HostRecord) -> None:
    """Let a running host write to its new disk, and leave the one below as it is.

    Args:
        qemu: Its monitor; the host stands still.
        host: The host, as `put_on_top` gave it.
    """
    path = host.disk_path
    below = Path(host.layers[-1]).stem
    await qemu.execute(
        "blockdev-add",
        **{
            "driver": "qcow2",
            "node-name": path.stem,
            "discard": "unmap",
            "detect-zeroes": "unmap",
            "backing": None,
            "file": {"driver": "file", "discard": "unmap", "filename": str(path)},
        },
    )
    await qemu.execute("blockdev-snapshot", node=below, overlay=path.stem)


async def written_to(qemu: Monitor, host: HostRecord) -> HostRecord:
    """Find out which disk a running host writes to.

    It is another than the record says when the host was to be saved and that was
    interrupted: then the one that the record names is empty still, and not in use.

    Args:
        qemu: Its monitor.
        host: The host.

    Returns:
        The host with the disk that it writes to.
    """
    node = (await qemu.execute("query-block"))[0]["inserted"]["node-name"]
    layers = [*host.layers, host.disk]
    while len(layers) > 1 and Path(layers[-1]).stem != node:
        layers.pop()
    return replace(host, disk=layers[-1], layers=tuple(layers[:-1]))


def link_layers(names: Iterable[str], source: Path, target: Path) -> None:
    """Let a folder have layers as well. Call it in a thread.

    Args:
        names: Names of the layers.
        source: Folder that has them.
        target: Folder that shall have them; those it has stay.
    """
    for name in names:
        if not (target / name).exists():
            (target / name).hardlink_to(source / name)


def remove_other_disks(host: HostRecord, folder: Path) -> None:
    """Remove the disks from a host's folder that it has no use for. Call it in a thread.

    Args:
        host: The host.
        folder: Its folder.
    """
    for path in folder.glob("disk*.qcow2"):
        if path.name not in (*host.layers, host.disk):
            path.unlink()


async def bytes_of(paths: Iterable[Path]) -> int:
    """Measure what files really take.

    Args:
        paths: The files.

    Returns:
        Bytes on the disk; holes take none.
    """
    return await anyio.to_thread.run_sync(
        lambda: sum(path.stat().st_blocks * 512 for path in paths)
    )
