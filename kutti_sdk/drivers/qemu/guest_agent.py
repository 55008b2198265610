"""Conversations with the guest agent, which works where no network does.

Source: QEMU's ``qga/qapi-schema.json``. The agent speaks QMP's JSON without its
greeting, one client at a time, and may still be busy with what an earlier client,
or an earlier life of the host, has asked: ``guest-sync-delimited`` finds the place
where our conversation begins.
"""

from __future__ import annotations

import json
import secrets
import time
from base64 import b64decode, b64encode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
from anyio.abc import SocketStream
from anyio.streams.buffered import BufferedByteReceiveStream

from kutti_sdk.core.errors import HypervisorError
from kutti_sdk.drivers.qemu.sockets import connect
from kutti_sdk.runtime.awake import limited

_DELIMITER = b"\xff"
_LONGEST_MESSAGE = 1024 * 1024

# The agent does not tell when a command has ended, and writes each question to the journal,
# which an emulated host feels. So the rests grow with what it took so far.
_SHORTEST_REST = 0.05  # seconds
_LONGEST_REST = 1.0  # seconds
_REST = 0.1  # of the time so far, by which the end is noticed late at most

_BROKEN = (
    OSError,
    ValueError,
    anyio.EndOfStream,
    anyio.BrokenResourceError,
    anyio.IncompleteRead,
    anyio.DelimiterNotFound,
)


class GuestAgent:
    """An open conversation; made by `guest_agent`."""

    def __init__(self, stream: SocketStream) -> None:
        self._stream = stream
        self._received = BufferedByteReceiveStream(stream)

    async def synchronise(self) -> None:
        """Leave everything behind that is not an answer to us."""
        number = secrets.randbelow(2**31)
        await self._send("guest-sync-delimited", {"id": number}, before=_DELIMITER)
        while True:
            await self._received.receive_until(_DELIMITER, _LONGEST_MESSAGE)
            if (await self._receive()).get("return") == number:
                return

    async def behind(self) -> int:
        """Tell how far the host's clock is behind that of this machine.

        Returns:
            Nanoseconds, as precise as a question is answered fast; negative when it is
            ahead.
        """
        asked = time.time_ns()
        theirs = await self._ask("guest-get-time", {})
        return (asked + time.time_ns()) // 2 - int(theirs)

    async def run(self, interpreter: str, script: bytes) -> None:
        """Run a script as root.

        Args:
            interpreter: Path of the program that reads the script.
            script: The script.

        Raises:
            HypervisorError: When it fails, with what it wrote to standard error.
        """
        started = await self._ask(
            "guest-exec",
            {
                "path": interpreter,
                "input-data": b64encode(script).decode(),
                "capture-output": True,
            },
        )
        began = anyio.current_time()
        while True:
            status = await self._ask("guest-exec-status", {"pid": started["pid"]})
            if status["exited"]:
                break
            rest = _REST * (anyio.current_time() - began)
            await anyio.sleep(min(max(rest, _SHORTEST_REST), _LONGEST_REST))
        if status.get("exitcode") != 0:
            words = b64decode(status.get("err-data", "")).decode(errors="replace").strip()
            raise HypervisorError(f"a script inside of the host failed: {words[-2000:]}")

    async def _ask(self, command: str, arguments: dict[str, object]) -> Any:
        await self._send(command, arguments)
        answer = await self._receive()
        if "return" not in answer:
            error = answer.get("error")
            reason = error.get("desc", error) if isinstance(error, dict) else answer
            raise HypervisorError(f"the guest agent refused {command}: {reason}")
        return answer["return"]

    async def _send(
        self, command: str, arguments: dict[str, object], *, before: bytes = b""
    ) -> None:
        request = json.dumps({"execute": command, "arguments": arguments}).encode()
        await self._stream.send(before + request + b"\n")

    async def _receive(self) -> dict[str, Any]:
        message = json.loads(await self._received.receive_until(b"\n", _LONGEST_MESSAGE))
        if not isinstance(message, dict):
            raise HypervisorError(f"the guest agent sent what is no answer: {message!r:.80}")
        return message


@asynccontextmanager
async def guest_agent(path: Path, *, timeout: float) -> AsyncIterator[GuestAgent]:
    """Talk to a host's guest agent.

    Args:
        path: The agent's socket.
        timeout: Seconds for the whole conversation, without those that this process sleeps.

    Yields:
        The conversation.

    Raises:
        HypervisorError: When there is no agent, or it does not answer in time.
    """
    try:
        async with limited(timeout), await connect(path) as stream:
            conversation = GuestAgent(stream)
            await conversation.synchronise()
            yield conversation
    except TimeoutError:
        raise HypervisorError(f"the guest agent did not answer for {timeout:.0f} s") from None
    except _BROKEN as error:
        raise HypervisorError(f"the guest agent does not answer: {error}") from error
