"""Processes of ours that no record knows, or that their pid file does not name any more.

The caller holds the network's lock whenever one is judged or ended: whoever starts a
switch or a gateway, or makes and deletes hosts, holds it as well.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio.to_thread

from kutti_sdk.core.errors import ConflictError, CorruptStateError
from kutti_sdk.core.findings import Finding, problem
from kutti_sdk.drivers.qemu import layout, lifecycle, services
from kutti_sdk.drivers.qemu.diagnosis.own_processes import OwnProcess
from kutti_sdk.drivers.qemu.records import HostRecord, NetworkRecord
from kutti_sdk.runtime import processes, state
from kutti_sdk.runtime.locks import holder, locked

PATIENCE = 5.0
"""Seconds to wait for who works on a network; then it is told who that is."""


@asynccontextmanager
async def network_lock(networkname: str) -> AsyncIterator[None]:
    """Hold the lock of a network that may not exist any more, and leave no lock of such a one.

    Args:
        networkname: Name of the network.

    Yields:
        Nothing.

    Raises:
        LockTimeoutError: When somebody works on it; names the process.
    """
    files = layout.network_files(networkname)
    async with locked(files.lock, timeout=PATIENCE):
        try:
            yield
        finally:
            if not files.folder.exists():
                files.lock.unlink(missing_ok=True)


async def look_at_process(process: OwnProcess) -> Finding | None:
    """Look whether somebody knows a process.

    Args:
        process: A process of ours.

    Returns:
        What is wrong with it, or None.
    """
    if process.uuid is None:
        reason = await _why_no_service(process)
    else:
        reason = await _why_no_host(process)
    if reason is None:
        return None
    return problem(
        f"network {process.networkname}",
        f"{process}, {reason}",
        f"End it: kill {process.identity.pid}.",
        mend=lambda: _end(process),
    )


async def look_at_pid_file(
    network: NetworkRecord, host: HostRecord, ours: list[OwnProcess]
) -> Finding | None:
    """Look whether a host runs without anybody being able to tell.

    Args:
        network: Its network.
        host: The host.
        ours: All processes of ours.

    Returns:
        That its pid file is gone while its QEMU runs, or None.
    """
    lost = _unnamed(host, ours)
    if lost is None or holder(network.sockets.lock(host.id)) is not None:  # it is being started
        return None
    return problem(
        f"host {host.clustername}/{host.name}",
        f"it runs as process {lost.identity.pid}, and its pid file is gone, "
        "so that it counts as stopped and cannot be started",
        f"Write the number {lost.identity.pid} into {host.files.pid}.",
        mend=lambda: _name_again(network, host, lost),
    )


async def _why_no_host(process: OwnProcess) -> str | None:
    folder = layout.HostFiles(process.pidfile.parent)
    try:
        record = await state.load(folder.record, HostRecord)
    except CorruptStateError:
        return None  # it may well be this host's: nobody ends it on a guess
    if record is None:
        return "runs, and there is no such host any more"
    return None if record.uuid == process.uuid else "runs, and the host of that name is another"


async def _why_no_service(process: OwnProcess) -> str | None:
    try:
        network = await state.load(layout.network_files(process.networkname).record, NetworkRecord)
    except CorruptStateError:
        return None
    if network is None:
        return "runs, and there is no such network any more"
    if process.pidfile == network.files.switch_pid:
        known = services.switch_identity(network)
    else:
        known = services.gateway_identity(network)
    return None if known == process.identity else "runs, and its pid file does not name it"


async def _end(process: OwnProcess) -> str:
    async with network_lock(process.networkname):
        if await look_at_process(process) is None:
            raise ConflictError(f"{process}, is known again; it was left alone", driver="qemu")
        await processes.terminate(process.identity)
    return f"ended {process}"


def _unnamed(host: HostRecord, ours: list[OwnProcess]) -> OwnProcess | None:
    if lifecycle.host_process(host) is not None:
        return None
    mine = [it for it in ours if it.uuid == host.uuid and it.pidfile == host.files.pid]
    # Two are one that is putting itself into the background.
    return mine[0] if len(mine) == 1 and processes.is_alive(mine[0].identity) else None


async def _name_again(network: NetworkRecord, host: HostRecord, lost: OwnProcess) -> str:
    layout.make_socket_folders(network.sockets)
    async with locked(network.sockets.lock(host.id), timeout=PATIENCE):  # as who starts it does
        if _unnamed(host, [lost]) is None:
            raise ConflictError("it stopped, or was started anew; it was left alone", driver="qemu")
        number = f"{lost.identity.pid}\n".encode()
        await anyio.to_thread.run_sync(state.write_bytes, host.files.pid, number)
    return f"wrote the pid file of host {host.name} in cluster {host.clustername} again"
