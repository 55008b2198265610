"""Which points of an operation are tried: all of them, or a fixed share."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from itertools import count
from typing import TypeVar
from zlib import crc32

T = TypeVar("T")

VARIABLE = "KUTTI_TORTURE"
"""Environment variable that ``make torture`` sets, to try all there is."""


def all_is_tried() -> bool:
    """Tell whether everything is tried, however long it takes."""
    return bool(os.environ.get(VARIABLE))


def stride(every: int, *, thorough: int = 1) -> int:
    """Tell how many points there are for each that is tried.

    Args:
        every: How many in a run that has to be short.
        thorough: How many in one that may take hours.

    Returns:
        One of these.
    """
    return thorough if all_is_tried() else every


def points(name: str, step: int) -> Iterator[int]:
    """Number the points to try; the caller stops when there are no more.

    Args:
        name: What is tried. Different things begin at different points, the same one
            always at the same.
        step: How many points there are for each that is tried.

    Yields:
        Numbers from 1 on.
    """
    yield from count(1 + crc32(name.encode()) % step, step)


def a_share_of(things: Iterable[T], every: int) -> list[T]:
    """Choose what is tried at all.

    Args:
        things: All there are.
        every: How many there are for each that is chosen in a short run.

    Returns:
        The first, and so on; all of them when all is tried.
    """
    return list(things)[:: stride(every)]
