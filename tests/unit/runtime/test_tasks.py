"""Parallel tasks fail like plain code, and long operations can be interrupted."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
import traceback
from collections.abc import Callable
from typing import Any

import anyio
import pytest
import trio

from kutti_sdk.runtime.tasks import interruptible, rest_after, run_all, task_group


async def fail(error: BaseException) -> None:
    raise error


async def fail_when_cancelled(error: BaseException) -> None:
    try:
        await anyio.sleep_forever()
    finally:
        raise error


class TestTaskGroup:
    pytestmark = pytest.mark.anyio

    async def test_the_first_error_comes_out_itself_with_its_traceback(self) -> None:
        error = ValueError("first")
        with pytest.raises(ValueError, match="first") as caught:
            async with task_group() as group:
                group.start_soon(fail, error)
                await anyio.sleep_forever()
        assert caught.value is error
        assert "fail" in [frame.name for frame in traceback.extract_tb(error.__traceback__)]

    async def test_later_errors_are_noted_on_the_first(self) -> None:
        with pytest.raises(ValueError, match="first") as caught:
            async with task_group() as group:
                group.start_soon(fail_when_cancelled, KeyError("second"))
                group.start_soon(fail, ValueError("first"))
        assert caught.value.__notes__ == ["At the same time: KeyError: 'second'"]

    async def test_an_interrupt_comes_before_all_errors(self) -> None:
        class Interrupt(BaseException):
            """Like KeyboardInterrupt, which no asyncio task can hold."""

        with pytest.raises(Interrupt) as caught:
            async with task_group() as group:
                group.start_soon(fail_when_cancelled, Interrupt())
                group.start_soon(fail, ValueError("first"))
        assert caught.value.__notes__ == ["At the same time: ValueError: first"]

    async def test_an_error_keeps_its_cause_and_its_context(self) -> None:
        async def fail_because() -> None:
            raise ValueError("first") from cause

        async def fail_in_the_midst() -> None:
            try:
                raise KeyError("context")
            except KeyError:
                raise ValueError("first")  # noqa: B904 - the point

        cause = OSError("cause")
        with pytest.raises(ValueError, match="first") as caught:
            async with task_group() as group:
                group.start_soon(fail_because)
        assert caught.value.__cause__ is cause
        with pytest.raises(ValueError, match="first") as caught:
            async with task_group() as group:
                group.start_soon(fail_in_the_midst)
                await anyio.sleep_forever()
        assert isinstance(caught.value.__context__, KeyError)
        assert not caught.value.__suppress_context__

    async def test_errors_of_nested_groups_come_out_flat(self) -> None:
        async def nested() -> None:
            async with anyio.create_task_group() as group:
                group.start_soon(fail, ValueError("deep"))

        with pytest.raises(ValueError, match="deep"):
            async with task_group() as group:
                group.start_soon(nested)

    async def test_an_error_of_the_clean_up_is_not_lost_when_the_caller_is_cancelled(self) -> None:
        with pytest.raises(ValueError, match="clean-up"):
            with anyio.CancelScope() as scope:
                async with task_group() as group:
                    group.start_soon(fail_when_cancelled, ValueError("clean-up"))
                    group.start_soon(anyio.sleep_forever)
                    await anyio.wait_all_tasks_blocked()
                    scope.cancel()

    async def test_cancelling_the_caller_cancels_the_tasks_and_nothing_else(self) -> None:
        with anyio.CancelScope() as scope:
            async with task_group() as group:
                for _ in range(3):
                    group.start_soon(anyio.sleep_forever)
                await anyio.wait_all_tasks_blocked()
                scope.cancel()
        assert scope.cancelled_caught


class TestRunAll:
    pytestmark = pytest.mark.anyio

    async def test_results_come_in_the_order_of_the_functions(self) -> None:
        second_is_done = anyio.Event()

        async def first() -> int:
            await second_is_done.wait()
            return 1

        async def second() -> int:
            second_is_done.set()
            return 2

        assert await run_all(first, second) == [1, 2]

    async def test_nothing_to_do_gives_no_results(self) -> None:
        assert await run_all() == []

    async def test_no_more_than_the_limit_run_at_once(self) -> None:
        running = most = 0

        async def work() -> None:
            nonlocal running, most
            running += 1
            most = max(most, running)
            await anyio.sleep(0.001)
            running -= 1

        await run_all(*[work] * 20, limit=3)
        assert most == 3

    async def test_the_first_that_fails_cancels_the_others(self) -> None:
        with pytest.raises(ValueError, match="first"):
            await run_all(anyio.sleep_forever, lambda: fail(ValueError("first")))

    async def test_a_limit_of_none_at_all_is_refused_instead_of_waiting_for_ever(self) -> None:
        with pytest.raises(ValueError, match="limit"):
            await run_all(anyio.sleep_forever, limit=0)


class TestInterruptible:
    pytestmark = pytest.mark.anyio

    async def test_results_and_errors_come_out_as_they_are(self) -> None:
        @interruptible
        async def add(first: int, *, second: int) -> int:
            """Add."""
            return first + second

        error = ExceptionGroup("of the function's own", [ValueError()])
        assert await add(1, second=2) == 3
        assert add.__name__ == "add"
        with pytest.raises(ExceptionGroup) as caught:
            await interruptible(fail)(error)
        assert caught.value is error

    async def test_cancel_scopes_around_it_work(self) -> None:
        with anyio.move_on_after(0.01) as scope:
            await interruptible(anyio.sleep_forever)()
        assert scope.cancelled_caught
        with pytest.raises(TimeoutError):
            with anyio.fail_after(0.01):
                await interruptible(interruptible(anyio.sleep_forever))()

    async def test_many_at_once_and_nested(self) -> None:
        @interruptible
        async def inner() -> int:
            await anyio.sleep(0.001)
            return 1

        @interruptible
        async def outer() -> int:
            return sum(await run_all(*[inner] * 10))

        assert await run_all(*[outer] * 10) == [10] * 10


def test_a_task_cancelled_by_another_task_ends_cancelled() -> None:
    async def main() -> None:
        task = asyncio.create_task(interruptible(anyio.sleep_forever)())
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await interruptible(anyio.sleep_forever)()

    asyncio.run(main())


def test_a_loop_has_one_heartbeat_however_many_operations_and_none_without() -> None:
    beats: list[Callable[[], Any]] = []

    async def main() -> None:
        loop = asyncio.get_running_loop()
        loop.call_later = lambda _, beat, *args: beats.append(  # type: ignore[method-assign,assignment]
            lambda: beat(*args)
        )
        go_on = anyio.Event()
        operation = interruptible(interruptible(go_on.wait))
        async with anyio.create_task_group() as group:
            for _ in range(5):
                group.start_soon(operation)
            await anyio.wait_all_tasks_blocked()
            assert len(beats) == 1
            beats.pop()()
            assert len(beats) == 1
            go_on.set()
        beats.pop()()
        assert not beats
        await operation()
        assert len(beats) == 1

    asyncio.run(main())
    assert len(beats) == 1


@pytest.mark.timeout(60)
def test_a_signal_is_seen_while_asyncio_awaits_something_silent() -> None:
    async def main() -> None:
        task = asyncio.current_task()
        assert task is not None
        # Like the handler of a notebook's kernel, this does not wake the loop.
        signal.signal(signal.SIGUSR1, lambda *_: task.cancel())
        await interruptible(asyncio.sleep)(3600)

    before = signal.getsignal(signal.SIGUSR1)
    timer = threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGUSR1))
    timer.start()
    try:
        with pytest.raises(asyncio.CancelledError):
            asyncio.run(main())
    finally:
        timer.join()
        signal.signal(signal.SIGUSR1, before)


@pytest.mark.timeout(60)
def test_an_interrupt_is_seen_while_trio_awaits_something_silent() -> None:
    # What a shell starts in the background ignores interrupts, and these tests with it.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    timer = threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT))
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        trio.run(interruptible(trio.sleep_forever))
    timer.join()
    signal.signal(signal.SIGINT, before)


def test_who_looks_longer_rests_longer_but_not_for_ever() -> None:
    assert rest_after(0.0, shortest=2.0) == 2.0
    assert rest_after(0.04, shortest=2.0) == pytest.approx(12.0)
    assert rest_after(10.0, shortest=2.0) == 30.0
    assert rest_after(10.0, shortest=60.0) == 60.0
