"""Connections to the sockets that QEMU and its helpers listen at.

QEMU lets two clients wait at most. On Linux a connection beyond that is refused for the moment
(EAGAIN, connect(2)); there is no event to wait for, and event loops that take it for a connection
in progress find a socket that was never connected.
"""

from __future__ import annotations

import socket
from pathlib import Path

import anyio
from anyio.abc import UNIXSocketStream

_RETRY = 0.02  # seconds


async def connect(path: Path) -> UNIXSocketStream:
    """Connect to a socket, in turn with all others who want to.

    Args:
        path: The socket.

    Returns:
        The connection.

    Raises:
        OSError: When nobody listens there.
    """
    client = socket.socket(socket.AF_UNIX)
    try:
        client.setblocking(False)
        while not _is_connected(client, path):  # noqa: ASYNC110 - there is no event
            await anyio.sleep(_RETRY)
        return await UNIXSocketStream.from_socket(client)
    except BaseException:
        client.close()
        raise


def listens(path: Path) -> bool:
    """Tell whether somebody listens at a socket; does not wait.

    Args:
        path: The socket.

    Returns:
        False also for the file of a socket whose owner was killed.
    """
    with socket.socket(socket.AF_UNIX) as client:
        client.setblocking(False)
        try:
            _is_connected(client, path)
        except OSError:
            return False
        return True


def _is_connected(client: socket.socket, path: Path) -> bool:
    """Connect; tell whether that succeeded, or too many others wait."""
    try:
        client.connect(str(path))
    except BlockingIOError:
        return False
    return True
