"""The connections that are kept, on the island: shared by all clients of this process.

For each address and each way to log in there is a `HostConnections`. It opens a
connection when the first channel is asked for and keeps it until nothing ran
over it for `IDLE_TIME`.

OpenSSH's server allows ten sessions over a connection (``MaxSessions``). When
all channels of a connection are taken, another connection is opened, and
whoever waits goes on as soon as there is room anywhere: short commands mostly
queue for a moment, long ones never block each other. Connections are opened one
after the other, so that the server's limit of unauthenticated ones
(``MaxStartups``) is never met. A server that refuses a channel earlier than
expected is not asked for more at once than it granted.
"""

from __future__ import annotations

import asyncio
import socket
from abc import ABC, abstractmethod
from collections.abc import Coroutine, Iterable
from copy import copy
from typing import Any
from weakref import WeakKeyDictionary

import asyncssh

from kutti_sdk.core.errors import KuttiError, SSHError
from kutti_sdk.core.ssh import SSHCredentials
from kutti_sdk.ssh.endpoint import Endpoint
from kutti_sdk.ssh.failures import connect_failure, refusal
from kutti_sdk.ssh.login import log_in

CHANNELS_PER_CONNECTION = 8
"""Of the ten that OpenSSH allows; a closed one may count there for a moment longer."""

IDLE_TIME = 180.0
"""Seconds that an unused connection is kept."""

CLOSING_TIME = 30.0
"""Seconds that ending a command and closing its channel may take, on a slow host."""

PATIENCE = 4.0
"""Seconds a caller waits for that; less than `on_island` grants for clean-up."""

GREETED_TIME = 20.0
"""Seconds that a connection over which nobody logged in yet is kept; OpenSSH's server
gives up after 120."""

BRIEFLY = 0.3
"""Seconds a cancelled caller waits for it."""


class Channel(ABC):
    """Something that runs over a connection: a command, a shell, a file transfer."""

    @abstractmethod
    async def open(self, connection: asyncssh.SSHClientConnection) -> None:
        """Open it over a connection.

        Raises `asyncssh.Error` only while nothing has begun on the host, so that
        it can be opened over another connection, and `SSHError` from then on.

        Args:
            connection: The connection.
        """

    @abstractmethod
    async def close(self) -> None:
        """End what runs there and close the channel; may be called in any state."""


class Connection:
    """A kept connection and how much of it is in use.

    Attributes:
        ssh: The connection itself.
        room: Channels that may be open over it at once.
        taken: Channels that are open over it.
        proven: Whether a channel was ever opened over it.
    """

    def __init__(self, ssh: asyncssh.SSHClientConnection) -> None:
        self.ssh = ssh
        self.room = CHANNELS_PER_CONNECTION
        self.taken = 0
        self.proven = False
        self._retired = False
        self._idle: asyncio.TimerHandle | None = None

    @property
    def has_room(self) -> bool:
        """Whether another channel may be opened over it."""
        return self.taken < self.room and not self._retired and not self.ssh.is_closed()

    def take(self) -> None:
        """Count a channel that is about to be opened."""
        self.taken += 1
        if self._idle is not None:
            self._idle.cancel()
            self._idle = None

    def release(self) -> None:
        """Count a channel that is closed."""
        self.taken -= 1
        if self.taken == 0 and self._retired:
            self.ssh.abort()  # closing would wait for a channel that the server keeps open
        elif self.taken == 0:
            self._idle = asyncio.get_running_loop().call_later(IDLE_TIME, self.ssh.close)

    def retire(self) -> None:
        """Open no more channels over it; it closes when the last one does."""
        self._retired = True
        if self.taken == 0:
            self.ssh.close()


class Lease:
    """A channel over a kept connection; whoever opened it must end it."""

    def __init__(self, owner: HostConnections, connection: Connection, channel: Channel) -> None:
        self._owner = owner
        self._connection = connection
        self._channel = channel
        self._opening = asyncio.create_task(channel.open(connection.ssh))
        self._closing: asyncio.Task[None] | None = None

    async def opened(self) -> None:
        """Wait until the channel is open.

        Raises:
            asyncssh.Error: When it could not be opened, and nothing has begun.
            SSHError: When it could not be opened, and something may have begun.
        """
        # An opening that was cancelled half-way would leave its channel open for ever.
        await asyncio.shield(self._opening)

    async def end(self, patience: float = PATIENCE) -> None:
        """Close the channel; that goes on when the caller waits no longer.

        Args:
            patience: Seconds to wait for it.
        """
        if self._closing is None:
            self._closing = _in_background(self._close())
        await asyncio.wait({self._closing}, timeout=patience)

    async def _close(self) -> None:
        try:
            async with asyncio.timeout(CLOSING_TIME):
                await asyncio.wait({self._opening})
                await self._channel.close()
        except (OSError, asyncssh.Error, SSHError):  # among them: no answer in time
            self._connection.retire()  # what is left there ends with the connection
        finally:
            if self._opening.done() and not self._opening.cancelled():
                self._opening.exception()  # told to whoever waited for it
            self._owner.give_back(self._connection)


class HostConnections:
    """The connections to one address with one way to log in."""

    def __init__(self) -> None:
        self._connections: list[Connection] = []
        self._connecting: asyncio.Task[Exception | None] | None = None
        self._change: asyncio.Future[None] | None = None
        self._waiting = 0
        self._greeted: socket.socket | None = None

    @property
    def is_unused(self) -> bool:
        """Whether there is neither a connection nor anybody who waits for one."""
        return not self._connections and not self._waiting and self._greeted is None

    def keep_greeted(self, greeted: socket.socket) -> None:
        """Keep a connection whose server has introduced itself, for the next log-in.

        Args:
            greeted: The connection.
        """
        self._drop_greeted()
        self._greeted = greeted
        asyncio.get_running_loop().call_later(GREETED_TIME, self._drop_greeted, greeted)

    async def open(self, endpoint: Endpoint, channel: Channel) -> Lease:
        """Open a channel over a kept connection, or a new one.

        A kept connection that turns out to be dead is replaced once, as nothing
        has begun on the host. One that is silent is found dead by its keepalive.

        Args:
            endpoint: Where to.
            channel: What to open.

        Returns:
            The lease of the open channel.

        Raises:
            SSHConnectionError: When the host cannot be reached.
            SSHError: When the host refuses the channel.
        """
        replaced = False
        while True:
            connection = await self._take(endpoint)
            lease = Lease(self, connection, channel)
            try:
                await lease.opened()
            except (asyncssh.Error, OSError) as error:
                await asyncio.sleep(0)  # for a loss to be noted before it is asked about
                lost, granted = connection.ssh.is_closed(), connection.taken - 1
                if lost and (replaced or not connection.proven):
                    failure: SSHError | None = connect_failure(error, endpoint)
                elif not lost and not granted and not connection.proven:
                    failure = refusal(error, endpoint)
                else:
                    failure = None
                replaced = replaced or lost
                if granted:
                    connection.room = granted
                else:  # it is dead, or still counts a channel that was closed just now
                    connection.retire()
                await lease.end()
                if failure is not None:
                    raise failure from error
            except BaseException:
                await lease.end(BRIEFLY)
                raise
            else:
                connection.proven = True
                return lease

    def give_back(self, connection: Connection) -> None:
        """Make room for those who wait.

        Args:
            connection: Where a channel was closed.
        """
        connection.release()
        self._tell()

    def retire(self) -> None:
        """Close all connections as soon as nothing runs over them."""
        self._drop_greeted()
        for connection in self._connections:
            connection.retire()

    async def _take(self, endpoint: Endpoint) -> Connection:
        while True:
            for connection in self._connections:
                if connection.has_room:
                    connection.take()
                    return connection
            await self._wait_for_room(endpoint)

    async def _wait_for_room(self, endpoint: Endpoint) -> None:
        if self._connecting is None:
            self._connecting = asyncio.create_task(self._connect(endpoint))
        if self._change is None:
            self._change = asyncio.get_running_loop().create_future()
        connecting = self._connecting
        awaited: set[asyncio.Future[Any]] = {connecting, self._change}
        self._waiting += 1
        try:
            await asyncio.wait(awaited, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._waiting -= 1
            if not self._waiting and not connecting.done():
                connecting.cancel()  # nobody needs it any more
                self._connecting = None
        if connecting.done() and (failure := connecting.result()) is not None:
            if isinstance(failure, KuttiError):
                raise copy(failure) from failure.__cause__  # the same for all would be tangled
            raise connect_failure(failure, endpoint) from failure

    async def _connect(self, endpoint: Endpoint) -> Exception | None:
        """Add a connection; every one of those who wait makes an error of its own of a failure."""
        try:
            connection = Connection(await self._log_in(endpoint))
        except (asyncssh.Error, OSError, ValueError, KuttiError) as error:
            return error
        finally:
            if self._connecting is asyncio.current_task():
                self._connecting = None
        self._connections.append(connection)
        _in_background(self._watch(connection))
        return None

    async def _log_in(self, endpoint: Endpoint) -> asyncssh.SSHClientConnection:
        greeted, self._greeted = self._greeted, None
        if greeted is not None:
            try:
                return await log_in(endpoint, greeted)
            except (asyncssh.ConnectionLost, ConnectionError):
                greeted.close()  # the server did not wait that long
            except BaseException:
                greeted.close()
                raise
        return await log_in(endpoint)

    def _drop_greeted(self, only: socket.socket | None = None) -> None:
        if self._greeted is not None and only in (None, self._greeted):
            self._greeted.close()
            self._greeted = None

    async def _watch(self, connection: Connection) -> None:
        try:
            await connection.ssh.wait_closed()
        finally:
            connection.ssh.abort()  # when it is the island that ends
            self._connections.remove(connection)
            self._tell()

    def _tell(self) -> None:
        if self._change is not None:
            self._change.set_result(None)
            self._change = None


async def open_channel(endpoint: Endpoint, channel: Channel) -> Lease:
    """Open a channel over a kept connection to an endpoint; runs on the island.

    Args:
        endpoint: Where to.
        channel: What to open.

    Returns:
        The lease, to be ended by the caller.

    Raises:
        SSHConnectionError: When the host cannot be reached.
        SSHError: When the host refuses the channel.
    """
    kept = _kept.setdefault(asyncio.get_running_loop(), {})
    for key in [key for key, connections in kept.items() if connections.is_unused]:
        del kept[key]
    connections = kept.setdefault(_key(endpoint), HostConnections())
    return await connections.open(endpoint, channel)


def keep_greeted(endpoint: Endpoint, greeted: socket.socket) -> None:
    """Keep a connection whose server has introduced itself; runs on the island.

    Whoever logs in next saves the server, which may be a slow one, a second
    introduction.

    Args:
        endpoint: Where it leads to.
        greeted: The connection, with the introduction still to be read.
    """
    kept = _kept.setdefault(asyncio.get_running_loop(), {})
    kept.setdefault(_key(endpoint), HostConnections()).keep_greeted(greeted)


async def close_connections(endpoints: Iterable[Endpoint]) -> None:
    """Close the connections to endpoints, each as soon as nothing runs over it.

    Args:
        endpoints: Which; those without a connection are passed over.
    """
    kept = _kept.get(asyncio.get_running_loop(), {})
    for endpoint in endpoints:
        if (connections := kept.get(_key(endpoint))) is not None:
            connections.retire()


Key = tuple[str, int, SSHCredentials]

# By loop, because a forked process gets an island of its own.
_kept: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[Key, HostConnections]] = (
    WeakKeyDictionary()
)
_background: set[asyncio.Task[None]] = set()


def _key(endpoint: Endpoint) -> Key:
    return endpoint.address, endpoint.port, endpoint.credentials


def _in_background(work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
    task = asyncio.create_task(work)
    _background.add(task)  # the loop itself keeps no task alive
    task.add_done_callback(_background.discard)
    return task
