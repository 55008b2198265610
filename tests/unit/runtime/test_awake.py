"""What this process slept through is no time that something took."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import anyio
import pytest
from sleeping import HOURS, SleepingMachine, sleeping_machine

from kutti_sdk.core.errors import LockTimeoutError
from kutti_sdk.runtime import processes
from kutti_sdk.runtime.awake import limited, rest, within
from kutti_sdk.runtime.locks import locked
from kutti_sdk.runtime.tasks import run_all

pytestmark = pytest.mark.anyio


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[SleepingMachine]:
    with sleeping_machine(tmp_path) as machine:
        yield machine


async def fall_asleep(machine: SleepingMachine) -> None:
    await anyio.sleep(0.1)
    machine.sleep()


async def test_a_rest_tells_how_long_it_slept(machine: SleepingMachine) -> None:
    slept, _ = await run_all(partial(rest, 0.3), partial(fall_asleep, machine))
    assert slept == pytest.approx(HOURS, abs=1)
    assert await rest(0.01) == 0.0


async def test_a_limit_does_not_count_a_sleep(machine: SleepingMachine) -> None:
    event = anyio.Event()

    async def come_later() -> None:
        await fall_asleep(machine)
        await anyio.sleep(0.1)
        event.set()

    await run_all(partial(within, 5, event.wait), come_later)


async def test_a_limit_ends_a_wait(machine: SleepingMachine) -> None:
    with pytest.raises(TimeoutError):
        await within(0.05, anyio.sleep_forever)


async def test_a_block_has_its_own_time_and_no_other(machine: SleepingMachine) -> None:
    async def work() -> None:
        async with limited(5):
            await anyio.sleep(0.3)
            await anyio.sleep(0.1)

    await run_all(work, partial(fall_asleep, machine))
    with pytest.raises(TimeoutError):
        async with limited(0.05):
            await anyio.sleep_forever()


async def test_a_block_ends_with_its_own_error(machine: SleepingMachine) -> None:
    with pytest.raises(LockTimeoutError, match="mine") as error:
        async with limited(5):
            raise LockTimeoutError("mine")
    assert error.value.__context__ is None


async def test_a_lock_that_is_free_after_a_sleep_is_had(
    machine: SleepingMachine, tmp_path: Path
) -> None:
    async def hold() -> None:
        async with locked(tmp_path / "lock"):
            await fall_asleep(machine)
            await anyio.sleep(0.1)

    async def wait() -> None:
        await anyio.sleep(0.01)
        async with locked(tmp_path / "lock"):
            pass

    await run_all(hold, wait)


async def test_a_lock_is_waited_for_no_longer_than_was_said(
    machine: SleepingMachine, tmp_path: Path
) -> None:
    async with locked(tmp_path / "lock"):
        with pytest.raises(LockTimeoutError):
            async with locked(tmp_path / "lock", timeout=0.1):
                pass


async def test_a_program_does_not_run_while_everything_sleeps(machine: SleepingMachine) -> None:
    program = [sys.executable, "-c", "import time; time.sleep(0.3); print('done')"]
    said, _ = await run_all(
        partial(processes.run, program, timeout=20), partial(fall_asleep, machine)
    )
    assert said == "done\n"
