"""Two running hosts of one sector each, on the QEMU driver: what they do takes seconds.

There is no guest agent in them; it is the only thing that is pretended here.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import anyio
import pytest

import kutti_sdk as kutti
from kutti_sdk.drivers.qemu import QemuDriver, resume
from kutti_sdk.drivers.qemu.checkpoints import examination
from kutti_sdk.testing.boot_disk import BOOT_MESSAGE, boot_disk

PLACE = ("lab", "lab")
"""Network and cluster of the hosts."""


class Agent:
    """Stands in for the guest agent, of which a disk of one sector has none."""

    def __init__(self) -> None:
        self.scripts: list[str] = []
        self.error: Exception | None = None

    async def behind(self) -> int:
        return 0

    async def run(self, _: str, script: bytes) -> None:
        self.scripts.append(script.decode().partition("__DATA__\n")[2])
        if self.error is not None:
            raise self.error


@pytest.fixture
def agent(monkeypatch: pytest.MonkeyPatch) -> Agent:
    pretended = Agent()

    @asynccontextmanager
    async def guest_agent(_: Path, **__: Any) -> AsyncIterator[Agent]:
        yield pretended

    monkeypatch.setattr(examination, "guest_agent", guest_agent)
    monkeypatch.setattr(resume, "guest_agent", guest_agent)
    return pretended


@pytest.fixture
async def driver(agent: Agent) -> AsyncIterator[QemuDriver]:
    """A driver with two running hosts, node1 and node2 of cluster lab."""
    with TemporaryDirectory(prefix="kutti-test-") as folder:
        kutti.set_workspace(folder)
        raw, disk = Path(folder, "raw"), Path(folder, "disk.qcow2")
        raw.write_bytes(boot_disk())
        await anyio.run_process(["qemu-img", "convert", "-O", "qcow2", str(raw), str(disk)])
        driver = QemuDriver()
        await driver.import_image(disk, "1.34.2")
        await driver.create_network("lab")
        for name in ("node1", "node2"):
            host = await driver.create_host(name, *PLACE, "1.34", cpus=1, memory="128MiB")
            await host.start()
            with anyio.fail_after(60):
                while BOOT_MESSAGE not in await host.console():
                    await anyio.sleep(0.05)
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
    assert not left, "sockets and locks of deleted networks are gone"
