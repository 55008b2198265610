"""Hosts are followed by events: each test would wait for an hour without them."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import anyio
import pytest

from kutti_sdk.core.driver import HostChange
from kutti_sdk.core.status import HostStatus
from kutti_sdk.drivers.qemu import QemuDriver, layout, records, watch
from kutti_sdk.drivers.qemu.records import HostRecord, NetworkRecord
from kutti_sdk.runtime import file_changes, state

pytestmark = pytest.mark.anyio

PRETENDED = Path(__file__).with_name("pretended_qemu.py")


@pytest.fixture(autouse=True)
def an_hour_between_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch, "_REST", 3600.0)


@pytest.fixture(params=["told by the system", "told by nobody"])
def notified(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the system gives out no notifiers, folders are read again and again."""
    if request.param == "told by nobody":
        monkeypatch.setattr(file_changes, "_notifier", lambda: None)


@pytest.fixture
async def lab(workspace: Path, network: NetworkRecord) -> NetworkRecord:
    await QemuDriver().create_network(network.name, cidr=network.cidr)
    made = await records.load_network(network.name)
    layout.make_socket_folders(made.sockets)
    return made


Start = Callable[[HostRecord], subprocess.Popen[str]]


@pytest.fixture
def start(lab: NetworkRecord) -> Iterator[Start]:
    """Let a process pass for a host's QEMU; none is left after the test."""
    started = []

    def start_one(host: HostRecord) -> subprocess.Popen[str]:
        socket = lab.sockets.monitor(host.id)
        socket.unlink(missing_ok=True)
        command = [sys.executable, str(PRETENDED), host.uuid, str(socket)]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        started.append(process)
        assert process.stdout
        with process.stdout:
            assert process.stdout.readline() == "ready\n"
        # As QEMU does it: a file that is there is not replaced.
        with host.files.pid.open("w") as pid:
            pid.write(f"{process.pid}\n")
        return process

    yield start_one
    for process in started:
        stop(process)


def stop(process: subprocess.Popen[str]) -> None:
    """Kill it; its pid file stays."""
    process.kill()
    process.wait()


async def make(host: HostRecord) -> None:
    """Make a host as the driver does, complete when it gets its name."""
    beside = host.files.folder.with_name(f"{layout.HALF_MADE}{host.name}")
    beside.mkdir(parents=True)
    await state.save(beside / "host.json", host)
    (beside / "disk.qcow2").touch()
    beside.rename(host.files.folder)


Told = tuple[str, HostStatus | None]


async def told(changes: AsyncIterator[HostChange]) -> Told:
    with anyio.fail_after(20):
        change = await anext(changes)
    return change.hostname, change.status


@asynccontextmanager
async def told_meanwhile(changes: AsyncIterator[HostChange]) -> AsyncIterator[list[Told]]:
    """Wait for a change, and bring it about in the block; it is in the list afterwards."""
    change: list[Told] = []

    async def listen() -> None:
        change.append(await told(changes))

    async with anyio.create_task_group() as group:
        group.start_soon(listen)
        await anyio.sleep(0.3)  # until it waits; what comes earlier is seen anyway
        yield change


@pytest.mark.usefixtures("notified")
async def test_hosts_that_are_made_start_end_and_disappear_are_told(
    start: Start, host: HostRecord
) -> None:
    changes = QemuDriver().watch()
    await make(host)
    assert await told(changes) == ("node1", HostStatus.STOPPED)
    for _ in range(2):  # the second finds the pid file of the first
        process = start(host)
        assert await told(changes) == ("node1", HostStatus.RUNNING)
        stop(process)
        assert await told(changes) == ("node1", HostStatus.STOPPED)
    host.files.folder.rename(host.files.folder.with_name(".node1"))
    assert await told(changes) == ("node1", None)


@pytest.mark.usefixtures("notified")
async def test_what_happens_while_it_waits_wakes_it(start: Start, host: HostRecord) -> None:
    other = replace(host, name="node2", clustername="other", uuid=host.uuid[::-1])
    changes = QemuDriver().watch()
    await make(host)
    assert await told(changes) == ("node1", HostStatus.STOPPED)

    async with told_meanwhile(changes) as change:
        await make(other)  # in a folder that is not there yet
    assert change == [("node2", HostStatus.STOPPED)]
    for _ in range(2):  # the second finds the pid file of the first
        async with told_meanwhile(changes) as change:
            process = start(other)
        assert change == [("node2", HostStatus.RUNNING)]
        async with told_meanwhile(changes) as change:
            stop(process)
        assert change == [("node2", HostStatus.STOPPED)]
