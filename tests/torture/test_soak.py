"""Again and again: nothing grows."""

from __future__ import annotations

import gc
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path

import psutil
import pytest
from leftovers import assert_soon_none, files_below, more_than, open_files, processes_of
from share import all_is_tried
from torture_records import Record, recorded
from tortured_operations import Lab

import kutti_sdk as kutti
from kutti_sdk.core.sizes import MiB, format_size
from kutti_sdk.drivers.simulated import SimulatedDriver

pytestmark = pytest.mark.anyio

WARM_UP = 10
"""Cycles after which everything is loaded, and caches are full; half of all, if that is less."""

LEEWAY = 8 * MiB
"""Memory that the allocator may keep to itself, however many cycles there are."""


IDLE_THREADS = 8
"""Worker threads more that wait for work at the end: a matter of moments, not of cycles."""


async def test_simulated_clusters_come_and_go(workspace: Path, anyio_backend: str) -> None:
    driver = SimulatedDriver()
    spec = kutti.cluster("lab").using(driver).nodes(1).forward(8080, to=80)

    async def cycle() -> None:
        cluster = await spec.ensure()
        assert (await cluster["node1"].run("true")).ok
        await cluster.delete()
        driver.commands.clear()

    record = Record("create, run, delete", "again and again", "simulated", anyio_backend)
    await repeat(cycle, 1000 if all_is_tried() else 60, record)
    assert not files_below(workspace)


@pytest.mark.vm
async def test_virtual_machines_come_and_go(
    qemu_lab: Lab, workspace: Path, anyio_backend: str
) -> None:
    async def cycle() -> None:
        await qemu_lab.spec.ensure()
        await qemu_lab.cluster.delete()

    record = Record("create, start, delete", "again and again", "qemu", anyio_backend)
    await repeat(cycle, 200 if all_is_tried() else 4, record)
    assert_soon_none(lambda: processes_of(workspace), "processes")


async def repeat(cycle: Callable[[], Awaitable[None]], times: int, record: Record) -> None:
    """Repeat something, and see that this process has grown by nothing."""
    me = psutil.Process()
    with recorded(record):
        for number in range(times):
            with record.trial(f"cycle {number}"):
                await cycle()
            if number == min(WARM_UP, times // 2):
                before, memory, threads = open_files(), _memory(me), threading.active_count()
        assert_soon_none(lambda: more_than(before, open_files()), "open files")
        assert threading.active_count() <= threads + IDLE_THREADS
        assert not me.children()
        grown = _memory(me) - memory
        assert grown < LEEWAY, f"{format_size(grown)} more after {times} cycles"


def _memory(process: psutil.Process) -> int:
    gc.collect()
    return int(process.memory_info().rss)
