"""Cancels an operation at a step of your choice, under asyncio and under trio.

A step ends where a task gives the event loop back: at every `await` that really
waits, and at no other place can a cancellation arrive. The steps of all tasks of
the operation count, those of its task groups too.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Generator, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import partial
from typing import Any

import anyio
import trio
from anyio.lowlevel import current_token

_belongs: ContextVar[bool] = ContextVar("belongs", default=False)  # inherited by child tasks


async def cancelled_at(step: int, operation: Callable[[], Awaitable[object]]) -> bool:
    """Run an operation and cancel it when a step of it is done.

    Args:
        step: The step, counted from 1.
        operation: What to run.

    Returns:
        False when the operation had ended before, of its own accord.
    """
    with anyio.CancelScope() as scope:
        await struck_at(step, operation, scope.cancel)
    return scope.cancel_called


async def struck_at(
    step: int, operation: Callable[[], Awaitable[object]], strike: Callable[[], None]
) -> None:
    """Run an operation, and do something to it when a step of it is done.

    Args:
        step: The step, counted from 1.
        operation: What to run.
        strike: What to do then.
    """
    left = step

    def done_one() -> None:
        nonlocal left
        left -= 1
        if left == 0:
            strike()

    if isinstance(current_token().native_token, asyncio.AbstractEventLoop):
        with _counted_tasks(done_one):
            await _Counted(_coroutine(operation), done_one)
    else:
        with _instrumented(done_one):
            await operation()


@contextmanager
def _instrumented(done_one: Callable[[], None]) -> Iterator[None]:
    class Steps(trio.abc.Instrument):
        def after_task_step(self, task: trio.lowlevel.Task) -> None:
            if task.context.get(_belongs, False):
                done_one()

    steps, token = Steps(), _belongs.set(True)
    trio.lowlevel.add_instrument(steps)
    try:
        yield
    finally:
        trio.lowlevel.remove_instrument(steps)
        _belongs.reset(token)


@contextmanager
def _counted_tasks(done_one: Callable[[], None]) -> Iterator[None]:
    def make_task(
        loop: asyncio.AbstractEventLoop, coroutine: Coroutine[Any, Any, Any], **options: Any
    ) -> asyncio.Task[Any]:
        counted = _coroutine(lambda: _Counted(coroutine, done_one))
        return asyncio.Task(counted, loop=loop, **options)

    loop = asyncio.get_running_loop()
    before = loop.get_task_factory()
    loop.set_task_factory(make_task)
    try:
        yield
    finally:
        loop.set_task_factory(before)


class _Counted:
    """Awaits a coroutine, and tells whenever it gives the event loop back."""

    def __init__(self, coroutine: Coroutine[Any, Any, Any], done_one: Callable[[], None]) -> None:
        self._coroutine = coroutine
        self._done_one = done_one

    def __await__(self) -> Generator[Any, Any, Any]:
        resume = partial(self._coroutine.send, None)
        while True:
            try:
                waits_for = resume()
            except StopIteration as end:
                return end.value
            self._done_one()
            try:
                answer = yield waits_for
            except BaseException as error:  # noqa: BLE001 - it is for the coroutine
                resume = partial(self._coroutine.throw, error)
            else:
                resume = partial(self._coroutine.send, answer)


async def _coroutine(operation: Callable[[], Awaitable[Any]]) -> Any:
    return await operation()
