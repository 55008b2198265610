"""Facts for a face that is wanted at once.

A notebook asks for a face in the midst of a cell, on the loop of its kernel, and takes
no coroutine for an answer. The statuses it shows are asked for by coroutines and never
kept. So they are asked on the island, the private thread that kutti_sdk has anyway,
and the kernel waits for it: for a second at most, however much hangs.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from concurrent.futures import CancelledError
from typing import Any, TypeVar

from kutti_sdk.runtime.island import start_on_island

T = TypeVar("T")

LONGEST_WAIT = 1.0
"""Seconds that showing something may keep a kernel waiting."""


def read_now(read: Callable[[], Coroutine[Any, Any, T]], otherwise: T) -> T:
    """Ask for facts and wait for them, for `LONGEST_WAIT` at most.

    Args:
        read: Asks for them.
        otherwise: What to show when they did not come in time.

    Returns:
        The facts.
    """
    future = start_on_island(read)
    try:
        return future.result(LONGEST_WAIT)
    except (TimeoutError, CancelledError):
        return otherwise
    finally:
        future.cancel()  # which does nothing when it is done
