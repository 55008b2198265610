"""QEMU, the switch, the gateway, or all of them and their sockets are gone: nothing is lost."""

from __future__ import annotations

import os
import random
import shutil
import signal
from collections.abc import Callable
from contextlib import suppress
from itertools import product
from pathlib import Path

import anyio
import pytest
from leftovers import assert_clean, files_below, processes_of
from share import a_share_of, all_is_tried
from torture_records import Record, recorded
from tortured_operations import (
    CLUSTER_ENDS,
    MEMORY_ENDS,
    MEMORY_OPERATIONS,
    RESTORE,
    Act,
    Lab,
    Operation,
    delete_passing,
    name_of,
)

import kutti_sdk as kutti
from kutti_sdk.core.status import HostStatus
from kutti_sdk.drivers.qemu import layout
from kutti_sdk.runtime.directories import runtime_dir

pytestmark = [pytest.mark.anyio, pytest.mark.vm]


MEMORY_TRIALS = [*product([*MEMORY_OPERATIONS, RESTORE], MEMORY_ENDS)]
TRIES = 8 if all_is_tried() else 2
LONGEST = 3.0  # seconds that an operation takes


@pytest.fixture
def anyio_backend() -> str:
    """Under one backend: what happens is outside of Python."""
    return "asyncio"


def _pidfile(what: str) -> Path:
    files = layout.network_files("lab")
    return {
        "switch": files.switch_pid,
        "gateway": files.gateway_pid,
        "node1": files.host("lab", "node1").pid,
        "node2": files.host("lab", "node2").pid,
    }[what]


def killed(*names: str) -> Callable[[], None]:
    """Make a fault of killing processes."""

    def kill() -> None:
        for name in names:
            os.kill(int(_pidfile(name).read_text()), signal.SIGKILL)

    return kill


def rebooted() -> None:
    """Do what a reboot does: end all processes, and empty the folder of sockets."""
    killed("switch", "gateway", "node1", "node2")()
    shutil.rmtree(runtime_dir())


FAULTS = {
    "kill -9 of a host's QEMU": killed("node2"),
    "kill -9 of the switch": killed("switch"),
    "kill -9 of the gateway": killed("gateway"),
    "kill -9 of all of them": killed("node1", "node2", "switch", "gateway"),
    "reboot of this machine": rebooted,
}


@pytest.mark.parametrize("end", CLUSTER_ENDS, ids=name_of)
async def test_a_running_cluster_survives(qemu_lab: Lab, end: Act, workspace: Path) -> None:
    await qemu_lab.spec.ensure()
    await qemu_lab.cluster.delete()
    before = files_below(workspace)
    for fault, strike in FAULTS.items():
        record = Record(fault, "a running cluster", "qemu")
        with recorded(record), record.trial(name_of(end)):
            await qemu_lab.spec.ensure()
            disks = [layout.network_files("lab").host("lab", it).disk for it in ("node1", "node2")]
            strike()
            found = await kutti.attach("lab", driver=qemu_lab.driver)
            for node in (await found.status()).nodes:
                assert node.status in (HostStatus.RUNNING, HostStatus.STOPPED)
            for disk in disks:
                # One that is in use is refused; with -U it is looked at in spite of that.
                await anyio.run_process(["qemu-img", "check", "-q", "-U", disk])
            await end(qemu_lab)
            assert_clean(workspace, before)


@pytest.mark.parametrize(
    ("operation", "end"), a_share_of(MEMORY_TRIALS, every=len(MEMORY_TRIALS)), ids=name_of
)
async def test_an_operation_on_memory_survives_a_qemu_that_is_killed(
    qemu_lab: Lab, operation: Operation, end: Act, workspace: Path
) -> None:
    await qemu_lab.spec.ensure()
    await qemu_lab.cluster.delete()
    before = files_below(workspace)
    chance = random.Random(f"{operation} {name_of(end)}")
    record = Record("kill -9 of a QEMU", operation.name, "qemu", every=0)
    with recorded(record):
        for _ in range(TRIES):
            await operation.prepare(qemu_lab)
            delay = chance.uniform(0.0, LONGEST)
            with record.trial(f"{delay:.2f} s"):
                async with anyio.create_task_group() as group:
                    group.start_soon(_perform, operation, qemu_lab)
                    await anyio.sleep(delay)
                    _kill_one(chance, workspace)
                await delete_passing(qemu_lab)
                await end(qemu_lab)
                assert_clean(workspace, before)


async def _perform(operation: Operation, lab: Lab) -> None:
    try:
        await operation.act(lab)
    except kutti.KuttiError:  # it may well fail, in a way that callers can bear
        pass


def _kill_one(chance: random.Random, workspace: Path) -> None:
    """Kill a host, a receiver, a host of a copy or a gateway, whatever runs."""
    found = [it for it in processes_of(workspace) if "qemu-system" in it]
    if found:
        with suppress(ProcessLookupError):
            os.kill(int(chance.choice(found).partition(":")[0]), signal.SIGKILL)
