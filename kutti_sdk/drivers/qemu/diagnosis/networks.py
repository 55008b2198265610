"""Each network, under its lock: what its records say, and what is true."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from functools import partial

import anyio.to_thread

from kutti_sdk.core.errors import ConflictError, CorruptStateError, KuttiError, LockTimeoutError
from kutti_sdk.core.findings import Finding, guarded, note, ok, problem
from kutti_sdk.core.status import HostStatus
from kutti_sdk.drivers.qemu import layout, lifecycle, records, services
from kutti_sdk.drivers.qemu.checkpoints.files import half_made, lock_of
from kutti_sdk.drivers.qemu.checkpoints.standstill import settle
from kutti_sdk.drivers.qemu.checkpoints.store import changing
from kutti_sdk.drivers.qemu.diagnosis.own_processes import OwnProcess, own_processes
from kutti_sdk.drivers.qemu.diagnosis.strays import (
    PATIENCE,
    look_at_pid_file,
    look_at_process,
    network_lock,
)
from kutti_sdk.drivers.qemu.images import image_of
from kutti_sdk.drivers.qemu.records import HostRecord, NetworkRecord
from kutti_sdk.runtime import state
from kutti_sdk.runtime.locks import holder, locked
from kutti_sdk.runtime.tasks import run_all

_PROCESSES = "processes"


async def look() -> list[Finding]:
    """Look at all networks, and at the processes of networks that are gone.

    Returns:
        What was found.
    """
    ours = await own_processes()
    names = {it.networkname for it in ours}
    names |= set(await anyio.to_thread.run_sync(_folder_names))
    found = await run_all(
        *(partial(guarded, f"network {it}", partial(_look_at, it, ours)) for it in sorted(names))
    )
    findings = [finding for some in found for finding in some]
    if not findings:
        findings.append(ok(_PROCESSES, f"{len(ours)} run, and each belongs to a record"))
    return findings


def _folder_names() -> list[str]:
    return [
        folder.name
        for folder in layout.networks_folder().iterdir()
        if folder.is_dir() and not folder.name.startswith(layout.HALF_MADE)
    ]


async def _look_at(networkname: str, ours: Sequence[OwnProcess]) -> list[Finding]:
    mine = [process for process in ours if process.networkname == networkname]
    try:
        async with network_lock(networkname):
            return await _look_under_lock(networkname, mine)
    except LockTimeoutError as error:
        return [note(f"network {networkname}", error.message, "Look again when that has ended.")]


async def _look_under_lock(networkname: str, mine: list[OwnProcess]) -> list[Finding]:
    findings = [await look_at_process(process) for process in mine]
    subject = f"network {networkname}"
    files = layout.network_files(networkname)
    try:
        network = await state.load(files.record, NetworkRecord)
    except CorruptStateError as error:
        return [*filter(None, findings), problem(subject, error.message, error.hint or "")]
    if network is None:
        return [*filter(None, findings), *await _without_record(networkname)]
    findings += [
        problem(
            subject,
            f"there is a host whose record cannot be read, {folder}",
            "Mend host.json, or move the folder away: until then no host can be made there, "
            "and no image be removed.",
        )
        for folder in await records.unreadable_hosts(networkname)
    ]
    hosts = await records.load_hosts(networkname)
    findings += [await look_at_pid_file(network, host, mine) for host in hosts]
    findings += await run_all(*(partial(_look_at_host, network, host) for host in hosts))
    findings.append(_services(network, hosts, mine))
    findings.append(await _half_made(networkname))
    findings += await _half_made_checkpoints(network)
    return [*filter(None, findings)]


async def _without_record(networkname: str) -> list[Finding]:
    folder = layout.network_files(networkname).folder
    if not await anyio.Path(folder).exists():
        return []
    subject = f"network {networkname}"
    if await anyio.to_thread.run_sync(_hosts_below, networkname):
        return [
            problem(
                subject,
                f"its record {folder / 'network.json'} is gone, and there are hosts in it",
                "Put the file back from a backup. Without it the hosts cannot be used.",
            )
        ]
    return [
        note(
            subject,
            "was left by who was killed while making or deleting it",
            f"Remove {folder}.",
            mend=lambda: _remove_left(networkname),
        )
    ]


async def _remove_left(networkname: str) -> str:
    async with network_lock(networkname):
        files = layout.network_files(networkname)
        hosts = await anyio.to_thread.run_sync(_hosts_below, networkname)
        if hosts or await anyio.Path(files.record).exists():
            raise ConflictError(f"network {networkname} is in use again; it was left alone")
        await anyio.to_thread.run_sync(shutil.rmtree, files.folder)
    return f"removed what was left of network {networkname}"


def _hosts_below(networkname: str) -> bool:
    hosts = layout.network_files(networkname).hosts
    return any(not path.parent.name.startswith(layout.HALF_MADE) for path in hosts.glob("*/*/*"))


async def _look_at_host(network: NetworkRecord, host: HostRecord) -> Finding | None:
    subject = f"host {host.clustername}/{host.name}"
    if not await anyio.Path(host.files.disk).exists():
        return problem(subject, f"its disk {host.files.disk} is gone", "Delete the host.")
    try:
        await image_of(host)
    except KuttiError as error:
        return problem(subject, error.message, error.hint or "")
    if holder(network.sockets.lock(host.id)) is not None:  # it is started, saved or suspended
        return None
    return await _look_at_status(subject, network, host)


async def _look_at_status(subject: str, network: NetworkRecord, host: HostRecord) -> Finding | None:
    match await lifecycle.host_status(host):
        case HostStatus.UNKNOWN:
            return problem(
                subject,
                "its QEMU runs and does not answer",
                "force_stop() ends it, and start() brings the host back.",
            )
        case HostStatus.ERROR:
            return problem(
                subject,
                "QEMU has paused it, because of a full disk perhaps",
                "Make room; then force_stop() and start() it.",
            )
        case HostStatus.SUSPENDED if lifecycle.host_process(host) is not None:
            return problem(
                subject,
                "it was left standing still by who was killed while it was saved or suspended",
                "start() lets it go on, with all that is in its memory.",
                mend=lambda: _let_run_on(network, host),
            )
    return None


async def _let_run_on(network: NetworkRecord, host: HostRecord) -> str:
    async with locked(network.sockets.lock(host.id), timeout=PATIENCE):
        await settle(network, host)
    return f"host {host.name} of cluster {host.clustername} is {await lifecycle.host_status(host)}"


def _services(
    network: NetworkRecord, hosts: list[HostRecord], mine: Sequence[OwnProcess]
) -> Finding | None:
    if _is_starting(network, hosts):  # services are started side by side with hosts
        return None
    running = [host for host in hosts if lifecycle.host_process(host) is not None]
    subject = f"network {network.name}"
    if running and not services.services_run(network):
        return problem(
            subject,
            "hosts run, and its switch or its gateway does not: they cannot be reached",
            "attach() to the cluster and use it: that starts them.",
            mend=lambda: _heal(network, running[0]),
        )
    idle = services.switch_identity(network) or services.gateway_identity(network)
    # A host whose pid file is gone runs all the same.
    if idle is None or running or any(process.uuid for process in mine):
        return None
    return note(
        subject,
        "its switch or its gateway runs, and no host does",
        "They do no harm; they end when the next host stops.",
        mend=lambda: _rest(network),
    )


def _is_starting(network: NetworkRecord, hosts: list[HostRecord]) -> bool:
    """Whether somebody holds a host's lock, as who starts it does."""
    return any(holder(network.sockets.lock(host.id)) is not None for host in hosts)


async def _heal(network: NetworkRecord, host: HostRecord) -> str:
    await lifecycle.heal_services(host)
    return f"started the switch and the gateway of network {network.name} again"


async def _rest(network: NetworkRecord) -> str:
    await lifecycle.rest_services(network.name)
    if services.switch_identity(network) or services.gateway_identity(network):
        raise ConflictError("a host runs again; its switch and its gateway were left alone")
    return f"ended the switch and the gateway of network {network.name}"


async def _half_made(networkname: str) -> Finding | None:
    hosts = layout.network_files(networkname).hosts
    left = await anyio.to_thread.run_sync(
        lambda: sorted(path.name for path in hosts.glob(f"*/{layout.HALF_MADE}*"))
    )
    if not left:
        return None
    return note(
        f"network {networkname}",
        f"there are hosts that were half made or half deleted: {', '.join(left)}",
        "They are removed when the next host is made.",
        mend=lambda: _sweep(networkname),
    )


async def _half_made_checkpoints(network: NetworkRecord) -> list[Finding]:
    """Find what was left of checkpoints, by cluster; not where somebody works on them."""
    found = await anyio.to_thread.run_sync(
        lambda: {
            folder.name: sorted(path.name for path in half_made(folder))
            for folder in network.files.checkpoints_folder.glob("*/")
            if holder(lock_of(network.files, folder.name)) is None
        }
    )
    return [
        note(
            f"cluster {clustername}",
            f"there are checkpoints that were half made or half deleted: {', '.join(left)}",
            "They are removed when the next checkpoint is made.",
            mend=partial(_sweep_checkpoints, network, clustername),
        )
        for clustername, left in found.items()
        if left
    ]


async def _sweep_checkpoints(network: NetworkRecord, clustername: str) -> str:
    async with changing(network, clustername):
        return f"removed half made checkpoints of cluster {clustername}"


async def _sweep(networkname: str) -> str:
    async with network_lock(networkname):
        await anyio.to_thread.run_sync(records.sweep, networkname)
    return f"removed half made hosts of network {networkname}"
