"""A place where several tasks wait for each other."""

from __future__ import annotations

import anyio


class Rendezvous:
    """Lets tasks go on when all of them have come.

    Args:
        count: How many tasks there are.
    """

    def __init__(self, count: int) -> None:
        self._missing = count
        self._complete = anyio.Event()

    async def wait(self) -> None:
        """Come, and wait for the others."""
        self._missing -= 1
        if self._missing == 0:
            self._complete.set()
        await self._complete.wait()
