"""Commands and shells on the host, as channels of a kept connection; on the island.

A command that is given up is terminated there. The SSH protocol has a signal
for that (RFC 4254, 6.9), but OpenSSH before 9.8 ignores it for root. So each
command carries a mark in its environment (Debian's servers accept ``LC_*``),
and what does not follow the signal is looked up by the mark and killed.
"""

from __future__ import annotations

import asyncio
import secrets
from dataclasses import dataclass

import asyncssh

from kutti_sdk.ssh.connections import BRIEFLY, PATIENCE, Channel, Lease, open_channel
from kutti_sdk.ssh.endpoint import Endpoint
from kutti_sdk.ssh.failures import lost_connection, refusal

MARK = "LC_KUTTI_COMMAND"
"""Environment variable by which the processes of a command are found again."""

STDERR = asyncssh.EXTENDED_DATA_STDERR

_GRACE = 0.5  # seconds between asking a command to end and looking for its processes


@dataclass(frozen=True, slots=True)
class Terminal:
    """The terminal that a shell on the host shall have.

    Attributes:
        kind: Its type, as in ``TERM``.
        columns: Its width in characters.
        lines: Its height in characters.
    """

    kind: str
    columns: int
    lines: int


class Session(Channel, asyncssh.SSHClientSession[bytes]):
    """A command or shell on the host.

    Args:
        endpoint: Where it runs.
        command: A shell command line; None for the log-in shell.
        stdin: Text for its standard input; None when it is written later or not at all.
        terminal: The terminal it gets; None for none.

    Attributes:
        ended: Set when it has ended, or the line was lost.
        duration: Seconds that it ran, once it has ended.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        command: str | None,
        *,
        stdin: str | None = None,
        terminal: Terminal | None = None,
    ) -> None:
        self.endpoint = endpoint
        self.ended = asyncio.Event()
        self.duration = 0.0
        self._command = command
        self._stdin = stdin
        self._terminal = terminal
        self._mark = secrets.token_hex(8)
        self._channel: asyncssh.SSHClientChannel[bytes] | None = None
        self._began = 0.0
        self._discarding = False
        self._lease: Lease | None = None

    async def start(self) -> None:
        """Start it; must be followed by `end` whatever happens.

        Raises:
            SSHConnectionError: When the host could not be reached or the line was lost.
            SSHError: When the host refused it.
        """
        self._lease = await open_channel(self.endpoint, self)

    async def end(self, patience: float = PATIENCE) -> None:
        """Terminate it if it still runs, and close its channel.

        Args:
            patience: Seconds to wait for that.
        """
        if self._lease is not None:
            await self._lease.end(patience)

    async def give_up(self) -> None:
        """Do what `end` does for a caller who was cancelled and cannot wait."""
        await self.end(BRIEFLY)

    @property
    def exit_status(self) -> int:
        """Its exit status once it has ended; negative when a signal ended it.

        Raises:
            SSHConnectionError: When the line was lost before it ended.
        """
        status = None if self._channel is None else self._channel.get_returncode()
        if status is None:
            raise lost_connection(self.endpoint, f"while {self._what} ran")
        return status

    def write(self, data: bytes) -> None:
        """Send it input.

        Args:
            data: The input.
        """
        if self._channel is not None and not self._channel.is_closing():
            self._channel.write(data)

    def resize(self, columns: int, lines: int) -> None:
        """Tell it that its terminal has another size.

        Args:
            columns: Width in characters.
            lines: Height in characters.
        """
        if self._channel is not None and not self._channel.is_closing():
            self._channel.change_terminal_size(columns, lines)

    async def open(self, connection: asyncssh.SSHClientConnection) -> None:
        """See `Channel.open`."""
        terminal = self._terminal
        try:
            channel, _ = await connection.create_session(
                lambda: self,
                self._command,
                encoding=None,
                env={MARK: self._mark},
                request_pty=False if terminal is None else "force",
                term_type=None if terminal is None else terminal.kind,
                term_size=None if terminal is None else (terminal.columns, terminal.lines),
            )
        except (asyncssh.Error, OSError) as error:
            if self._channel is None:
                raise  # the channel was not even opened
            if connection.is_closed():
                raise lost_connection(self.endpoint, f"when {self._what} was started") from error
            raise refusal(error, self.endpoint) from error
        if terminal is None:
            if self._stdin:
                channel.write(self._stdin.encode())
            channel.write_eof()

    async def close(self) -> None:
        """See `Channel.close`."""
        if self._channel is None or self.ended.is_set():
            return
        self.discard_output()
        self._channel.send_signal("TERM")
        try:
            async with asyncio.timeout(_GRACE):
                await self.ended.wait()
        except TimeoutError:
            await self._kill()
        self._channel.close()
        async with asyncio.timeout(_GRACE):  # a server answers when the command has ended
            await self.ended.wait()

    def discard_output(self) -> None:
        """Drop all further output, so that nothing waits for a reader."""
        self._discarding = True
        if self._channel is not None:
            self._channel.resume_reading()

    def receive(self, data: bytes, datatype: int | None) -> None:
        """Take a piece of output; it is dropped where no subclass keeps it.

        Args:
            data: The piece.
            datatype: `STDERR`, or None for standard output.
        """

    def connection_made(self, chan: asyncssh.SSHClientChannel[bytes]) -> None:
        """See `asyncssh.SSHClientSession`, as for the methods below."""
        self._channel = chan
        self._began = asyncio.get_running_loop().time()

    def data_received(self, data: bytes, datatype: int | None) -> None:
        """Pass output on."""
        if not self._discarding:
            self.receive(data, datatype)

    def eof_received(self) -> bool:
        """Keep the input open: a command may close its output first."""
        return True

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002
        """Note the end, be it of the command or of the connection."""
        self.duration = asyncio.get_running_loop().time() - self._began
        self.ended.set()

    @property
    def _what(self) -> str:
        return "a shell" if self._command is None else repr(self._command)

    async def _kill(self) -> None:
        killing = _Killing(self.endpoint, _KILL.format(mark=f"{MARK}={self._mark}"))
        await killing.start()
        try:
            await killing.ended.wait()
        finally:
            await killing.end(BRIEFLY)


class _Killing(Session):
    """Ends another command; is itself left alone when it hangs."""

    async def close(self) -> None:
        if self._channel is not None:
            self._channel.close()


# In the words of POSIX sh, whatever shell the user has.
_KILL = """exec sh -c '
for signal in TERM KILL; do
  found=$(grep -ls {mark} /proc/[0-9]*/environ | cut -d/ -f3)
  [ -n "$found" ] || exit 0
  kill -$signal $found
  sleep 0.3
done'"""
