"""What happens to a host's QEMU process once it runs: asked, shut down, watched."""

from __future__ import annotations

import anyio

from kutti_sdk.core.errors import HypervisorError, PortInUseError
from kutti_sdk.core.status import HostStatus
from kutti_sdk.drivers.qemu import forwards, records, resume, suspended
from kutti_sdk.drivers.qemu.binaries import find_qemu
from kutti_sdk.drivers.qemu.qmp import ask_agent, monitor
from kutti_sdk.drivers.qemu.records import HostRecord, NetworkRecord
from kutti_sdk.drivers.qemu.run_state import RunState, ask_run_state
from kutti_sdk.drivers.qemu.services import ensure_services, services_run, stop_services
from kutti_sdk.runtime import processes
from kutti_sdk.runtime.awake import limited
from kutti_sdk.runtime.locks import holder, locked

_STATUS_TIMEOUT = 2.0  # seconds; QEMU answers in milliseconds, unless it hangs
_REMINDER = 5.0  # seconds; a host that is still booting does not hear its power button
_PAUSE_CHECK = 1.0  # seconds; QEMU tells of pauses only to who listens all the time
_START_CHECK = 0.1  # seconds; nobody tells of a process that is about to start


def host_process(record: HostRecord) -> processes.ProcessIdentity | None:
    """Find a host's QEMU.

    Args:
        record: The host.

    Returns:
        Its identity, or None when it does not run.
    """
    return processes.identity_from_pidfile(record.files.pid, mark=record.uuid)


async def host_status(record: HostRecord) -> HostStatus:
    """Ask QEMU what state a host is in; waits for no lock.

    Args:
        record: The host.

    Returns:
        Running, also while it stands still for the moment in which it is saved. Suspended,
        also when it was left standing still by who was killed meanwhile. Stopped. Error when
        it was paused by a failure, is without a disk, or half of another host because going
        on from a saved state was interrupted. Unknown when there is a QEMU that does not
        answer.
    """
    identity = host_process(record)
    state = None if identity is None else await run_state(record, identity)
    if identity is None or state is None:
        is_silent = identity is not None and processes.is_alive(identity)
        return HostStatus.UNKNOWN if is_silent else await _status_at_rest(record)
    if state is RunState.ENDED:
        return HostStatus.STOPPED
    if state is RunState.FAILED:
        return HostStatus.ERROR
    if state is not RunState.RUNS and await suspended.is_left(record):
        return HostStatus.SUSPENDED
    if state is RunState.RUNS and not await resume.is_left(record):
        return HostStatus.RUNNING
    return await _status_in_between(record, identity)


async def run_state(record: HostRecord, identity: processes.ProcessIdentity) -> RunState | None:
    """Ask QEMU what a host's machine does.

    Args:
        record: The host.
        identity: Its QEMU.

    Returns:
        What it does; None when QEMU ends meanwhile, or does not answer for 2 s.
    """
    network = await records.load_network(record.networkname)
    try:
        async with limited(_STATUS_TIMEOUT):
            while processes.is_alive(identity):
                try:
                    async with monitor(network.sockets.monitor(record.id)) as qemu:
                        return await ask_run_state(qemu)
                except HypervisorError:
                    # It does not listen yet, or not any more: it is starting or ending.
                    with anyio.move_on_after(_START_CHECK):
                        await processes.wait_for_exit(identity)
    except TimeoutError:
        pass
    return None


async def bytes_read(record: HostRecord) -> int:
    """Ask QEMU how much a host has read from its disk; a host that boots goes on reading.

    Args:
        record: The host.

    Returns:
        Bytes since it was started; 0 when there is no answer.
    """
    network = await records.load_network(record.networkname)
    try:
        async with monitor(network.sockets.monitor(record.id), timeout=_STATUS_TIMEOUT) as qemu:
            devices = await qemu.execute("query-blockstats")
            return sum(int(device["stats"]["rd_bytes"]) for device in devices)
    except HypervisorError:
        return 0


async def shut_down(record: HostRecord, identity: processes.ProcessIdentity) -> None:
    """Ask a host to shut down, until it has.

    Args:
        record: The host.
        identity: Its QEMU.
    """
    network = await records.load_network(record.networkname)
    sockets = network.sockets
    while processes.is_alive(identity):
        try:
            async with monitor(sockets.monitor(record.id)) as qemu:
                await qemu.execute("system_powerdown")
        except HypervisorError:
            if not processes.is_alive(identity):
                return
            await ask_agent(sockets.agent(record.id), "guest-shutdown", timeout=_REMINDER)
        with anyio.move_on_after(_REMINDER):
            await processes.wait_for_exit(identity)


async def wait_for_event(record: HostRecord) -> None:
    """Wait until a host's state may have changed.

    Args:
        record: The host.
    """
    identity = host_process(record)
    if identity is None:
        await anyio.sleep(_START_CHECK)
    else:
        with anyio.move_on_after(_PAUSE_CHECK):
            await processes.wait_for_exit(identity)


async def serve(network: NetworkRecord, record: HostRecord) -> None:
    """Start what a host's network needs, and let ports lead to the host.

    Args:
        network: Its network.
        record: The host.

    Raises:
        HypervisorError: When a service does not start.
        PortInUseError: When a port that leads to the host was taken meanwhile.
    """
    qemu = await find_qemu()
    async with locked(network.files.lock):
        await forwards.begin_change(network)  # a new gateway knows none of them
        await ensure_services(qemu, network, await records.load_hosts(network.name))
        failures = await forwards.reconcile(network)
    for forward in record.forwards:
        if forward in failures:
            raise PortInUseError(
                f"port {forward.host_port} of this machine, which leads to port "
                f"{forward.vm_port} of host {record.name!r}, is not free: {failures[forward]}",
                hint="End that program, or unforward the port and forward another.",
                driver="qemu",
                host=record.name,
            )


async def heal_services(record: HostRecord) -> None:
    """Start the switch and the gateway again if a running host has lost them.

    Args:
        record: A host that wants them.
    """
    network = await records.load_network(record.networkname)
    if host_process(record) is not None and not services_run(network):
        await serve(network, record)


async def rest_services(networkname: str) -> None:
    """End the switch and the gateway when no host of the network runs any more.

    Args:
        networkname: Name of the network.
    """
    network = await records.load_network(networkname)
    async with locked(network.files.lock):
        if not any(map(host_process, await records.load_hosts(networkname))):
            await stop_services(network)


async def _status_at_rest(record: HostRecord) -> HostStatus:
    if not await anyio.Path(record.disk_path).exists():
        return HostStatus.ERROR
    kept = await suspended.is_suspended(record)
    return HostStatus.SUSPENDED if kept else HostStatus.STOPPED


async def _status_in_between(record: HostRecord, identity: processes.ProcessIdentity) -> HostStatus:
    """Tell the status of a host that is started or saved, or was when somebody was killed.

    Whoever does it holds the host's lock.
    """
    network = await records.load_network(record.networkname)
    if holder(network.sockets.lock(record.id)) is not None:
        return HostStatus.RUNNING
    state = await run_state(record, identity)  # asked again: who did it may have ended since
    if state is None:
        return HostStatus.UNKNOWN
    if state is RunState.WAITS or await resume.is_left(record):
        return HostStatus.ERROR  # it may not know who it is
    return HostStatus.RUNNING if state is RunState.RUNS else HostStatus.SUSPENDED
