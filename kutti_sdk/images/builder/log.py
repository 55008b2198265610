"""The log of a build: everything the programs said, kept in a file."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio

_TAIL = 15  # lines


class BuildLog:
    """Takes lines, writes them to a file and remembers the last ones."""

    def __init__(self, path: Path, file: anyio.AsyncFile[str]) -> None:
        self.path = path
        self._file = file
        self._tail: deque[str] = deque(maxlen=_TAIL)

    @property
    def tail(self) -> str:
        """The last lines."""
        return "\n".join(self._tail)

    async def write(self, line: str) -> None:
        """Add a line.

        Args:
            line: Without its line feed.
        """
        self._tail.append(line)
        await self._file.write(line + "\n")
        await self._file.flush()


@asynccontextmanager
async def build_log(path: Path) -> AsyncIterator[BuildLog]:
    """Open the log of a new build.

    Args:
        path: The file; one of an earlier build is replaced.

    Yields:
        The log.
    """
    async with await anyio.open_file(path, "w", encoding="utf-8") as file:
        yield BuildLog(path, file)
