"""Hosts of one sector each, on the QEMU driver: what they do takes seconds.

There is no guest agent in them; it is the only thing that is pretended here.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import anyio
import pytest
from pretended_agent import PretendedAgent, pretend

import kutti_sdk as kutti
from kutti_sdk.drivers.qemu import QemuDriver
from kutti_sdk.testing.boot_disk import BOOT_MESSAGE, boot_disk

PLACE = ("lab", "lab")
"""Network and cluster of the hosts."""


@pytest.fixture
def agent() -> Iterator[PretendedAgent]:
    """The guest agent of all hosts."""
    pretended = PretendedAgent()
    with pretend(pretended):
        yield pretended


@pytest.fixture
async def driver(agent: PretendedAgent) -> AsyncIterator[QemuDriver]:
    """A driver with two running hosts, node1 and node2 of cluster lab."""
    async with driver_without_hosts() as driver:
        for name in ("node1", "node2"):
            host = await driver.create_host(name, *PLACE, "1.34", cpus=1, memory="128MiB")
            await host.start()
            with anyio.fail_after(60):
                while BOOT_MESSAGE not in await host.console():
                    await anyio.sleep(0.05)
        yield driver


@asynccontextmanager
async def driver_without_hosts() -> AsyncIterator[QemuDriver]:
    """A driver with an image and network lab, in a workspace of its own; all is gone in the end."""
    with TemporaryDirectory(prefix="kutti-test-") as folder:
        kutti.set_workspace(folder)
        raw, disk = Path(folder, "raw"), Path(folder, "disk.qcow2")
        raw.write_bytes(boot_disk())
        await anyio.run_process(["qemu-img", "convert", "-O", "qcow2", str(raw), str(disk)])
        driver = QemuDriver()
        await driver.import_image(disk, "1.34.2")
        await driver.create_network("lab")
        try:
            yield driver
        finally:
            with anyio.CancelScope(shield=True):
                for host in await driver.list_hosts():
                    await host.force_stop()
                    await driver.delete_host(host.name, host.networkname, host.clustername)
                for network in await driver.list_networks():
                    await driver.delete_network(network.name)
            left = [path for path in Path(folder, "run").rglob("*") if not path.is_dir()]
            kutti.set_workspace(None)
    assert not left, "sockets and locks of deleted networks and of templates are gone"
