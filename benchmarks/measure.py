"""What a benchmark yields, and taking times."""

from __future__ import annotations

import statistics
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Measurement:
    """One row of the table.

    Attributes:
        what: What was measured.
        ours: Seconds that kutti_sdk took, or what `unit` says; the median over all rounds.
        goal: The highest ratio, or without a baseline the highest value.
        baseline: Seconds that the baseline took, the median over all rounds.
        baseline_name: What the baseline is.
        unit: What the numbers are of, where that is not seconds.
    """

    what: str
    ours: float
    goal: float
    baseline: float | None = None
    baseline_name: str = ""
    unit: str = "s"

    @property
    def value(self) -> float:
        """What is held against the goal."""
        return self.ours if self.baseline is None else self.ours / self.baseline


async def seconds(action: Callable[[], Awaitable[object]]) -> float:
    """Take the time of one run.

    Args:
        action: What to run.

    Returns:
        Seconds.
    """
    begun = time.perf_counter()
    await action()
    return time.perf_counter() - begun


async def alternating(
    ours: Callable[[], Awaitable[object]],
    baseline: Callable[[], Awaitable[object]],
    rounds: int,
) -> tuple[float, float]:
    """Take the times of two things in turns, so that both meet the same weather.

    Args:
        ours: What kutti_sdk does.
        baseline: What it is held against.
        rounds: How often.

    Returns:
        The medians of both, in seconds.
    """
    times = [(await seconds(ours), await seconds(baseline)) for _ in range(rounds)]
    one, other = zip(*times, strict=True)
    return statistics.median(one), statistics.median(other)
