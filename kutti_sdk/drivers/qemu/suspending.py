"""Suspends all hosts of a cluster at one instant: their memory goes to the disk.

Unlike a checkpoint, nothing runs on meanwhile. So the hosts are stopped first, and each
QEMU writes what it has into a file and ends. Nothing is kept of it when a host fails:
then all run on. The disks are as QEMU leaves them, with nothing unwritten.
"""

from __future__ import annotations

import logging
import time
from functools import partial

import anyio
import anyio.to_thread

from kutti_sdk.core.errors import HostNotRunningError, HypervisorError
from kutti_sdk.core.events import report
from kutti_sdk.core.names import validate_name
from kutti_sdk.drivers.qemu import lifecycle, records, suspended
from kutti_sdk.drivers.qemu.checkpoints import store
from kutti_sdk.drivers.qemu.checkpoints.examination import examine, refuse_full_disk
from kutti_sdk.drivers.qemu.checkpoints.standstill import settle
from kutti_sdk.drivers.qemu.qmp import monitor
from kutti_sdk.drivers.qemu.records import HostRecord, NetworkRecord
from kutti_sdk.drivers.qemu.resume import Conditions, set_capabilities
from kutti_sdk.drivers.qemu.suspended import SuspendedFiles, Suspension, drop_suspension, give_up
from kutti_sdk.runtime import processes, state
from kutti_sdk.runtime.tasks import run_all

_NO_LIMIT = 2**40  # bytes per second
_CLEAN_UP = 30.0  # seconds

_log = logging.getLogger(__name__)


async def suspend_cluster(networkname: str, clustername: str) -> None:
    """Suspend all hosts of a cluster that run.

    Args:
        networkname: Name of the network.
        clustername: Name of the cluster.

    Raises:
        KuttiError: As `SupportsSuspension.suspend_cluster` lists them.
    """
    validate_name(clustername, "cluster name")
    network = await records.load_network(networkname)
    async with (
        store.changing(network, clustername),
        store.held_hosts(network, clustername) as hosts,
    ):
        running = [host for host in hosts if lifecycle.host_process(host) is not None]
        if not running:
            await _refuse_stopped(hosts)
            return
        conditions = await run_all(*(partial(examine, network, host) for host in running))
        await refuse_full_disk(running)
        report("suspend", f"suspending {clustername}", cluster=clustername)
        try:
            await run_all(*(partial(_stand_still, network, host) for host in running))
            pairs = zip(running, conditions, strict=True)
            kept = await run_all(*(partial(_write, network, *pair) for pair in pairs))
            # From its record on, a host is suspended; before the last, none has ended.
            for host, suspension in zip(running, kept, strict=True):
                await state.save(SuspendedFiles(host.files.suspended).record, suspension)
        except BaseException:
            with anyio.CancelScope(shield=True), anyio.move_on_after(_CLEAN_UP):
                for host in running:
                    await anyio.to_thread.run_sync(give_up, host.files)
                await run_all(*(partial(_let_run_on, network, host) for host in running))
            raise
        with anyio.CancelScope(shield=True):
            await run_all(*(partial(_end, host) for host in running))
            await lifecycle.rest_services(networkname)
    report("suspend", f"{clustername} is suspended", cluster=clustername, fraction=1.0)


async def _refuse_stopped(hosts: list[HostRecord]) -> None:
    """Make sure that a cluster of which nothing runs is suspended already."""
    for host in hosts:
        if await suspended.is_suspended(host):
            return
    raise HostNotRunningError(
        f"no host of cluster {hosts[0].clustername!r} runs",
        hint="A stopped cluster takes no memory either.",
        driver="qemu",
        cluster=hosts[0].clustername,
    )


async def _stand_still(network: NetworkRecord, host: HostRecord) -> None:
    # The folder first: with it, who finds the host standing still knows why.
    await anyio.to_thread.run_sync(drop_suspension, host.files)
    await anyio.Path(host.files.suspended).mkdir(mode=0o700)
    async with monitor(network.sockets.monitor(host.id)) as qemu:
        await qemu.execute("stop")  # QEMU has written all to the disk when it returns


async def _let_run_on(network: NetworkRecord, host: HostRecord) -> None:
    try:
        await settle(network, host)
    except HypervisorError as error:  # the others shall run on nevertheless
        _log.warning("host %s was left standing still: %s", host.name, error)


async def _write(network: NetworkRecord, host: HostRecord, conditions: Conditions) -> Suspension:
    """Let QEMU write down a host that stands still, to the disk."""
    files = SuspendedFiles(host.files.suspended)
    try:
        await _move(network, host, files)
        size, digest = await suspended.checked_size(files)
    except OSError as error:
        raise HypervisorError(
            f"what is in the memory of {host.name!r} could not be written: {error.strerror}",
            hint=f"See whether the disk that holds {files.folder} is full or broken.",
            driver="qemu",
            host=host.name,
        ) from error
    return Suspension(
        conditions=conditions, disk=host.disk, size=size, sha256=digest, created=time.time()
    )


async def _move(network: NetworkRecord, host: HostRecord, files: SuspendedFiles) -> None:
    with await anyio.to_thread.run_sync(files.state.open, "xb") as file:
        async with monitor(network.sockets.monitor(host.id)) as qemu:
            # What was chosen for an earlier checkpoint would hold still.
            usual = {"pause-before-switchover": False, "x-ignore-shared": False}
            await set_capabilities(qemu, **usual)
            await qemu.execute("migrate-set-parameters", **{"max-bandwidth": _NO_LIMIT})
            await qemu.give_file("state", file)
            await qemu.execute("migrate", uri="fd:state")
        await suspended.moved(host, network, file, partial(_tell, host))
    await anyio.to_thread.run_sync(state.sync_file, files.state)


def _tell(host: HostRecord, done: int) -> None:
    message = f"writing the memory of {host.name}"
    report("suspend", message, cluster=host.clustername, host=host.name, bytes_done=done)


async def _end(host: HostRecord) -> None:
    identity = lifecycle.host_process(host)
    if identity is not None:
        await processes.terminate(identity)
