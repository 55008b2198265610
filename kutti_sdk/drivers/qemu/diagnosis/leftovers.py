"""Files of what runs no more: sockets and pid files of killed processes, folders of sockets.

They are in nobody's way, since who starts a process replaces them. They are told because
people who look for a fault wonder about them.
"""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import anyio.to_thread

from kutti_sdk.core.errors import LockTimeoutError
from kutti_sdk.core.findings import Finding, note
from kutti_sdk.drivers.qemu import layout, records
from kutti_sdk.drivers.qemu.diagnosis.own_processes import named_in_command_lines, own_processes
from kutti_sdk.drivers.qemu.diagnosis.strays import network_lock
from kutti_sdk.drivers.qemu.records import NetworkRecord
from kutti_sdk.runtime.directories import runtime_dir
from kutti_sdk.runtime.locks import holder

_NETWORK_ID = re.compile("[0-9a-f]{8}")


async def look() -> list[Finding]:
    """Look for files that are left.

    Returns:
        What was found.
    """
    findings = []
    for network in await records.load_networks():
        try:
            async with network_lock(network.name):
                left = await _left_of(network)
        except LockTimeoutError:  # told already, by who looked at the network
            continue
        if left:
            findings.append(_stale(network, left))
    folders = await _folders_of_nobody()
    if folders:
        findings.append(
            note(
                "runtime folder",
                f"there are sockets of networks that are gone: {_names(folders)}",
                f"Remove these folders in {runtime_dir()}.",
                mend=_remove_folders,
            )
        )
    return findings


def _stale(network: NetworkRecord, left: list[Path]) -> Finding:
    return note(
        f"network {network.name}",
        f"there are sockets and pid files of processes that run no more: {_names(left)}",
        "They do no harm; the next start replaces them.",
        mend=lambda: _remove_left(network),
    )


async def _left_of(network: NetworkRecord) -> list[Path]:
    """Find what the dead left; the caller holds the network's lock."""
    sockets, files = network.sockets, network.files
    # By command line and not by pid file: a process whose pid file is gone needs its sockets.
    alive = {process.pidfile for process in await own_processes()}
    left = []
    if files.switch_pid not in alive:
        left.append(files.switch_pid)
    if files.gateway_pid not in alive:
        left += [files.gateway_pid, sockets.gateway, sockets.gateway_monitor]
    for host in await records.load_hosts(network.name):
        if host.files.pid not in alive and holder(sockets.lock(host.id)) is None:
            left += [host.files.pid, sockets.monitor(host.id), sockets.agent(host.id)]
            left.append(sockets.card(host.id))
    return [path for path in left if path.exists()]


async def _remove_left(network: NetworkRecord) -> str:
    async with network_lock(network.name):
        left = await _left_of(network)
        for path in left:
            path.unlink(missing_ok=True)
    if not left:
        return f"sockets of network {network.name} are in use again, or gone; none was removed"
    return f"removed {len(left)} sockets and pid files of network {network.name}"


async def _folders_of_nobody() -> list[Path]:
    networks = await records.load_networks()
    known = {network.id for network in networks}
    running = {process.networkname for process in await own_processes()}
    names = await anyio.to_thread.run_sync(_network_folders)
    if names - {network.name for network in networks} or running - names:
        return []  # a record is damaged or gone, and so nobody knows whose sockets these are
    folders = [
        folder
        for folder in sorted(runtime_dir().iterdir())
        if _NETWORK_ID.fullmatch(folder.name) and folder.name not in known and folder.is_dir()
    ]
    # The runtime folder may be shared by data folders that know nothing of each other.
    in_use = await named_in_command_lines(folders)
    return [folder for folder in folders if folder not in in_use]


def _network_folders() -> set[str]:
    return {
        folder.name
        for folder in layout.networks_folder().iterdir()
        if folder.is_dir() and not folder.name.startswith(layout.HALF_MADE)
    }


async def _remove_folders() -> str:
    folders = await _folders_of_nobody()
    for folder in folders:
        await anyio.to_thread.run_sync(shutil.rmtree, folder)
    return f"removed the sockets of networks that are gone: {_names(folders)}"


def _names(paths: list[Path]) -> str:
    return ", ".join(path.name for path in paths)
