"""A clock that jumps by years, back and forth: nothing is lost, and nothing waits for it."""

from __future__ import annotations

import itertools
import os
import time
from pathlib import Path

import anyio
import pytest
from image_samples import qcow2_disk

import kutti_sdk as kutti
from kutti_sdk.clusters.store import cluster_lock
from kutti_sdk.core.registry import registered
from kutti_sdk.drivers.qemu import QemuDriver
from kutti_sdk.drivers.simulated import SimulatedDriver
from kutti_sdk.runtime import state
from kutti_sdk.runtime.tasks import run_all

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("workspace")]

YEARS = 1e8  # seconds

jumps = pytest.mark.parametrize("seconds", [-YEARS, YEARS], ids=["back", "forth"])


def turn_the_clock(folder: Path, seconds: float) -> None:
    """Have all files of a folder be that much older, as if the clock had been put forward."""
    for path in folder.rglob("*"):
        status = path.stat()
        os.utime(path, (status.st_atime - seconds, status.st_mtime - seconds))


@jumps
async def test_a_clock_that_jumps_whenever_it_is_looked_at_changes_nothing(
    seconds: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, jump = time.time, itertools.count(0, seconds / 10)
    monkeypatch.setattr(time, "time", lambda: real() + next(jump))
    with registered({"simulated": SimulatedDriver()}):
        spec = kutti.cluster("lab").using("simulated").nodes(3).kubernetes("1.34")
        with kutti.timeline() as timeline:
            cluster, _ = await run_all(spec.ensure, keep_the_lock_for_a_moment)
        assert "node3" in str(timeline)
        assert (await cluster.status()).running
        assert (await kutti.diagnose("simulated")).healthy
        await cluster.stop()
        await cluster.start()
        await cluster.delete()


async def keep_the_lock_for_a_moment() -> None:
    async with cluster_lock("lab"):
        await anyio.sleep(0.5)


@jumps
async def test_the_image_that_came_last_is_the_one_that_is_used(
    seconds: float, workspace: Path, tmp_path: Path
) -> None:
    driver = QemuDriver()
    disk = tmp_path / "disk.qcow2"
    disk.write_bytes(qcow2_disk(marker=1))
    first = await driver.import_image(disk, "1.34.2")
    turn_the_clock(workspace / "cache", seconds)
    disk.write_bytes(qcow2_disk(marker=2))
    again = await driver.import_image(disk, "1.34.2")
    assert first.checksum != again.checksum
    assert (await driver.get_image("1.34")).checksum == again.checksum


@jumps
async def test_what_a_killed_writer_left_is_swept(seconds: float, tmp_path: Path) -> None:
    path, left = tmp_path / "state.json", tmp_path / ".state.json.0123abcd.new"
    left.write_text("half")
    await state.save(path, {"is": "written"})
    assert left.exists(), "somebody may be writing it"
    turn_the_clock(tmp_path, seconds)
    await state.save(path, {"is": "written"})
    assert not left.exists()
