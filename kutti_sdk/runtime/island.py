"""The asyncio island: one private thread where asyncio-only libraries live.

Whatever backend the caller runs under, asyncssh behaves the same, and a cell
that blocks the notebook's loop does not starve connections.
"""

from __future__ import annotations

import asyncio
import atexit
import os
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from contextvars import Context
from typing import Any, ParamSpec, TypeVar

import anyio
from anyio.lowlevel import current_token

P = ParamSpec("P")
T = TypeVar("T")

CLEAN_UP_TIME = 5.0
"""Seconds that a cancelled call on the island may take to clean up."""

_SINKING_TIME = 1.0  # seconds that all calls together have for that when the process ends

_lock = threading.Lock()
_loop: asyncio.AbstractEventLoop | None = None


async def on_island(
    function: Callable[P, Coroutine[Any, Any, T]], *args: P.args, **kwargs: P.kwargs
) -> T:
    """Run a coroutine function on the island and wait for it here.

    Cancelling the caller cancels it there; the caller goes on when its clean-up
    is done, or took too long. What the clean-up raises, the caller gets.

    Args:
        function: A coroutine function for asyncio.
        *args: Its arguments.
        **kwargs: Its keyword arguments.

    Returns:
        What it returns.
    """
    if current_token().native_token is _island():
        return await function(*args, **kwargs)
    future = start_on_island(function, *args, **kwargs)
    try:
        await _until_done(future)
    except GeneratorExit:  # the caller was thrown away, and may not wait any more
        future.cancel()
        raise
    except BaseException:
        future.cancel()
        with anyio.move_on_after(CLEAN_UP_TIME, shield=True):
            await _until_done(future)
        if future.done() and not future.cancelled():
            future.result()  # raises what went wrong in the clean-up
        raise
    return future.result()


def start_on_island(
    function: Callable[P, Coroutine[Any, Any, T]], *args: P.args, **kwargs: P.kwargs
) -> Future[T]:
    """Begin a coroutine function on the island; whoever calls this owns it from then on.

    Args:
        function: A coroutine function for asyncio or anyio.
        *args: Its arguments.
        **kwargs: Its keyword arguments.

    Returns:
        Its future result; cancelling it, from any thread, cancels the function,
        and it is done when the function's clean-up is.
    """
    call: _Call[T] = _Call(_island())
    call.begin(function(*args, **kwargs))
    return call


class _Call(Future[T]):
    """What runs on the island, seen from other threads.

    `asyncio.run_coroutine_threadsafe` would not do: its future counts as done at
    the moment of its cancellation, before anything was cleaned up.
    """

    def __init__(self, island: asyncio.AbstractEventLoop) -> None:
        super().__init__()
        self._loop = island
        self._task: asyncio.Task[T] | None = None

    def begin(self, coroutine: Coroutine[Any, Any, T]) -> None:
        # An empty context: the caller's names its own backend to anyio and carries
        # observers that must not be called from the island's thread.
        self._loop.call_soon_threadsafe(self._start, coroutine, context=Context())

    def cancel(self) -> bool:
        if self.done():
            return False
        try:
            self._loop.call_soon_threadsafe(self._cancel_task)
        except RuntimeError:  # the island has sunk, and with it the task
            return super().cancel()
        return True

    def _start(self, coroutine: Coroutine[Any, Any, T]) -> None:
        self._task = self._loop.create_task(coroutine)
        self._task.add_done_callback(self._finish)

    def _cancel_task(self) -> None:
        if self._task is not None:
            self._task.cancel()

    def _finish(self, task: asyncio.Task[T]) -> None:
        if task.cancelled():
            super().cancel()
            self.set_running_or_notify_cancel()
        elif (error := task.exception()) is not None:
            self.set_exception(error)
        else:
            self.set_result(task.result())


async def _until_done(future: Future[Any]) -> None:
    done = anyio.Event()
    wake = waker(done)
    future.add_done_callback(lambda _: wake())
    await done.wait()


def waker(event: anyio.Event) -> Callable[[], None]:
    """Make a function that sets an event from any thread and never blocks there.

    Args:
        event: An event of the running loop, under asyncio or trio.

    Returns:
        The function; calling it when the loop is gone does nothing.
    """
    # Not asyncio.get_running_loop(): with "%autoawait trio" the cell's trio runs
    # inside of the kernel's asyncio loop, which stands still meanwhile.
    loop = current_token().native_token
    if isinstance(loop, asyncio.AbstractEventLoop):

        def wake_asyncio() -> None:
            try:
                loop.call_soon_threadsafe(event.set)
            except RuntimeError:  # the loop is closed, and who waited is gone
                pass

        return wake_asyncio

    from trio import RunFinishedError
    from trio.lowlevel import current_trio_token

    token = current_trio_token()

    def wake_trio() -> None:
        try:
            token.run_sync_soon(event.set)
        except RunFinishedError:  # the same, under trio
            pass

    return wake_trio


def _island() -> asyncio.AbstractEventLoop:
    global _loop  # noqa: PLW0603 - the one island of the process
    with _lock:
        if _loop is None:
            loop = asyncio.new_event_loop()
            thread = threading.Thread(target=_live, args=(loop,), name="kutti-island", daemon=True)
            thread.start()
            atexit.register(_leave, loop, thread)
            _loop = loop
        return _loop


def _live(loop: asyncio.AbstractEventLoop) -> None:
    while True:
        try:
            loop.run_forever()
            break
        except (KeyboardInterrupt, SystemExit):  # of one call; its future has it
            pass
    loop.close()


def _leave(loop: asyncio.AbstractEventLoop, thread: threading.Thread) -> None:
    if thread.is_alive():  # it is not in a forked child
        asyncio.run_coroutine_threadsafe(_sink(), loop)
        thread.join(timeout=2 * _SINKING_TIME)


async def _sink() -> None:
    tasks = asyncio.all_tasks() - {asyncio.current_task()}
    for task in tasks:
        task.cancel()
    if tasks:
        await asyncio.wait(tasks, timeout=_SINKING_TIME)
    loop = asyncio.get_running_loop()
    await loop.shutdown_asyncgens()
    loop.stop()


def _forget_island() -> None:
    # A forked child has none of its parent's threads, and a lock that one of them
    # held would stay locked for ever.
    global _lock, _loop
    _lock, _loop = threading.Lock(), None


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_island)
