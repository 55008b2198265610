from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor

import anyio
import pytest

from kutti_sdk.core.errors import InvalidInputError
from kutti_sdk.drivers.simulated import SimulatedClock
from kutti_sdk.runtime.island import on_island

pytestmark = pytest.mark.anyio


async def test_a_long_sleep_takes_no_real_time() -> None:
    clock = SimulatedClock()
    with anyio.fail_after(5):
        await clock.sleep(86_400)
    assert clock.now() == 86_400


async def test_parallel_sleeps_share_their_time_and_end_in_order() -> None:
    clock = SimulatedClock()
    ends: list[tuple[str, float]] = []

    async def work(name: str, *naps: float) -> None:
        for nap in naps:
            await clock.sleep(nap)
        ends.append((name, clock.now()))

    async with anyio.create_task_group() as group:
        group.start_soon(work, "slow", 30)
        group.start_soon(work, "fast", 1, 2)
        group.start_soon(work, "middle", 5, 5)
    assert ends == [("fast", 3), ("middle", 10), ("slow", 30)]


async def test_a_time_out_does_not_hurry_work_that_ends_before_it() -> None:
    clock = SimulatedClock()
    done: list[bool] = []

    async def work() -> None:
        await clock.sleep(50)
        done.append(True)
        clock.changed()

    async with anyio.create_task_group() as group:
        group.start_soon(work)
        assert await clock.wait_for(lambda: True if done else None, timeout=60)
    assert clock.now() == 50


async def test_a_time_out_runs_out_when_nothing_else_is_due() -> None:
    clock = SimulatedClock()
    with anyio.fail_after(5):
        assert await clock.wait_for(lambda: None, timeout=60) is None
    assert clock.now() == 60


async def test_a_time_out_runs_out_in_the_middle_of_longer_work() -> None:
    clock = SimulatedClock()
    async with anyio.create_task_group() as group:
        group.start_soon(clock.sleep, 100)
        assert await clock.wait_for(lambda: None, timeout=60) is None
        assert clock.now() == 60


async def test_a_sleep_ends_early_when_something_happens() -> None:
    clock = SimulatedClock()
    happened: list[str] = []

    def happen() -> None:
        happened.append("it")
        clock.changed()

    clock.call_later(5, happen)
    assert await clock.sleep(60, unless=lambda: happened[0] if happened else None) == "it"
    assert clock.now() == 5
    await clock.sleep(1)
    assert clock.now() == 6


async def test_a_state_that_lasts_no_time_is_not_missed() -> None:
    clock = SimulatedClock()
    state = {"open": False}

    def flicker() -> None:
        for value in (True, False):
            state["open"] = value
            clock.changed()

    clock.call_later(1, flicker)
    assert await clock.wait_for(lambda: state["open"] or None) is True


async def test_what_was_called_off_does_not_happen() -> None:
    clock = SimulatedClock()
    happened: list[int] = []
    call_off = clock.call_later(1, lambda: happened.append(1))
    clock.call_later(2, lambda: happened.append(2))
    call_off()
    call_off()
    await clock.sleep(5)
    assert happened == [2]


async def test_a_cancelled_sleep_leaves_no_trace() -> None:
    clock = SimulatedClock(speed=0)
    with anyio.move_on_after(0.01) as scope:
        await clock.sleep(10)
    assert scope.cancelled_caught
    await clock.advance(3)
    assert clock.now() == 3
    await clock.advance(100)
    assert clock.now() == 103


async def test_a_clock_at_speed_0_stands_still_until_it_is_moved() -> None:
    clock = SimulatedClock(speed=0)
    log: list[float] = []

    async def work() -> None:
        for _ in range(3):
            await clock.sleep(2)
            log.append(clock.now())

    async with anyio.create_task_group() as group:
        group.start_soon(work)
        await anyio.sleep(0.02)
        assert log == []
        await clock.advance(5)
        assert log == [2, 4]
        assert clock.now() == 5
        await clock.advance(1)
        assert log == [2, 4, 6]


async def test_a_finite_speed_lets_time_flow() -> None:
    clock = SimulatedClock(speed=1000)
    await clock.sleep(5)
    first = clock.now()
    assert first >= 5
    assert await clock.wait_for(lambda: None, timeout=5) is None
    assert clock.now() >= first + 5


async def test_late_timers_still_see_the_time_they_were_due() -> None:
    clock = SimulatedClock(speed=1000)
    seen: list[float] = []
    for due in (3, 1, 2):
        clock.call_later(due, lambda: seen.append(clock.now()))
    await anyio.sleep(0.05)
    late = clock.now()
    clock.tick()
    assert len(seen) == 3
    assert max(seen) < late <= clock.now()


@pytest.mark.parametrize("speed", [-1.0, math.nan])
async def test_a_clock_does_not_run_backwards(speed: float) -> None:
    with pytest.raises(InvalidInputError):
        SimulatedClock(speed=speed)


def test_one_clock_serves_one_event_loop_after_the_other() -> None:
    clock = SimulatedClock()
    for backend in ("asyncio", "trio", "asyncio"):
        anyio.run(clock.sleep, 10, backend=backend)
    assert clock.now() == 30


async def test_a_waiter_is_woken_from_another_thread() -> None:
    clock = SimulatedClock()
    open_now: list[bool] = []

    def open_it() -> None:
        open_now.append(True)
        clock.changed()

    async with anyio.create_task_group() as group:
        group.start_soon(anyio.to_thread.run_sync, open_it)
        with anyio.fail_after(5):
            assert await clock.wait_for(lambda: True if open_now else None)


async def test_waiters_of_two_event_loops_share_one_time() -> None:
    clock = SimulatedClock()
    async with anyio.create_task_group() as group:
        group.start_soon(on_island, clock.sleep, 10)
        group.start_soon(clock.sleep, 20)
    assert 20 <= clock.now() <= 30


def test_many_threads_wait_at_once() -> None:
    clock = SimulatedClock()

    async def work() -> None:
        for _ in range(10):
            await clock.sleep(1)

    with ThreadPoolExecutor(4) as pool:
        for future in [pool.submit(anyio.run, work) for _ in range(4)]:
            future.result(timeout=30)
    assert 10 <= clock.now() <= 40


async def test_who_was_cancelled_is_not_asked_any_more() -> None:
    clock = SimulatedClock()
    asked: list[int] = []
    with anyio.move_on_after(0.01):
        await clock.wait_for(lambda: asked.append(1))
    asked.clear()
    clock.changed()
    assert asked == []
