"""Saves all hosts of a cluster at one instant, while they run.

Each host is moved into a receiver as if it should go on in there, while it runs: that
takes seconds. When all have come through once, they are stopped together; what they
have changed meanwhile follows, their disks are left as they are under new ones, and
they run on where they were. The pause is as long as the last changes take; a busy host
is gone over again and again, until little is left or it changes faster than it is moved.
"""

from __future__ import annotations

import shutil
import time
from contextlib import AsyncExitStack
from dataclasses import replace
from functools import partial

import anyio
import anyio.to_thread

from kutti_sdk.core.checkpoints import CheckpointDetails
from kutti_sdk.core.errors import (
    HypervisorError,
)
from kutti_sdk.core.events import report
from kutti_sdk.core.names import validate_name
from kutti_sdk.core.sizes import MiB, format_size
from kutti_sdk.drivers.qemu import records
from kutti_sdk.drivers.qemu.binaries import find_qemu
from kutti_sdk.drivers.qemu.checkpoints import disks, store
from kutti_sdk.drivers.qemu.checkpoints.accounting import measured
from kutti_sdk.drivers.qemu.checkpoints.examination import examine, refuse_full_disk
from kutti_sdk.drivers.qemu.checkpoints.files import CheckpointFiles, checkpoint_files
from kutti_sdk.drivers.qemu.checkpoints.receiver import Receiver, receiving
from kutti_sdk.drivers.qemu.checkpoints.records import CheckpointRecord, layers_of
from kutti_sdk.drivers.qemu.checkpoints.rendezvous import Rendezvous
from kutti_sdk.drivers.qemu.checkpoints.standstill import run_on
from kutti_sdk.drivers.qemu.qmp import Monitor, monitor
from kutti_sdk.drivers.qemu.records import HostRecord, NetworkRecord
from kutti_sdk.drivers.qemu.resume import Conditions, migration_end, set_capabilities
from kutti_sdk.runtime import state
from kutti_sdk.runtime.directories import make_private
from kutti_sdk.runtime.locks import locked
from kutti_sdk.runtime.tasks import run_all

_AGENT_TIMEOUT = 10.0  # seconds; it answers in a tenth of one, unless the host boots still
_PAUSE_LIMIT = 60.0  # seconds; then the hosts run on, and nothing is saved
_STEP = 0.05  # seconds; events of a migration are lost before anybody listens
_NO_LIMIT = 2**40  # bytes per second
_LITTLE = 32 * MiB  # of memory left to move; takes a tenth of a second
_MOST_PASSES = 8
_DISK_RESERVE = 64 * MiB
_CLEAN_UP = 30.0  # seconds

# States of a migration, from qapi/migration.json.
_STILL = "pre-switchover"
_FAILED = frozenset({"failed", "cancelled"})


async def save_checkpoint(
    name: str, networkname: str, clustername: str, note: str
) -> CheckpointDetails:
    """Save a running cluster.

    Args:
        name: Name of the checkpoint.
        networkname: Name of the network.
        clustername: Name of the cluster.
        note: Something to remember it by.

    Returns:
        What came of it.

    Raises:
        KuttiError: As `SupportsCheckpoints.save_checkpoint` lists them.
    """
    validate_name(name, "checkpoint name")
    validate_name(clustername, "cluster name")
    network = await records.load_network(networkname)
    files = checkpoint_files(network.files, clustername, name)
    async with (
        store.changing(network, clustername),
        store.held_hosts(network, clustername) as hosts,
    ):
        await store.refuse_taken_name(files)
        report("checkpoint", f"saving {clustername} as {name}", cluster=clustername)
        conditions = await _examine_all(network, hosts)
        await refuse_full_disk(hosts)
        place = store.beside(files)
        try:
            record = await _save(network, hosts, conditions, place)
            record = replace(record, name=name, note=note)
            await state.save(place.record, record)
            await anyio.to_thread.run_sync(state.sync_folder, place.folder)
            await anyio.Path(place.folder).rename(files.folder)
            await anyio.to_thread.run_sync(state.sync_folder, files.folder.parent)
        except BaseException:
            with anyio.CancelScope(shield=True):
                await anyio.to_thread.run_sync(
                    lambda: shutil.rmtree(place.folder, ignore_errors=True)
                )
            raise
    words = f"saved {clustername} as {name}; its hosts stood still for {record.pause:.2f} s"
    report("checkpoint", words, cluster=clustername, fraction=1.0)
    return await measured(record)


async def _examine_all(network: NetworkRecord, hosts: list[HostRecord]) -> Conditions:
    """Make sure that all hosts can be saved; tell under what they run."""
    found = await run_all(*(partial(examine, network, host) for host in hosts))
    for host, conditions in zip(hosts, found, strict=True):
        if conditions != found[0]:
            raise HypervisorError(
                f"hosts {hosts[0].name!r} and {host.name!r} run under different conditions",
                hint="Stop and start the cluster; then all run under the QEMU of now.",
                driver="qemu",
                cluster=host.clustername,
            )
    return found[0]


async def _save(
    network: NetworkRecord,
    hosts: list[HostRecord],
    conditions: Conditions,
    place: CheckpointFiles,
) -> CheckpointRecord:
    """Save hosts that can be saved; what is missing of the record are its names."""
    qemu = await find_qemu()
    async with AsyncExitStack() as stack:
        receivers = []
        saved = await run_all(*(partial(_prepare, network, host, place) for host in hosts))
        for host in saved:
            receiver = receiving(qemu, host, network, conditions, place)
            receivers.append(await stack.enter_async_context(receiver))
        try:
            pause = await _copy(network, receivers)
        except BaseException:
            with anyio.CancelScope(shield=True), anyio.move_on_after(_CLEAN_UP):
                await run_all(*(partial(run_on, network, host) for host in saved))
            raise
        created = time.time()
        report("checkpoint", "the hosts run on, and what was saved is written", fraction=0.8)
        await run_all(*(receiver.keep for receiver in receivers))
    layers = [place.folder / host.name / name for host in saved for name in layers_of(host)]
    for layer in layers:
        await anyio.to_thread.run_sync(state.sync_file, layer)
    for host in saved:
        await anyio.to_thread.run_sync(state.sync_folder, place.folder / host.name)
    return CheckpointRecord(
        name="",
        networkname=network.name,
        clustername=hosts[0].clustername,
        cidr=network.cidr,
        note="",
        created=created,
        pause=pause,
        conditions=conditions,
        hosts=tuple(saved),
        memory=await disks.bytes_of(
            path
            for host in saved
            for path in (place.host(host.name).memory, place.host(host.name).devices)
        ),
        disk=await disks.bytes_of(layers),
    )


async def _prepare(network: NetworkRecord, host: HostRecord, place: CheckpointFiles) -> HostRecord:
    """Make an empty disk above a host's disk, and note it before it is used.

    Whatever happens from here on, the host has all that it has written: it goes on with
    the disk below until it is switched over, and boots from the one above.
    """
    async with monitor(network.sockets.monitor(host.id)) as qemu:
        host = await disks.written_to(qemu, host)
    folder = place.folder / host.name
    await anyio.to_thread.run_sync(make_private, folder)
    above = await disks.put_on_top(await find_qemu(), host, host.files.folder)
    async with locked(network.files.lock):
        now = await records.load_host(host.name, network.name, host.clustername)
        await records.save_host(replace(now, disk=above.disk, layers=above.layers))
    names = (layers_of(host), host.files.folder, folder)
    await anyio.to_thread.run_sync(disks.link_layers, *names)
    await anyio.to_thread.run_sync(disks.remove_other_disks, above, host.files.folder)
    return host


async def _copy(network: NetworkRecord, receivers: list[Receiver]) -> float:
    """Move all hosts into their receivers, and let them run on; tell how long they paused."""
    stills = await run_all(*(partial(_begin_copy, network, receiver) for receiver in receivers))
    stopped, moved = Rendezvous(len(receivers)), Rendezvous(len(receivers))

    async def finish(receiver: Receiver, still_since: float | None) -> float:
        host = receiver.host
        record = await records.load_host(host.name, network.name, host.clustername)
        # One conversation: whoever else asks for its state waits until it runs on.
        async with monitor(network.sockets.monitor(host.id), timeout=_PAUSE_LIMIT) as qemu:
            began = anyio.current_time() if still_since is None else still_since
            await qemu.execute("stop")
            await stopped.wait()
            await _reach(qemu, _STILL)
            await disks.switch_over(qemu, record)
            await qemu.execute("migrate-continue", state=_STILL)
            await migration_end(qemu)
            await moved.wait()
            await qemu.execute("cont")
            return anyio.current_time() - began

    jobs = (partial(finish, *pair) for pair in zip(receivers, stills, strict=True))
    return max(await run_all(*jobs))


async def _begin_copy(network: NetworkRecord, receiver: Receiver) -> float | None:
    """Move a host's memory while it runs on, until little is left.

    Returns:
        Since when it stands still already, because nothing was left to move; else None.
    """
    host = receiver.host
    socket = network.sockets.monitor(host.id)
    async with monitor(socket) as qemu:
        await set_capabilities(qemu, **{"pause-before-switchover": True, "x-ignore-shared": False})
        # Without a limit QEMU would stop the host by itself, as soon as little is left.
        parameters = {"max-bandwidth": _NO_LIMIT, "downtime-limit": 0}
        await qemu.execute("migrate-set-parameters", **parameters)
        await qemu.execute("migrate", uri=f"unix:{receiver.entrance}")
    passed = 0
    while True:
        async with monitor(socket) as qemu:
            progress = await qemu.execute("query-migrate")
        _refuse_failure(progress)
        if progress.get("status") == _STILL:
            return anyio.current_time()
        memory = progress.get("ram")
        if memory is not None:
            passes, left = memory["dirty-sync-count"], memory["remaining"]
            if passes > passed:
                passed = passes
                words = f"copying {format_size(left)} of the memory of {host.name}"
                report("checkpoint", words, host=host.name)
            if passes > _MOST_PASSES or (passes > 1 and left <= _LITTLE):
                return None
        await anyio.sleep(_STEP)


async def _reach(qemu: Monitor, wanted: str) -> None:
    while True:
        progress = await qemu.execute("query-migrate")
        _refuse_failure(progress)
        if progress.get("status") == wanted:
            return
        await anyio.sleep(_STEP / 5)  # the hosts stand still for as long as this takes


def _refuse_failure(progress: dict[str, object]) -> None:
    if progress.get("status") in _FAILED:
        reason = progress.get("error-desc", progress["status"])
        raise HypervisorError(f"QEMU could not copy a host: {reason}", driver="qemu")
