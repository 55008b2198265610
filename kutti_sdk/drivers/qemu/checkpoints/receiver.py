"""The QEMU that a host is moved into while it runs: its memory is the checkpoint's file.

A receiver has the host's devices and never runs an instruction. What has arrived in
it is the saved state, and has been loaded once: a state that QEMU does not take is
never kept.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import anyio

from kutti_sdk.drivers.qemu.binaries import Qemu
from kutti_sdk.drivers.qemu.checkpoints.files import CheckpointFiles, half_made
from kutti_sdk.drivers.qemu.images import image_of
from kutti_sdk.drivers.qemu.layout import Sockets
from kutti_sdk.drivers.qemu.machine import Memory, Outlets, host_command
from kutti_sdk.drivers.qemu.qmp import monitor
from kutti_sdk.drivers.qemu.records import HostRecord, NetworkRecord
from kutti_sdk.drivers.qemu.resume import (
    LOAD_TIMEOUT,
    Conditions,
    ResumeFiles,
    migration_end,
    save_devices,
)
from kutti_sdk.runtime import processes
from kutti_sdk.runtime.state import sync_file


@dataclass(frozen=True, slots=True)
class Receiver:
    """A running receiver; made by `receiving`.

    Attributes:
        host: The host that is moved into it.
        entrance: Socket on which it takes the state.
        monitor: Socket of its QMP monitor.
        files: Where the state is to be.
    """

    host: HostRecord
    entrance: Path
    monitor: Path
    files: ResumeFiles

    async def keep(self) -> None:
        """Write down what has arrived, to the disk."""
        async with monitor(self.monitor, timeout=LOAD_TIMEOUT) as qemu:
            await migration_end(qemu)
            await save_devices(qemu, self.files.devices)
            await qemu.execute("quit")
        for path in (self.files.memory, self.files.devices):
            await anyio.to_thread.run_sync(sync_file, path)


@asynccontextmanager
async def receiving(
    qemu: Qemu,
    host: HostRecord,
    network: NetworkRecord,
    conditions: Conditions,
    checkpoint: CheckpointFiles,
) -> AsyncIterator[Receiver]:
    """Run a receiver for the length of a block.

    Args:
        qemu: The QEMU of this machine.
        host: The host that is to be moved into it.
        network: Its network.
        conditions: Under what the host runs.
        checkpoint: The checkpoint; the host's folder in it is there.

    Yields:
        The receiver, ready to take the state.
    """
    files = checkpoint.host(host.name)
    outlets = _outlets(host, network.sockets, checkpoint.receiver_pid(host.name))
    image = await image_of(host)
    command = host_command(
        qemu,
        host,
        outlets,
        accelerator=conditions.accelerator,
        manifest=image.manifest,
        image_folder=image.folder,
        memory=Memory(files.memory, conditions.machine, share="on"),
    )
    receiver = Receiver(host, _socket(host, network.sockets, "in"), outlets.monitor, files)
    try:
        await processes.start_daemon(command, outlets.pid, mark=str(outlets.pid))
        async with monitor(receiver.monitor) as receiving_qemu:
            await receiving_qemu.execute("migrate-incoming", uri=f"unix:{receiver.entrance}")
        yield receiver
    finally:
        with anyio.CancelScope(shield=True):
            await end_receiver(host, network, outlets.pid)


async def end_receiver(host: HostRecord, network: NetworkRecord, pidfile: Path) -> None:
    """End a receiver, if it runs, and remove its sockets.

    Args:
        host: The host that was moved into it.
        network: Its network.
        pidfile: Where it wrote its process id.
    """
    identity = processes.identity_from_pidfile(pidfile, mark=str(pidfile))
    if identity is not None:
        await processes.terminate(identity)
    sockets = [_socket(host, network.sockets, what) for what in ("qmp", "qga", "card", "in")]
    for path in (*sockets, pidfile):
        await anyio.Path(path).unlink(missing_ok=True)


async def end_left_receivers(checkpoints: Path) -> None:
    """End the receivers of checkpoints that were not completed, by who was killed.

    Args:
        checkpoints: Folder of a cluster's checkpoints, to which nobody adds one now.
    """
    folders = await anyio.to_thread.run_sync(
        lambda: [host for left in half_made(checkpoints) for host in left.glob("*/")]
    )
    for host in folders:  # that may not have written their pid files yet
        await processes.end_unfinished(str(CheckpointFiles(host.parent).receiver_pid(host.name)))


def _outlets(host: HostRecord, sockets: Sockets, pidfile: Path) -> Outlets:
    return Outlets(
        # A disk is never read here; it must be there, and as large.
        disk=f"driver=null-co,node-name=disk,size={host.size.disk},read-zeroes=on",
        disk_node="disk",
        card=_socket(host, sockets, "card"),
        agent=_socket(host, sockets, "qga"),
        monitor=_socket(host, sockets, "qmp"),
        console=Path("/dev/null"),
        pid=pidfile,
        identity=host.files.identity,
    )


def _socket(host: HostRecord, sockets: Sockets, what: str) -> Path:
    # Not beside the hosts' cards: the switch connects to everything there.
    return sockets.folder / f"{host.id}.copy.{what}"
