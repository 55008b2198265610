"""A running command as its caller sees it: text, piece by piece, under any backend."""

from __future__ import annotations

import codecs
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Literal

import anyio.lowlevel

from kutti_sdk.core.ssh import Output, RunningCommand
from kutti_sdk.runtime.island import on_island
from kutti_sdk.runtime.tasks import interruptible

if TYPE_CHECKING:
    from kutti_sdk.ssh.commands import FollowedSession

Stream = Literal["stdout", "stderr"]

_utf8 = codecs.getincrementaldecoder("utf-8")


class StreamedCommand(RunningCommand, AsyncIterator[Output]):
    """A command that runs on a host while its output is read here.

    Args:
        session: Its session on the island, started.
    """

    def __init__(self, session: FollowedSession) -> None:
        self._session = session
        self._decoders: dict[Stream, codecs.IncrementalDecoder] = {
            "stdout": _utf8("replace"),
            "stderr": _utf8("replace"),
        }

    def __aiter__(self) -> AsyncIterator[Output]:
        """Iterate over the output as it comes, until the command ends."""
        return self

    async def __anext__(self) -> Output:
        """Wait for the next piece, in the order of arrival.

        Returns:
            The piece.

        Raises:
            SSHConnectionError: When the line is lost before the command ends.
            StopAsyncIteration: When the command has ended.
        """
        while (piece := self._session.take()) is not None or await self._more():
            if piece is None:
                continue
            await anyio.lowlevel.checkpoint()
            stream: Stream = "stdout" if piece[0] is None else "stderr"
            if text := self._decoders[stream].decode(piece[1]):
                return Output(stream, text)
        return self._rest()

    async def wait(self) -> int:
        """Wait for the end; output that was not read by now is dropped.

        Returns:
            The exit status; negative when a signal ended it.

        Raises:
            SSHConnectionError: When the line is lost before the command ends.
        """
        await self._ended()
        return self._session.exit_status

    def _rest(self) -> Output:
        """Give what is left of characters that were cut off."""
        while self._decoders:
            stream, decoder = self._decoders.popitem()
            if text := decoder.decode(b"", final=True):
                return Output(stream, text)
        _ = self._session.exit_status  # raises when the line was lost
        raise StopAsyncIteration

    @interruptible
    async def _more(self) -> bool:
        return await on_island(self._session.more)

    @interruptible
    async def _ended(self) -> None:
        await on_island(_discard_until_end, self._session)


async def _discard_until_end(session: FollowedSession) -> None:
    session.discard_output()
    await session.ended.wait()
