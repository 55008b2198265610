"""Waiting for an SSH server to introduce itself (RFC 4253, 4.2).

A port that QEMU forwards accepts connections before its host is up, so that a
connection says nothing and may hang: the packets that open it on the host's
side are sent again after 6 s, 12 s and so on, and an attempt that was begun too
early learns of the host's start too late. So another attempt is begun beside
one that is silent. Each costs the SSH server of an emulated host a good part of
a second, or many on a busy machine, and too many keep it from ever answering.
So the time between attempts grows with each that is silent, and never are more
than `MOST_OPEN` open.

A refusal on the other hand comes at once, from a host whose network is up and
whose server is not. It costs nothing and is asked for again soon. Silence after
a refusal is the server at work, which is given more time.
"""

from __future__ import annotations

import errno
import socket
from typing import Any

import anyio

from kutti_sdk.core.ssh import parse_address
from kutti_sdk.runtime.tasks import task_group

RETRY = 0.1
"""Seconds between a refusal and the next attempt."""

PATIENCE = 1.0
"""Seconds of silence after which another attempt is begun, at first."""

PATIENCE_AFTER_REFUSAL = 3.0
"""The same once the host's network was seen to be up."""

GROWTH = 1.3
"""How much longer each further attempt is waited for."""

MOST_PATIENCE = 10.0
"""Seconds that it does not grow beyond."""

MOST_OPEN = 3
"""Attempts that wait at the same time."""

LONGEST_GREETING = 8192
"""Bytes that are read of what a server sends before its identification."""

_UNDER_WAY = frozenset({errno.EINPROGRESS, errno.EWOULDBLOCK, errno.EALREADY})


async def wait_for_banner(address: str) -> socket.socket:
    """Wait until an SSH server introduces itself, for as long as it takes.

    Args:
        address: ``address:port``.

    Returns:
        The connection over which it did, with the introduction still to be read; to be
        closed by the caller.

    Raises:
        InvalidInputError: When that is no address.
    """
    name, port = parse_address(address)
    patience = PATIENCE
    greeted: list[socket.socket] = []
    try:
        async with task_group() as attempts:

            async def attempt(patience: float, refused: anyio.Event) -> None:
                with anyio.move_on_after(patience * MOST_OPEN):
                    greeted.extend(await _connect_and_listen(name, port))
                    if greeted:
                        attempts.cancel_scope.cancel()
                    refused.set()

            while not greeted:
                refused = anyio.Event()
                attempts.start_soon(attempt, patience, refused)
                with anyio.move_on_after(patience):
                    await refused.wait()
                if refused.is_set():
                    patience = PATIENCE_AFTER_REFUSAL
                    await anyio.sleep(RETRY)
                else:
                    patience = min(patience * GROWTH, MOST_PATIENCE)
        return greeted.pop(0)
    finally:
        for left in greeted:
            left.close()


async def _connect_and_listen(name: str, port: int) -> list[socket.socket]:
    """Connect and wait for the introduction; none or one connection comes back."""
    try:
        places = await anyio.getaddrinfo(name, port, type=socket.SOCK_STREAM)
    except OSError:
        return []
    for family, kind, protocol, _, place in places:
        connection = socket.socket(family, kind, protocol)
        try:
            connection.setblocking(False)
            if await _connect(connection, place) and await _introduces_itself(connection):
                return [connection]
        except OSError:
            connection.close()
        except BaseException:
            connection.close()
            raise
        else:
            connection.close()
    return []


async def _connect(connection: socket.socket, place: tuple[Any, ...]) -> bool:
    error = connection.connect_ex(place)
    if error in _UNDER_WAY:
        await anyio.wait_writable(connection)
        error = connection.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
    return error == 0


async def _introduces_itself(connection: socket.socket) -> bool:
    while True:
        await anyio.wait_readable(connection)
        # Only looked at: whoever logs in over this connection reads it again.
        received = connection.recv(LONGEST_GREETING, socket.MSG_PEEK)
        if received.startswith(b"SSH-") or b"\nSSH-" in received:
            return True
        if not received or len(received) == LONGEST_GREETING:
            return False
        await anyio.sleep(RETRY)  # the rest of it is still to come
