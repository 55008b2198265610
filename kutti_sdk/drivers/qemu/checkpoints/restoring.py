"""Brings a cluster back to the instant at which it was saved."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import anyio
import anyio.to_thread

from kutti_sdk.core.errors import CheckpointMismatchError
from kutti_sdk.core.events import report
from kutti_sdk.drivers.qemu import capacity, lifecycle, records
from kutti_sdk.drivers.qemu.binaries import find_qemu
from kutti_sdk.drivers.qemu.checkpoints import disks, store
from kutti_sdk.drivers.qemu.checkpoints.conditions import refuse_mismatch
from kutti_sdk.drivers.qemu.checkpoints.files import CheckpointFiles, checkpoint_files
from kutti_sdk.drivers.qemu.checkpoints.records import (
    CheckpointRecord,
    layers_of,
    load_checkpoint,
)
from kutti_sdk.drivers.qemu.images import image_of
from kutti_sdk.drivers.qemu.records import HostRecord, NetworkRecord
from kutti_sdk.drivers.qemu.resume import drop_state, place_state
from kutti_sdk.drivers.qemu.services import end_gateway
from kutti_sdk.drivers.qemu.starting import start_host
from kutti_sdk.drivers.qemu.suspended import drop_suspension
from kutti_sdk.runtime import processes, state
from kutti_sdk.runtime.locks import locked
from kutti_sdk.runtime.tasks import run_all


async def restore_checkpoint(name: str, networkname: str, clustername: str) -> None:
    """Bring a cluster back to a checkpoint; it runs then.

    Args:
        name: Name of the checkpoint.
        networkname: Name of the network.
        clustername: Name of the cluster.

    Raises:
        KuttiError: As `SupportsCheckpoints.restore_checkpoint` lists them.
    """
    network = await records.load_network(networkname)
    await load_checkpoint(network, clustername, name)
    async with (
        store.changing(network, clustername),
        store.held_hosts(network, clustername) as hosts,
    ):
        saved = await load_checkpoint(network, clustername, name)
        _refuse_other_hosts(saved, hosts)
        await refuse_unusable(saved)
        stopped = [host for host in hosts if lifecycle.host_process(host) is None]
        await capacity.check_memory([host.size for host in stopped])
        await capacity.check_disk(len(hosts))
        report("restore", f"bringing {clustername} back to {name}", cluster=clustername)
        files = checkpoint_files(network.files, clustername, name)
        # Until all disks are back they do not fit together, and no host may boot.
        journal = network.files.restoring(clustername)
        await anyio.to_thread.run_sync(state.write_bytes, journal, name.encode())
        await run_all(*(partial(_switch_off, host) for host in hosts))
        # Connections from outside would hang: the hosts remember them as they were then.
        # Without their gateway all ends of them know at once; it comes back with a host.
        async with locked(network.files.lock):
            await end_gateway(network)
        for host in saved.hosts:
            await _bring_back(network, host, saved, files)
        await anyio.Path(journal).unlink()
        back = await records.load_hosts(networkname)
        names = {host.name for host in saved.hosts}
        await run_all(*(partial(start_host, network, host) for host in back if host.name in names))
    report("restore", f"{clustername} is back at {name}", cluster=clustername, fraction=1.0)


async def refuse_unusable(saved: CheckpointRecord) -> None:
    """Make sure that saved hosts can go on here.

    Args:
        saved: The checkpoint.

    Raises:
        CheckpointMismatchError: When QEMU or the processor is another one.
        ImageNotDownloadedError: When an image is gone.
    """
    images = [await image_of(host) for host in saved.hosts]
    await refuse_mismatch(saved.conditions, await find_qemu(), images[0].kernel)


def _refuse_other_hosts(saved: CheckpointRecord, hosts: list[HostRecord]) -> None:
    if {host.uuid for host in saved.hosts} != {host.uuid for host in hosts}:
        raise CheckpointMismatchError(
            f"cluster {saved.clustername!r} has other hosts than when it was saved as "
            f"{saved.name!r}: {', '.join(host.name for host in saved.hosts)}",
            hint="Clone the checkpoint, which leaves this cluster as it is.",
            driver="qemu",
            cluster=saved.clustername,
        )


async def _switch_off(host: HostRecord) -> None:
    identity = lifecycle.host_process(host)
    if identity is not None:
        await processes.terminate(identity)


async def _bring_back(
    network: NetworkRecord, saved: HostRecord, checkpoint: CheckpointRecord, files: CheckpointFiles
) -> None:
    """Give a host the disk it had, and let it go on from the memory it had."""
    folder = saved.files.folder
    # The state last: while it is there, it must fit the disk.
    await anyio.to_thread.run_sync(drop_state, saved.files)
    await anyio.to_thread.run_sync(drop_suspension, saved.files)
    layers = (layers_of(saved), files.folder / saved.name, folder)
    await anyio.to_thread.run_sync(disks.link_layers, *layers)
    above = await disks.put_on_top(await find_qemu(), saved, folder)
    async with locked(network.files.lock):
        now = await records.load_host(saved.name, network.name, saved.clustername)
        back = replace(now, disk=above.disk, layers=above.layers)
        await records.save_host(back)
    await anyio.to_thread.run_sync(
        place_state, files.host(saved.name), back.files, checkpoint.conditions, None
    )
    await anyio.to_thread.run_sync(disks.remove_other_disks, back, folder)
