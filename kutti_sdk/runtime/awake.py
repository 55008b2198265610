"""Waits that do not count what this process slept through.

It sleeps while it is stopped, by Ctrl-Z or with its container, and on some systems while the
machine is suspended: the clock runs on, and whatever was waited for slept as well, or was not
looked at. A time limit that ended in a sleep says nothing.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TypeVar

import anyio

from kutti_sdk.runtime.tasks import task_group

_LATE = 1.0  # seconds; less than that is a busy machine
_STEP = 1.0  # seconds; of a sleep no more than that is counted

T = TypeVar("T")


async def rest(seconds: float) -> float:
    """Wait for some time.

    Args:
        seconds: How long.

    Returns:
        Seconds of sleep that it took beyond that, by which deadlines are to be moved; 0.0
        when there was none.
    """
    begun = anyio.current_time()
    await anyio.sleep(seconds)
    late = anyio.current_time() - begun - seconds
    return late if late > _LATE else 0.0


async def within(seconds: float, wait: Callable[[], Awaitable[T]]) -> T:
    """Wait for something for a limited time.

    Args:
        seconds: How long at most.
        wait: Waits for it; it is cancelled and called again, and must not lose anything by that.

    Returns:
        What that returns.

    Raises:
        TimeoutError: When it took longer.
    """
    left = seconds
    while left > 0:
        step = min(left, _STEP)
        with anyio.move_on_after(step):
            return await wait()
        left -= step
    raise TimeoutError


@asynccontextmanager
async def limited(seconds: float) -> AsyncIterator[None]:
    """Limit the time of a block.

    Args:
        seconds: How long it may take.

    Yields:
        Nothing.

    Raises:
        TimeoutError: When it took longer.
    """
    async with task_group() as group:
        group.start_soon(within, seconds, anyio.sleep_forever)
        yield
        group.cancel_scope.cancel()
