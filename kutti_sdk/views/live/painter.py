"""Draws often enough for eyes, and no more often."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

SHORTEST_PAUSE = 0.25
"""Seconds between two pictures: four a second at most."""


class Painter:
    """Draws when something is new: at once, or when the pause after the last is over.

    Lives on the island.

    Args:
        draw: Draws the state as it is then.
    """

    def __init__(self, draw: Callable[[], None]) -> None:
        self._draw = draw
        self._due: asyncio.TimerHandle | None = None
        self._last = -SHORTEST_PAUSE

    def request(self) -> None:
        """Tell that there is something new."""
        if self._due is None:
            loop = asyncio.get_running_loop()
            when = max(loop.time(), self._last + SHORTEST_PAUSE)
            self._due = loop.call_at(when, self._paint)

    def _paint(self) -> None:
        self._due = None
        self._last = asyncio.get_running_loop().time()
        self._draw()
