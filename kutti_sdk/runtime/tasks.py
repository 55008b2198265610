"""Task groups whose errors read like those of plain code, and the heartbeat."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager, contextmanager
from functools import wraps
from typing import Any, ParamSpec, TypeVar
from weakref import WeakKeyDictionary

import anyio
from anyio.abc import TaskGroup
from anyio.lowlevel import current_token

from kutti_sdk.core.errors import InvalidInputError

P = ParamSpec("P")
T = TypeVar("T")

BEAT = 0.2
"""Seconds between two wake-ups of the loop while something is awaited.

A notebook's kernel notices "interrupt kernel" at the next wake-up only.
"""

_REST = 300
"""How much longer than a look the rest after it is; a third of a per cent is for looks."""

_LONGEST_REST = 30.0  # seconds

_operations: WeakKeyDictionary[asyncio.AbstractEventLoop, int] = WeakKeyDictionary()


@asynccontextmanager
async def task_group() -> AsyncIterator[TaskGroup]:
    """Run tasks in parallel; the first that fails cancels the others.

    Yields:
        The group.

    Raises:
        BaseException: The first error itself and not a group; an interrupt comes
            before all others. What else went wrong is added as notes.
    """
    try:
        async with anyio.create_task_group() as group:
            yield group
    except BaseExceptionGroup as errors:
        first, *others = sorted(_leaves(errors), key=_urgency)
        for other in others:
            if not _is_cancellation(other):
                first.add_note(f"At the same time: {type(other).__name__}: {other}")
        context = first.__context__
        try:
            raise first
        finally:
            # What it was raised in the midst of, and not the group it came in.
            first.__context__ = context


async def run_all(*functions: Callable[[], Awaitable[T]], limit: int | None = None) -> list[T]:
    """Call async functions in parallel and collect what they return.

    Args:
        functions: What to call; the first that fails cancels the others.
        limit: How many may run at once, 1 or more; None for all.

    Returns:
        The results, in the order of the functions.

    Raises:
        InvalidInputError: When none may run.
    """
    if limit is not None and limit < 1:
        raise InvalidInputError(f"a limit of {limit} lets nothing run", hint="Use 1 or more.")
    results: dict[int, T] = {}
    limiter = anyio.Semaphore(len(functions) if limit is None else limit)

    async def call(index: int, function: Callable[[], Awaitable[T]]) -> None:
        async with limiter:
            results[index] = await function()

    async with task_group() as group:
        for index, function in enumerate(functions):
            group.start_soon(call, index, function)
    return [results[index] for index in range(len(functions))]


def interruptible(
    function: Callable[P, Coroutine[Any, Any, T]],
) -> Callable[P, Coroutine[Any, Any, T]]:
    """Make a coroutine function wake the loop often enough to be interrupted in a notebook.

    Args:
        function: A public operation that may take more than a moment.

    Returns:
        The same operation with a heartbeat; all operations of a loop share one.
    """

    @wraps(function)
    async def beating(*args: P.args, **kwargs: P.kwargs) -> T:
        with _heartbeat():
            return await function(*args, **kwargs)

    return beating


def rest_after(look: float, *, shortest: float) -> float:
    """Tell how long to wait before looking again at what nobody tells of.

    Args:
        look: Seconds that the last look kept this thread busy (`time.thread_time`). What
            it only waited for does not count: a host that hangs is soon asked again.
        shortest: Seconds to wait at least.

    Returns:
        Seconds; the more a look takes, the longer the rest is, up to half a minute.
    """
    return max(shortest, min(_REST * look, _LONGEST_REST))


@contextmanager
def _heartbeat() -> Iterator[None]:
    loop = current_token().native_token
    # trio is woken by the signal itself (it sets signal.set_wakeup_fd); asyncio goes
    # on sleeping, and what the kernel's signal handler asked for waits with it.
    if not isinstance(loop, asyncio.AbstractEventLoop):
        yield
        return
    if loop not in _operations:
        _operations[loop] = 0
        loop.call_later(BEAT, _beat, loop)
    _operations[loop] += 1
    try:
        yield
    finally:
        _operations[loop] -= 1


def _beat(loop: asyncio.AbstractEventLoop) -> None:
    # A timer and not a task: there is nothing to cancel, to wait for or to leave behind.
    if _operations[loop]:
        loop.call_later(BEAT, _beat, loop)
    else:
        del _operations[loop]


def _urgency(error: BaseException) -> int:
    """Tell interrupts (0) from failures (1) and from what they cancelled (2)."""
    if _is_cancellation(error):
        return 2
    return 1 if isinstance(error, Exception) else 0


def _is_cancellation(error: BaseException) -> bool:
    return isinstance(error, anyio.get_cancelled_exc_class())


def _leaves(group: BaseExceptionGroup[BaseException]) -> list[BaseException]:
    return [
        leaf
        for error in group.exceptions
        for leaf in (_leaves(error) if isinstance(error, BaseExceptionGroup) else [error])
    ]
