"""Listening for clients, and giving each connection a task."""

from __future__ import annotations

import errno
import logging
import os
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import anyio

from kutti_sdk.core.errors import InvalidPortError, PortInUseError
from kutti_sdk.images.serving.address import parse_address, url_of
from kutti_sdk.images.serving.offers import Images, Offers
from kutti_sdk.runtime.tasks import task_group

_MOST_CONNECTIONS = 128
_BACKLOG = 128
_NO_DESCRIPTOR_PAUSE = 0.1  # seconds; there is no event for a file descriptor that is free again

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ImageServer:
    """A server that shares the images on this machine.

    Attributes:
        url: By which clients reach it, without a slash at the end. With an address such
            as 0.0.0.0 they have to put one of this machine's own in its place.
    """

    url: str

    @property
    def list_url(self) -> str:
        """Where its image list is: what clients name as their image list."""
        return f"{self.url}/images.json"


@asynccontextmanager
async def serve_images(address: str, images: Images) -> AsyncIterator[ImageServer]:
    """Share images for the length of a block.

    Args:
        address: IP address of this machine and port; port 0 for any free one.
        images: Tells the images.

    Yields:
        The server, when the checksums of all images are taken and it listens.

    Raises:
        InvalidPortError: When it is no address of this machine, or no port.
        PortInUseError: When another program listens there.
    """
    host, port = parse_address(address)
    with _listener(host, port) as listener:
        offers = Offers(images)
        await offers.prepare()
        async with task_group() as group:
            group.start_soon(offers.keep_up)
            group.start_soon(_accept, listener, offers)
            yield ImageServer(url_of(listener))
            group.cancel_scope.cancel()


def _listener(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setblocking(False)
        if os.name == "posix":  # elsewhere it would let two programs have one port
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        listener.bind((host, port))
        listener.listen(_BACKLOG)
    except OSError as error:
        listener.close()
        if error.errno == errno.EADDRINUSE:
            raise PortInUseError(
                f"another program listens on port {port} of {host}",
                hint="Choose another port, or 0 for any free one.",
            ) from error
        raise InvalidPortError(
            f"nothing can listen on port {port} of {host}: {error.strerror}",
            hint="Use an address of this machine (`ip address` lists them) and a port "
            "from 1024 on.",
        ) from error
    return listener


async def _accept(listener: socket.socket, offers: Offers) -> None:
    limit = anyio.Semaphore(_MOST_CONNECTIONS)
    async with task_group() as group:
        while True:
            await limit.acquire()  # more clients than that wait to be accepted
            group.start_soon(_serve, await _next_client(listener), offers, limit)


async def _next_client(listener: socket.socket) -> socket.socket:
    while True:
        await anyio.wait_readable(listener)
        try:
            sock, _ = listener.accept()
        except (BlockingIOError, ConnectionError):  # it was gone again
            continue
        except OSError as error:
            if error.errno not in (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM):
                raise
            _log.warning("a client has to wait: %s", error.strerror)
            await anyio.sleep(_NO_DESCRIPTOR_PAUSE)
            continue
        sock.setblocking(False)
        return sock


async def _serve(sock: socket.socket, offers: Offers, limit: anyio.Semaphore) -> None:
    from kutti_sdk.images.serving.connection import serve_connection

    try:
        with sock:
            await serve_connection(sock, offers)
    except (OSError, EOFError) as error:  # TimeoutError among them
        _log.info("a client was left: %s", error)
    except Exception:  # noqa: BLE001 - one client must not end the service for the others
        _log.exception("a client could not be served")
    finally:
        limit.release()
