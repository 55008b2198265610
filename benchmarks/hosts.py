"""Making hosts, and listing many of them."""

from __future__ import annotations

import statistics
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import anyio

import kutti_sdk as kutti
from benchmarks.measure import Measurement, seconds
from kutti_sdk.drivers.qemu import QemuDriver
from kutti_sdk.runtime.directories import workspace
from kutti_sdk.testing.boot_disk import boot_disk

_HOSTS = 20


async def run_create(rounds: int) -> list[Measurement]:
    """Measure create_host from the node image."""
    driver = QemuDriver()
    await driver.create_network("bench")
    times = []
    try:
        for _ in range(rounds * 3):
            times.append(await seconds(lambda: driver.create_host("one", "bench", "bench", "none")))
            await driver.delete_host("one", "bench", "bench")
    finally:
        await driver.delete_network("bench")
    return [Measurement("create_host", statistics.median(times), goal=0.2)]


async def run_list(rounds: int) -> list[Measurement]:
    """Measure a list of running hosts with their statuses."""
    async with running_hosts(_HOSTS) as driver:

        async def list_all() -> None:
            hosts = await driver.list_hosts()
            statuses = {}

            async def ask(host: kutti.VMHost) -> None:
                statuses[host.name] = await host.status()

            async with anyio.create_task_group() as group:
                for host in hosts:
                    group.start_soon(ask, host)
            assert set(statuses.values()) == {kutti.HostStatus.RUNNING}

        await list_all()
        times = [await seconds(list_all) for _ in range(rounds * 5)]
    return [Measurement(f"list {_HOSTS} running hosts", statistics.median(times), goal=0.1)]


@asynccontextmanager
async def running_hosts(number: int) -> AsyncIterator[QemuDriver]:
    """Run hosts of a cluster ``bench`` in a workspace of their own; they do next to nothing.

    Args:
        number: How many.

    Yields:
        Their driver.
    """
    before = workspace()
    with TemporaryDirectory(prefix="kutti-bench-") as folder:
        kutti.set_workspace(folder)
        driver = QemuDriver()
        raw, disk = Path(folder, "disk.raw"), Path(folder, "disk.qcow2")
        raw.write_bytes(boot_disk())
        subprocess.run(["qemu-img", "convert", "-O", "qcow2", raw, disk], check=True)
        await driver.import_image(disk)
        await driver.create_network("bench")
        try:
            for name in (f"node{each}" for each in range(1, number + 1)):
                host = await driver.create_host(
                    name, "bench", "bench", "none", cpus=1, memory="128MiB", disk="64MiB"
                )
                await host.start()
            yield driver
        finally:
            for host in await driver.list_hosts():
                await host.force_stop()
                await driver.delete_host(host.name, "bench", "bench")
            await driver.delete_network("bench")
            kutti.set_workspace(before)
