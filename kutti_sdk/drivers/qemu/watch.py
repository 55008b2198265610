"""Following all hosts at once."""

from __future__ import annotations

import glob
import time
from collections import deque
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

import anyio
import anyio.to_thread

from kutti_sdk.core.driver import HostChange
from kutti_sdk.core.status import HostStatus
from kutti_sdk.drivers.qemu import layout, lifecycle, records
from kutti_sdk.drivers.qemu.records import HostRecord
from kutti_sdk.runtime import processes
from kutti_sdk.runtime.file_changes import FileChanges, file_changes
from kutti_sdk.runtime.tasks import interruptible, rest_after, run_all, task_group

_REST = 2.0  # seconds, at least, before every QEMU is asked again whether it is paused

_Key = tuple[str, str, str]
_Processes = dict[str, processes.ProcessIdentity | None]


class HostChanges(AsyncIterator[HostChange]):
    """The hosts there are, then every change; a host that stops is told of at once.

    Holds nothing between two steps, so that it may be left at any time.
    """

    # Not an async generator: trio complains about those that nobody closes.
    def __init__(self) -> None:
        self._known: dict[_Key, HostStatus] = {}
        self._running: _Processes | None = None
        self._rest = _REST
        self._untold: deque[HostChange] = deque()

    @interruptible
    async def __anext__(self) -> HostChange:
        """Wait for the next change."""
        while not self._untold:
            if self._running is not None:
                with anyio.move_on_after(self._rest):
                    await _wait_for_event(self._running)
            await self._look()
        return self._untold.popleft()

    async def _look(self) -> None:
        begun = time.thread_time()
        hosts = await records.load_hosts()
        self._running = _running(hosts)
        statuses = await run_all(*(partial(lifecycle.host_status, host) for host in hosts))
        seen = {
            (host.name, host.networkname, host.clustername): status
            for host, status in zip(hosts, statuses, strict=True)
        }
        self._untold.extend(HostChange(*key, None) for key in self._known.keys() - seen.keys())
        self._untold.extend(
            HostChange(*key, status)
            for key, status in seen.items()
            if self._known.get(key) != status
        )
        self._known = seen
        self._rest = rest_after(time.thread_time() - begun, shortest=_REST)


async def _wait_for_event(running: _Processes) -> None:
    async with task_group() as group:
        for identity in running.values():
            if identity is not None:
                group.start_soon(_wait_for_exit, identity, group.cancel_scope)
        await _wait_for_others(running)
        group.cancel_scope.cancel()


async def _wait_for_others(running: _Processes) -> None:
    """Wait until a host was made, started or deleted."""
    async with file_changes() as changes:
        while True:
            await anyio.to_thread.run_sync(_follow, changes)
            if _running(await records.load_hosts()) != running:
                return
            await changes.wait()


def _follow(changes: FileChanges) -> None:
    networks = str(layout.networks_folder())
    # Not by the records: folders of hosts to come count, too. And by `glob`, which
    # bears folders that disappear.
    network, hosts, cluster, host = (
        glob.glob(f"{glob.escape(networks)}/{below}")  # noqa: PTH207
        for below in ("*", "*/hosts", "*/hosts/*", "*/hosts/*/*")
    )
    pids = (layout.HostFiles(Path(folder)).pid for folder in host)
    changes.follow([networks, *network, *hosts, *cluster, *host], pids)


async def _wait_for_exit(identity: processes.ProcessIdentity, scope: anyio.CancelScope) -> None:
    await processes.wait_for_exit(identity)
    scope.cancel()


def _running(hosts: list[HostRecord]) -> _Processes:
    return {host.uuid: lifecycle.host_process(host) for host in hosts}
