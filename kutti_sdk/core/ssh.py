"""The contract of an SSH client, and what passes through it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from os import PathLike
from pathlib import Path
from typing import Literal

from kutti_sdk.core.display import Displayed
from kutti_sdk.core.errors import InvalidInputError
from kutti_sdk.core.ports import MAX_PORT, SSH_PORT

DEFAULT_CONNECT_TIMEOUT = 30.0
"""Seconds for TCP connect, key exchange and log-in together; emulated hosts are slow."""


@dataclass(frozen=True, slots=True)
class SSHCredentials:
    """How to log in to a host, and how the host proves that it is the one.

    Attributes:
        username: User to log in as.
        private_key: File of the private key to offer; None for none.
        password: Password to offer; None for none. Never shown.
        use_agent: Offer the keys of the user's SSH agent.
        host_key: The host's public key, as in a known_hosts file without its name
            (``ssh-ed25519 AAAA...``); None to look it up in `known_hosts`.
        known_hosts: File of known hosts; None for the user's own.
    """

    username: str = "root"
    private_key: Path | None = None
    password: str | None = field(default=None, repr=False)
    use_agent: bool = False
    host_key: str | None = None
    known_hosts: Path | None = None


@dataclass(frozen=True, slots=True)
class CommandResult(Displayed):
    """How a command ended.

    Attributes:
        command: The command as given.
        stdout: What it wrote to standard output.
        stderr: What it wrote to standard error.
        exit_status: Its exit status; negative when a signal ended it.
        duration: Seconds it took, as seen from here.
        host: Name or address of the host that ran it.
    """

    command: str
    stdout: str
    stderr: str
    exit_status: int
    duration: float
    host: str

    @property
    def ok(self) -> bool:
        """Whether the exit status is 0."""
        return self.exit_status == 0


@dataclass(frozen=True, slots=True)
class Output:
    """A piece of a running command's output.

    Attributes:
        stream: Which of the two it came from.
        text: The text, as it came: not cut at line ends.
    """

    stream: Literal["stdout", "stderr"]
    text: str


class RunningCommand(ABC):
    """A command that is running: iterate over its output, then read its exit status."""

    @abstractmethod
    def __aiter__(self) -> AsyncIterator[Output]:
        """Iterate over the output as it comes, until the command ends."""

    @abstractmethod
    async def wait(self) -> int:
        """Wait for the end.

        Returns:
            The exit status; negative when a signal ended it.
        """


class SSHClient(ABC):
    """Runs commands and shells on hosts and copies files to and from them.

    Addresses are ``address:port``, as `VMHost.ssh_address` tells them. One
    connection per address is kept and made anew when it was lost.
    """

    @abstractmethod
    async def wait_until_ready(self, address: str) -> None:
        """Wait until an SSH server at the address introduces itself (RFC 4253, 4.2).

        That is more than an open port: a forwarded port is open before its host is up.
        There is no time-out here; whoever waits knows what it is worth waiting for.

        Args:
            address: Where the host's SSH server will be.
        """

    @abstractmethod
    async def run_with_results(
        self,
        address: str,
        command: str,
        *,
        stdin: str | None = None,
        timeout: float | None = None,
        check: bool = False,
    ) -> CommandResult:
        """Run a command and collect its output.

        Args:
            address: Where the host's SSH server is.
            command: A shell command line.
            stdin: Text for its standard input; None for none.
            timeout: Seconds it may take; None for as long as it takes.
            check: Raise an error when the exit status is not 0.

        Returns:
            The result; a non-zero exit status is a result like any other.

        Raises:
            SSHConnectionError: When the host could not be reached or the line was lost.
            CommandTimeoutError: When it took longer; it is terminated first.
            CommandFailedError: With `check`, when the exit status is not 0.
        """

    @abstractmethod
    def stream(
        self, address: str, command: str, *, stdin: str | None = None
    ) -> AbstractAsyncContextManager[RunningCommand]:
        """Run a command and follow its output; leaving the block terminates it.

        Args:
            address: Where the host's SSH server is.
            command: A shell command line.
            stdin: Text for its standard input; None for none.

        Returns:
            A context manager for the running command.
        """

    @abstractmethod
    async def run_interactive_shell(self, address: str, command: str | None = None) -> int:
        """Connect this terminal to a shell on the host until the shell ends.

        Args:
            address: Where the host's SSH server is.
            command: A command to run in a terminal instead of the log-in shell.

        Returns:
            The exit status.

        Raises:
            SSHError: When this process has no terminal.
        """

    @abstractmethod
    async def put(
        self, address: str, local: str | PathLike[str], remote: str, *, recurse: bool = False
    ) -> None:
        """Copy a file, or with `recurse` a folder, to the host.

        Args:
            address: Where the host's SSH server is.
            local: File or folder here.
            remote: Path there.
            recurse: Copy folders with all that is in them.

        Raises:
            FileTransferError: When it could not be copied.
        """

    @abstractmethod
    async def get(
        self, address: str, remote: str, local: str | PathLike[str], *, recurse: bool = False
    ) -> None:
        """Copy a file, or with `recurse` a folder, from the host.

        Args:
            address: Where the host's SSH server is.
            remote: File or folder there.
            local: Path here.
            recurse: Copy folders with all that is in them.

        Raises:
            FileTransferError: When it could not be copied.
        """

    @abstractmethod
    async def aclose(self) -> None:
        """Close all connections that this client keeps."""


def parse_address(address: str) -> tuple[str, int]:
    """Split an address.

    Args:
        address: ``address``, ``address:port`` or ``[IPv6 address]:port``.

    Returns:
        Address and port, 22 when none is given.

    Raises:
        InvalidInputError: When there is no address or the port is no TCP port.
    """
    if address.startswith("["):
        name, closed, port = address[1:].partition("]")
        port = port.removeprefix(":") if closed else "?"
    elif address.count(":") > 1:
        name, port = address, ""
    else:
        name, _, port = address.partition(":")
    number = int(port) if port.isascii() and port.isdecimal() else SSH_PORT if not port else 0
    if not name or not 1 <= number <= MAX_PORT:
        raise InvalidInputError(
            f"{address!r} is not an address", hint='Write it like "127.0.0.1:2222".'
        )
    return name, number
