"""The SSH client: what users and the rest of the library call.

Everything that touches asyncssh runs on the island and is imported there, when
it is first needed, because that takes a second.
"""

from __future__ import annotations

import os
import socket
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio

from kutti_sdk.core.errors import CommandFailedError
from kutti_sdk.core.ssh import (
    DEFAULT_CONNECT_TIMEOUT,
    CommandResult,
    RunningCommand,
    SSHClient,
    SSHCredentials,
    parse_address,
)
from kutti_sdk.runtime.island import on_island, start_on_island
from kutti_sdk.runtime.tasks import interruptible
from kutti_sdk.ssh.endpoint import Endpoint
from kutti_sdk.ssh.progress import Progress, reported
from kutti_sdk.ssh.readiness import wait_for_banner
from kutti_sdk.ssh.shell import attach_terminal, require_terminal
from kutti_sdk.ssh.streams import StreamedCommand

if TYPE_CHECKING:
    from kutti_sdk.ssh.commands import FollowedSession


class AsyncSSHClient(SSHClient):
    """An SSH client on asyncssh that works the same under asyncio and trio.

    It holds no connection itself: they are kept for all clients of the process
    that log in to an address in the same way, and close when idle for three
    minutes. See `SSHClient` for its methods.

    Args:
        credentials: How to log in, and how the host proves that it is the one.
        host: What results and errors call the host; None for its address.
        connect_timeout: Seconds for TCP connect, key exchange and log-in together.
    """

    def __init__(
        self,
        credentials: SSHCredentials,
        *,
        host: str | None = None,
        connect_timeout: float = DEFAULT_CONNECT_TIMEOUT,
    ) -> None:
        self._credentials = credentials
        self._host = host
        self._connect_timeout = connect_timeout
        self._used: set[Endpoint] = set()

    @interruptible
    async def wait_until_ready(self, address: str) -> None:
        """See `SSHClient.wait_until_ready`."""
        start_on_island(_load)  # while the host boots
        endpoint = self._endpoint(address)
        greeted = await wait_for_banner(address)
        try:
            await on_island(_keep_greeted, endpoint, greeted)
        except BaseException:
            greeted.close()
            raise

    @interruptible
    async def run_with_results(
        self,
        address: str,
        command: str,
        *,
        stdin: str | None = None,
        timeout: float | None = None,
        check: bool = False,
    ) -> CommandResult:
        """See `SSHClient.run_with_results`."""
        result = await on_island(_run, self._endpoint(address), command, stdin, timeout)
        if check and not result.ok:
            raise CommandFailedError(result, host=result.host)
        return result

    @asynccontextmanager
    async def stream(
        self, address: str, command: str, *, stdin: str | None = None
    ) -> AsyncIterator[RunningCommand]:
        """See `SSHClient.stream`."""
        session = await on_island(_new_session, self._endpoint(address), command, stdin)
        async with _running(session):
            yield StreamedCommand(session)

    async def run_interactive_shell(self, address: str, command: str | None = None) -> int:
        """See `SSHClient.run_interactive_shell`."""
        endpoint = self._endpoint(address)
        descriptors = require_terminal()
        size = os.get_terminal_size(descriptors[1])
        kind = os.environ.get("TERM", "xterm")
        session = await on_island(_new_shell, endpoint, command, kind, size.columns, size.lines)
        async with _running(session):
            return await attach_terminal(session, descriptors)

    @interruptible
    async def put(
        self,
        address: str,
        local: str | os.PathLike[str],
        remote: str,
        *,
        recurse: bool = False,
    ) -> None:
        """See `SSHClient.put`."""
        endpoint = self._endpoint(address)
        progress = Progress(endpoint.name, f"Copying {local} to {endpoint.name}")
        async with reported(progress):
            await on_island(_put, endpoint, Path(local), remote, recurse, progress)

    @interruptible
    async def get(
        self,
        address: str,
        remote: str,
        local: str | os.PathLike[str],
        *,
        recurse: bool = False,
    ) -> None:
        """See `SSHClient.get`."""
        endpoint = self._endpoint(address)
        progress = Progress(endpoint.name, f"Copying {remote} from {endpoint.name}")
        async with reported(progress):
            await on_island(_get, endpoint, remote, Path(local), recurse, progress)

    async def aclose(self) -> None:
        """See `SSHClient.aclose`; where commands still run, the last of them closes it."""
        used, self._used = self._used, set()
        if used:
            await on_island(_close, used)

    def _endpoint(self, address: str) -> Endpoint:
        name, port = parse_address(address)
        endpoint = Endpoint(
            name, port, self._credentials, self._host or address, self._connect_timeout
        )
        self._used.add(endpoint)
        return endpoint


@asynccontextmanager
async def _running(session: FollowedSession) -> AsyncIterator[None]:
    ending: Callable[[], Coroutine[Any, Any, None]] = session.end
    try:
        await _start(session)
        yield
    except (anyio.get_cancelled_exc_class(), KeyboardInterrupt):
        ending = session.give_up
        raise
    finally:
        with anyio.CancelScope(shield=True):
            await on_island(ending)


@interruptible
async def _start(session: FollowedSession) -> None:
    await on_island(session.start)


async def _load() -> None:
    from kutti_sdk.ssh import commands  # noqa: F401


async def _keep_greeted(endpoint: Endpoint, greeted: socket.socket) -> None:
    from kutti_sdk.ssh.connections import keep_greeted

    keep_greeted(endpoint, greeted)


async def _run(
    endpoint: Endpoint, command: str, stdin: str | None, timeout: float | None
) -> CommandResult:
    from kutti_sdk.ssh.commands import run

    return await run(endpoint, command, stdin=stdin, timeout=timeout)


async def _new_session(endpoint: Endpoint, command: str, stdin: str | None) -> FollowedSession:
    from kutti_sdk.ssh.commands import FollowedSession

    return FollowedSession(endpoint, command, stdin=stdin)


async def _new_shell(
    endpoint: Endpoint, command: str | None, kind: str, columns: int, lines: int
) -> FollowedSession:
    from kutti_sdk.ssh.commands import FollowedSession
    from kutti_sdk.ssh.sessions import Terminal

    return FollowedSession(endpoint, command, terminal=Terminal(kind, columns, lines))


async def _put(
    endpoint: Endpoint, local: Path, remote: str, recurse: bool, progress: Progress
) -> None:
    from kutti_sdk.ssh.transfer import put

    await put(endpoint, local, remote, recurse=recurse, progress=progress)


async def _get(
    endpoint: Endpoint, remote: str, local: Path, recurse: bool, progress: Progress
) -> None:
    from kutti_sdk.ssh.transfer import get

    await get(endpoint, remote, local, recurse=recurse, progress=progress)


async def _close(endpoints: set[Endpoint]) -> None:
    from kutti_sdk.ssh.connections import close_connections

    await close_connections(endpoints)
