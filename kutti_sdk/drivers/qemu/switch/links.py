"""Keeps the ports connected: finds the sockets of hosts and gateway, and finds them again.

QEMU listens and the switch connects, because QEMU up to 7.2 never connects again by itself.
"""

from __future__ import annotations

import logging
import selectors
import socket
import time
from functools import partial
from typing import TYPE_CHECKING, Final

from .errors import NetworkGoneError, PacketError
from .port import Port

if TYPE_CHECKING:
    from pathlib import Path

    from .fabric import Fabric

__all__ = ["Links"]

_EAGER_INTERVAL: Final = 0.1
_CALM_INTERVAL: Final = 1.0
_EAGER_SECONDS: Final = 30.0
_GATEWAY: Final = "gateway"
_log = logging.getLogger(__name__)


class Links:
    """The connections to all sockets there are.

    Args:
        ports_dir: Folder with one `<name>.sock` for each host.
        gateway_socket: The gateway's socket, in that folder or elsewhere.
        fabric: Gets and loses the ports.
        selector: Where the sockets are watched.
    """

    def __init__(
        self,
        ports_dir: Path,
        gateway_socket: Path,
        fabric: Fabric,
        selector: selectors.BaseSelector,
    ) -> None:
        self._ports_dir = ports_dir
        self._gateway_socket = gateway_socket
        self._fabric = fabric
        self._selector = selector
        self._ports: dict[Path, Port] = {}
        self._missing: set[Path] = set()
        self._eager_until = 0.0
        self.next_scan = 0.0

    def scan(self) -> None:
        """Connect to every socket that is not connected yet.

        `next_scan` tells when to do it again: soon while a socket that was just lost or found
        does not answer, as when its host restarts.

        Raises:
            NetworkGoneError: The folder does not exist.
        """
        try:
            found = {path for path in self._ports_dir.iterdir() if path.suffix == ".sock"}
        except (FileNotFoundError, NotADirectoryError) as error:
            raise NetworkGoneError(f"there is no folder {self._ports_dir}") from error
        missing = {path for path in found | {self._gateway_socket} if not self._connect(path)}
        now = time.monotonic()
        if missing - self._missing:
            self._eager_until = now + _EAGER_SECONDS
        self._missing = missing
        eager = missing and now < self._eager_until
        self.next_scan = now + (_EAGER_INTERVAL if eager else _CALM_INTERVAL)

    def close(self) -> None:
        """Close all connections."""
        for path in list(self._ports):
            self._close(path, "the switch ends")

    def _connect(self, path: Path) -> bool:
        if path in self._ports:
            return True
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        sock.setblocking(False)
        try:
            # A unix socket connects at once or not at all: nobody listens, or the only place in
            # QEMU's queue is taken.
            sock.connect(str(path))
        except OSError:
            sock.close()
            return False
        is_gateway = path == self._gateway_socket
        name = _GATEWAY if is_gateway else path.stem
        watch = partial(self._watch_writable, sock)
        port = Port(name, sock, is_gateway=is_gateway, watch_writable=watch)
        self._ports[path] = port
        self._fabric.attach(port)
        self._selector.register(sock, selectors.EVENT_READ, partial(self._serve, path, port))
        _log.info("%s: connected", name)
        return True

    def _watch_writable(self, sock: socket.socket, writable: bool) -> None:
        events = selectors.EVENT_READ | (selectors.EVENT_WRITE if writable else 0)
        self._selector.modify(sock, events, self._selector.get_key(sock).data)

    def _serve(self, path: Path, port: Port, events: int) -> None:
        if self._ports.get(path) is not port:
            return  # closed earlier in the same round of events
        if events & selectors.EVENT_WRITE:
            port.flush()
        if events & selectors.EVENT_READ:
            try:
                if self._fabric.receive(port):
                    return
            except BlockingIOError:
                return
            except (OSError, PacketError) as error:
                self._close(path, str(error))
            else:
                self._close(path, "the other end closed")

    def _close(self, path: Path, reason: str) -> None:
        port = self._ports.pop(path)
        self._selector.unregister(port.sock)
        self._fabric.detach(port)
        port.sock.close()
        self.next_scan = min(self.next_scan, time.monotonic() + _EAGER_INTERVAL)
        _log.info("%s: disconnected, %s; %d frames dropped", port.name, reason, port.dropped)
