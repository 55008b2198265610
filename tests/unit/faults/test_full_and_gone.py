"""A full or read-only disk, no file handles, a clock that jumps: told, and nothing is lost."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from lean_machine import run_on_small_disk

import kutti_sdk as kutti
from kutti_sdk.core.registry import registered
from kutti_sdk.drivers.simulated import SimulatedDriver

each_backend = pytest.mark.parametrize("backend", ["asyncio", "trio"])


@each_backend
def test_a_full_disk_is_told_and_loses_nothing(backend: str, workspace: Path) -> None:
    run_on_small_disk("disk_full", backend, workspace)


@each_backend
def test_a_read_only_disk_is_told_and_loses_nothing(backend: str, workspace: Path) -> None:
    run_on_small_disk("read_only", backend, workspace)


@each_backend
def test_too_many_open_files_are_told_and_lose_nothing(backend: str, workspace: Path) -> None:
    run_on_small_disk("out_of_file_handles", backend, workspace)


@pytest.mark.anyio
@pytest.mark.usefixtures("workspace")
@pytest.mark.parametrize("seconds", [-1e8, 1e8])
async def test_a_clock_that_jumps_by_years_changes_nothing(
    seconds: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = time.time
    with registered({"simulated": SimulatedDriver()}):
        spec = kutti.cluster("lab").using("simulated").nodes(1)
        await spec.ensure()
        monkeypatch.setattr(time, "time", lambda: real() + seconds)
        cluster = await spec.nodes(2).ensure()
        assert (await cluster.status()).running
        assert (await kutti.diagnose("simulated")).healthy
        await cluster.delete()
