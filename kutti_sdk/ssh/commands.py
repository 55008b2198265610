"""Commands whose output is wanted: all of it at the end, or piece by piece; on the island."""

from __future__ import annotations

import asyncio
from collections import deque

from kutti_sdk.core.errors import CommandTimeoutError
from kutti_sdk.core.ssh import CommandResult
from kutti_sdk.ssh.connections import BRIEFLY, PATIENCE
from kutti_sdk.ssh.endpoint import Endpoint
from kutti_sdk.ssh.sessions import STDERR, Session, Terminal

BUFFER = 256 * 1024
"""Bytes of output kept for a slow reader before the host is made to wait."""


async def run(
    endpoint: Endpoint, command: str, *, stdin: str | None, timeout: float | None
) -> CommandResult:
    """Run a command and collect its output.

    Args:
        endpoint: Where.
        command: A shell command line.
        stdin: Text for its standard input; None for none.
        timeout: Seconds for all of it, connecting included; None for no limit.

    Returns:
        The result.

    Raises:
        SSHConnectionError: When the host could not be reached or the line was lost.
        SSHError: When the host refused the command.
        CommandTimeoutError: When it took longer; it is terminated first.
    """
    session = CollectingSession(endpoint, command, stdin=stdin)
    patience = PATIENCE
    try:
        async with asyncio.timeout(timeout):
            await session.start()
            await session.ended.wait()
    except TimeoutError:
        raise CommandTimeoutError(
            f"{command!r} did not end within {timeout:g} s on {endpoint.name}",
            hint="It was terminated. Give it a longer timeout, or look at what it waits for.",
            host=endpoint.name,
        ) from None
    except asyncio.CancelledError:
        patience = BRIEFLY
        raise
    finally:
        await session.end(patience)
    return CommandResult(
        command=command,
        stdout=session.text(None),
        stderr=session.text(STDERR),
        exit_status=session.exit_status,
        duration=session.duration,
        host=endpoint.name,
    )


class CollectingSession(Session):
    """A command all of whose output is kept."""

    def __init__(self, endpoint: Endpoint, command: str, *, stdin: str | None) -> None:
        super().__init__(endpoint, command, stdin=stdin)
        self._output: dict[int | None, list[bytes]] = {None: [], STDERR: []}

    def receive(self, data: bytes, datatype: int | None) -> None:
        """Keep a piece."""
        self._output[datatype].append(data)

    def text(self, datatype: int | None) -> str:
        """Read what it wrote.

        Args:
            datatype: `STDERR`, or None for standard output.

        Returns:
            The text; what is not UTF-8 is replaced by question marks.
        """
        return b"".join(self._output[datatype]).decode(errors="replace")


class FollowedSession(Session):
    """A command or shell whose output is taken piece by piece, from another thread.

    The host is made to wait while more than `BUFFER` bytes are not taken yet.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        command: str | None,
        *,
        stdin: str | None = None,
        terminal: Terminal | None = None,
    ) -> None:
        super().__init__(endpoint, command, stdin=stdin, terminal=terminal)
        self._pieces: deque[tuple[int | None, bytes]] = deque()
        self._news = asyncio.Event()
        self._since_resumed = 0

    def take(self) -> tuple[int | None, bytes] | None:
        """Take the oldest piece that is there; may be called from any thread.

        Returns:
            Where it came from (`STDERR`, or None for standard output) and its bytes;
            or None when there is none at the moment.
        """
        return self._pieces.popleft() if self._pieces else None

    async def more(self) -> bool:
        """Wait for output, once all that was there is taken.

        Returns:
            Whether there is any; False when the command has ended.
        """
        while not self._pieces and not self.ended.is_set():
            self._news.clear()
            self._since_resumed = 0
            if self._channel is not None:
                self._channel.resume_reading()  # which may bring some at once
            if not self._pieces and not self.ended.is_set():
                await self._news.wait()
        return bool(self._pieces)

    def receive(self, data: bytes, datatype: int | None) -> None:
        """Keep a piece, and stop reading when there are too many."""
        self._pieces.append((datatype, data))
        self._since_resumed += len(data)
        if self._since_resumed > BUFFER and self._channel is not None:
            self._channel.pause_reading()
        self._news.set()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wake whoever waits for output that will not come."""
        super().connection_lost(exc)
        self._news.set()
