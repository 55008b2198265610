"""Calls to the asyncio island behave like calls at home, from wherever they come."""

from __future__ import annotations

import asyncio
import gc
import os
import subprocess
import sys
import threading
import traceback
from collections.abc import Callable
from concurrent.futures import CancelledError, Future
from contextvars import ContextVar

import anyio
import pytest
import trio

from kutti_sdk.runtime.island import on_island, start_on_island, waker
from kutti_sdk.runtime.tasks import run_all


async def add(first: int, *, second: int) -> int:
    await asyncio.sleep(0)
    return first + second


async def whereabouts() -> tuple[threading.Thread, asyncio.AbstractEventLoop]:
    return threading.current_thread(), asyncio.get_running_loop()


class Sleeper:
    """Sleeps on the island until it is cancelled, and then cleans up for a moment."""

    def __init__(self, error: Exception | None = None) -> None:
        self.error = error
        self.sleeps = threading.Event()
        self.clean = False

    async def __call__(self) -> None:
        try:
            self.sleeps.set()
            await asyncio.sleep(3600)
        finally:
            await asyncio.sleep(0.05)
            self.clean = True
            if self.error is not None:
                raise self.error

    async def until_it_sleeps(self) -> None:
        await anyio.to_thread.run_sync(self.sleeps.wait)


class TestCalls:
    pytestmark = pytest.mark.anyio

    async def test_the_result_comes_back(self) -> None:
        assert await on_island(add, 1, second=2) == 3

    async def test_an_error_comes_back_with_its_traceback(self) -> None:
        async def fail() -> None:
            raise ValueError("there")

        with pytest.raises(ValueError, match="there") as caught:
            await on_island(fail)
        assert "fail" in [frame.name for frame in traceback.extract_tb(caught.value.__traceback__)]

    async def test_all_calls_run_in_one_thread_which_is_not_the_callers(self) -> None:
        thread, loop = await on_island(whereabouts)
        assert thread is not threading.current_thread()
        assert thread.daemon
        assert await on_island(whereabouts) == (thread, loop)

    async def test_a_call_from_the_island_stays_in_its_task(self) -> None:
        async def task() -> asyncio.Task[object] | None:
            return asyncio.current_task()

        async def outer() -> bool:
            return await on_island(task) is asyncio.current_task()

        assert await on_island(outer)

    async def test_anyio_works_there_as_under_asyncio(self) -> None:
        async def sleep() -> int:
            await anyio.sleep(0.001)
            return 1

        assert await on_island(sleep) == 1

    async def test_the_callers_context_stays_at_home(self) -> None:
        variable = ContextVar("variable", default="nothing")
        variable.set("the caller's")

        async def look() -> str:
            return variable.get()

        assert await on_island(look) == "nothing"

    async def test_hundreds_of_calls_at_once(self) -> None:
        results = await run_all(*[lambda: on_island(add, 1, second=2)] * 200)
        assert results == [3] * 200

    async def test_a_call_that_wants_to_exit_does_not_sink_the_island(self) -> None:
        async def leave() -> None:
            raise SystemExit(3)

        sleeper = Sleeper()
        other = start_on_island(sleeper)
        await sleeper.until_it_sleeps()
        with pytest.raises(SystemExit):
            await on_island(leave)
        assert await on_island(add, 1, second=2) == 3
        assert not other.done()
        other.cancel()


class TestCancellation:
    pytestmark = pytest.mark.anyio

    async def test_cancelling_the_caller_cancels_the_call_and_waits_for_its_clean_up(self) -> None:
        sleeper = Sleeper()
        async with anyio.create_task_group() as group:
            group.start_soon(on_island, sleeper)
            await sleeper.until_it_sleeps()
            group.cancel_scope.cancel()
        assert sleeper.clean

    async def test_an_error_of_the_clean_up_is_not_lost(self) -> None:
        sleeper = Sleeper(error=ValueError("clean-up"))
        with pytest.raises(ExceptionGroup) as caught:
            async with anyio.create_task_group() as group:
                group.start_soon(on_island, sleeper)
                await sleeper.until_it_sleeps()
                group.cancel_scope.cancel()
        assert caught.group_contains(ValueError, match="clean-up")

    async def test_a_clean_up_that_takes_for_ever_is_not_waited_for(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        async def cling() -> None:
            try:
                await asyncio.sleep(3600)
            finally:
                await freed.wait()

        monkeypatch.setattr("kutti_sdk.runtime.island.CLEAN_UP_TIME", 0.05)
        freed = asyncio.Event()
        with anyio.move_on_after(0.05) as scope:
            await on_island(cling)
        assert scope.cancelled_caught

        async def free() -> None:
            freed.set()

        await on_island(free)

    async def test_a_future_is_done_only_when_the_clean_up_is(self) -> None:
        sleeper = Sleeper()
        future = start_on_island(sleeper)
        await sleeper.until_it_sleeps()
        assert future.cancel()
        assert not future.done()
        with pytest.raises(CancelledError):
            await anyio.to_thread.run_sync(future.result)
        assert sleeper.clean
        assert future.cancelled()
        assert not future.cancel()


def test_loops_may_come_and_go() -> None:
    async def call() -> asyncio.AbstractEventLoop:
        return (await on_island(whereabouts))[1]

    assert asyncio.run(call()) is asyncio.run(call()) is trio.run(call) is asyncio.run(call())


def test_trio_inside_of_a_standing_asyncio_loop_is_served() -> None:
    # What a notebook does after "%autoawait trio".
    async def standing() -> int:
        async def call() -> int:
            with trio.fail_after(60):
                return await on_island(add, 1, second=2)

        return trio.run(call)

    assert asyncio.run(standing()) == 3


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_waking_a_loop_that_is_gone_does_nothing(backend: str) -> None:
    async def make() -> Callable[[], None]:
        return waker(anyio.Event())

    anyio.run(make, backend=backend)()


def test_a_caller_that_is_thrown_away_cancels_its_call() -> None:
    sleeper = Sleeper()
    loop = asyncio.new_event_loop()
    caller = loop.create_task(on_island(sleeper))
    loop.run_until_complete(asyncio.sleep(0))
    sleeper.sleeps.wait()
    coroutine = caller.get_coro()
    loop.close()
    assert coroutine is not None
    coroutine.close()  # fails if it awaits anything
    caller._log_destroy_pending = False  # type: ignore[attr-defined]
    del caller, coroutine
    gc.collect()

    async def until_clean() -> None:
        while not sleeper.clean:
            await asyncio.sleep(0.01)

    asyncio.run(asyncio.wait_for(until_clean(), 60))


def run_script(script: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", script],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_a_process_ends_in_silence_with_calls_still_running() -> None:
    done = run_script("""
import asyncio, threading
from kutti_sdk.runtime.island import on_island, start_on_island

async def sleep():
    sleeps.set()
    try:
        await asyncio.sleep(3600)
    finally:
        await asyncio.sleep(0)
        print("clean", flush=True)

async def generate():
    try:
        yield 1
        await asyncio.sleep(3600)
    finally:
        print("closed", flush=True)

async def take_one():
    global generator
    generator = generate()
    return await anext(generator)

sleeps = threading.Event()
asyncio.run(on_island(take_one))
future = start_on_island(sleep)
sleeps.wait()
""")
    assert (done.stdout, done.stderr, done.returncode) == ("clean\nclosed\n", "", 0)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_a_forked_child_gets_an_island_of_its_own() -> None:
    done = run_script("""
import asyncio, os, threading, time, warnings
import kutti_sdk.runtime.island as island

warnings.simplefilter("ignore", DeprecationWarning)  # fork in a process with threads
async def where():
    return threading.get_native_id()

ours = asyncio.run(island.on_island(where))
held = threading.Event()
def hold():  # as if another thread were about to make its call
    with island._lock:
        held.set()
        time.sleep(0.3)
threading.Thread(target=hold).start()
held.wait()
child = os.fork()
theirs = asyncio.run(island.on_island(where))
print("child" if child == 0 else "parent", theirs == ours, flush=True)
if child:
    assert os.waitpid(child, 0)[1] == 0
""")
    assert done.stderr == ""
    assert sorted(done.stdout.splitlines()) == ["child False", "parent True"]


def test_a_future_is_a_future_for_threads_too() -> None:
    future: Future[int] = start_on_island(add, 1, second=2)
    assert future.result(timeout=60) == 3
