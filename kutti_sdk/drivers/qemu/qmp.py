"""QMP, QEMU's machine protocol: one short conversation at a time.

Source: QEMU's ``docs/interop/qmp-spec``. QEMU serves one client per socket and
keeps others waiting, so a connection is made for a command or two and closed.
The guest agent speaks the same JSON without greeting and capabilities.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from secrets import token_hex
from typing import IO, Any

import anyio
from anyio.abc import UNIXSocketStream
from anyio.streams.buffered import BufferedByteReceiveStream

from kutti_sdk.core.errors import HypervisorError
from kutti_sdk.drivers.qemu.sockets import connect
from kutti_sdk.runtime.awake import limited

DEFAULT_TIMEOUT = 10.0
"""Seconds for a conversation, with the wait for other clients."""

_LONGEST_MESSAGE = 4 * 1024 * 1024
_BROKEN = (
    OSError,
    anyio.EndOfStream,
    anyio.BrokenResourceError,
    anyio.IncompleteRead,
    anyio.DelimiterNotFound,
)


class Monitor:
    """An open QMP conversation; made by `monitor`."""

    def __init__(self, stream: UNIXSocketStream) -> None:
        self._stream = stream
        self._lines = BufferedByteReceiveStream(stream)
        self._id = token_hex(8)

    async def execute(self, command: str, **arguments: object) -> Any:
        """Execute a command.

        Args:
            command: Its name.
            **arguments: Its arguments.

        Returns:
            What QEMU returns, as plain JSON data.

        Raises:
            HypervisorError: When QEMU refuses the command.
        """
        await self._stream.send(self._request(command, arguments))
        return await self._answer(command)

    async def give_file(self, name: str, file: IO[bytes]) -> None:
        """Give QEMU an open file, which it then knows as ``fd:NAME``.

        Args:
            name: How it is called from then on.
            file: The file; QEMU has it open by itself, until it has used it.

        Raises:
            HypervisorError: When QEMU refuses it.
        """
        await self._stream.send_fds(self._request("getfd", {"fdname": name}), [file.fileno()])
        await self._answer("getfd")

    def _request(self, command: str, arguments: Mapping[str, object]) -> bytes:
        request: dict[str, object] = {"execute": command, "id": self._id}
        if arguments:
            request["arguments"] = arguments
        return json.dumps(request).encode() + b"\n"

    async def _answer(self, command: str) -> Any:
        while True:
            reply = await self.receive()
            if reply.get("id") != self._id:
                continue  # an event, or what somebody had asked who was killed meanwhile
            if "return" in reply:
                return reply["return"]
            if "error" in reply:
                error = reply["error"]
                description = error.get("desc", error) if isinstance(error, dict) else error
                raise HypervisorError(f"QEMU refused {command}: {description}")

    async def human(self, command_line: str) -> str:
        """Execute a command of the human monitor.

        Args:
            command_line: As a person would type it.

        Returns:
            What a person would read, errors too.
        """
        return str(await self.execute("human-monitor-command", **{"command-line": command_line}))

    async def receive(self) -> dict[str, Any]:
        """Receive one message.

        Returns:
            The message, as plain JSON data.

        Raises:
            HypervisorError: When it is no JSON object.
        """
        return parse_message(await self._lines.receive_until(b"\n", _LONGEST_MESSAGE))


def parse_message(line: bytes) -> dict[str, Any]:
    """Read one message.

    Args:
        line: Its line.

    Returns:
        The message, as plain JSON data.

    Raises:
        HypervisorError: When it is no JSON object.
    """
    try:
        message = json.loads(line)
    except (ValueError, RecursionError):
        message = None
    if not isinstance(message, dict):
        raise HypervisorError(f"QEMU sent what is no QMP message: {line[:80]!r}")
    return message


@asynccontextmanager
async def monitor(path: Path, *, timeout: float = DEFAULT_TIMEOUT) -> AsyncIterator[Monitor]:
    """Talk to QEMU through a monitor socket.

    Args:
        path: The socket.
        timeout: Seconds for the whole conversation, without those that this process sleeps.

    Yields:
        The conversation.

    Raises:
        HypervisorError: When nobody listens, or does not answer in time.
    """
    try:
        async with limited(timeout), await connect(path) as stream:
            conversation = Monitor(stream)
            await conversation.receive()  # the greeting
            await conversation.execute("qmp_capabilities")
            yield conversation
    except TimeoutError:
        raise HypervisorError(f"QEMU did not answer at {path.name} for {timeout:.0f} s") from None
    except _BROKEN as error:
        raise HypervisorError(f"QEMU does not answer at {path.name}: {error}") from error


async def ask_agent(path: Path, command: str, *, timeout: float) -> None:
    """Give the guest agent a command that it does not answer.

    Args:
        path: The agent's socket.
        command: The command, such as ``guest-shutdown``.
        timeout: Seconds for the delivery.

    Raises:
        HypervisorError: When the socket takes no message.
    """
    try:
        with anyio.fail_after(timeout):
            async with await connect(path) as stream:
                await stream.send(json.dumps({"execute": command}).encode() + b"\n")
    except (OSError, TimeoutError, anyio.BrokenResourceError) as error:
        raise HypervisorError(f"the guest agent does not listen at {path.name}") from error
