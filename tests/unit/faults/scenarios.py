"""What is tried on a lean machine: ``scenarios.py SCENARIO BACKEND FOLDER``.

Each brings a cluster up, takes something away, sees that everything that needs it is
refused with a hint, gives it back, and sees that nothing was lost.
"""

from __future__ import annotations

import resource
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import anyio
import pytest
from lean_machine import full_disk, no_file_handles, read_only_disk

import kutti_sdk as kutti
from kutti_sdk.core.registry import registered
from kutti_sdk.drivers.simulated import SimulatedDriver

Operation = Callable[[], Awaitable[Any]]


async def refused(operation: Operation, hint: str) -> None:
    with pytest.raises(kutti.StateError) as refusal:
        await operation()
    assert hint in (refusal.value.hint or ""), refusal.value


async def disk_full(folder: Path) -> None:
    spec = kutti.cluster("lab").using("simulated").nodes(1)
    qemu = kutti.get_driver("qemu")
    await spec.ensure()
    record = kutti.data_dir() / "clusters" / "lab.json"
    before = record.read_bytes()
    await kutti.diagnose()
    with full_disk(folder):
        for operation in (
            spec.nodes(2).ensure,
            spec.named("other").ensure,
            lambda: qemu.create_network("lab"),
        ):
            await refused(operation, "make room")
        assert record.read_bytes() == before
        assert (await (await kutti.attach("lab")).status()).running, "reading needs no room"
        diagnosis = await kutti.diagnose()
        assert any(it.subject == "disk space" for it in diagnosis.problems), diagnosis
    clusters = kutti.data_dir() / "clusters"
    assert sorted(it.name for it in clusters.iterdir()) == ["lab.json", "lab.lock"]
    assert not (kutti.data_dir() / "qemu" / "networks" / "lab").exists()
    assert len(list(await spec.nodes(2).ensure())) == 2
    await qemu.create_network("lab")


async def read_only(folder: Path) -> None:
    spec = kutti.cluster("lab").using("simulated").nodes(1)
    qemu = kutti.get_driver("qemu")
    await spec.ensure()
    await kutti.diagnose()
    with read_only_disk(folder):
        for operation in (
            spec.nodes(2).ensure,
            lambda: kutti.attach("lab"),
            lambda: qemu.create_network("lab"),
            qemu.list_images,
        ):
            await refused(operation, "KUTTI_WORKSPACE")
        diagnosis = await kutti.diagnose()
        assert "may not be written to" in str(diagnosis)
    assert len(list(await spec.nodes(2).ensure())) == 2


async def out_of_file_handles(_: Path) -> None:
    spec = kutti.cluster("lab").using("simulated").nodes(1)
    qemu = kutti.get_driver("qemu")
    await spec.ensure()
    await qemu.create_network("lab")
    await kutti.diagnose()
    resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
    with no_file_handles():
        for operation in (
            spec.nodes(2).ensure,
            lambda: kutti.attach("lab"),
            lambda: qemu.create_network("other"),
            qemu.list_networks,
            qemu.list_hosts,
        ):
            await refused(operation, "ulimit -n")
        diagnosis = await kutti.diagnose()
        assert diagnosis.problems, "it tells what it cannot look at"
        assert all("ulimit -n" in it.advice for it in diagnosis.problems), diagnosis
        told = (await kutti.diagnose("simulated")).findings
        assert "simulated" in [it.subject for it in told], "and what it can"
    assert len(list(await spec.nodes(2).ensure())) == 2
    assert [network.name for network in await qemu.list_networks()] == ["lab"]


if __name__ == "__main__":
    scenario, backend, folder = sys.argv[1:]
    kutti.set_workspace(folder)
    with registered({"simulated": SimulatedDriver()}):
        anyio.run(globals()[scenario], Path(folder), backend=backend)
