"""One port of the switch: a connected stream socket that carries frames.

QEMU's framing (net/stream.c): each Ethernet frame follows its length in four bytes, big-endian.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable

__all__ = ["LENGTH", "MAX_BACKLOG", "MAX_FRAME", "Port"]

LENGTH: Final = struct.Struct("!I")
"""The length before each frame."""

MAX_FRAME: Final = 64 * 1024 + 14
"""The longest frame in bytes: what virtio-net can send with its Ethernet header."""

MAX_BACKLOG: Final = 1024 * 1024
"""Bytes of one sender that wait for a guest that does not read; then its frames are dropped."""

_MANY: Final = 4 * MAX_BACKLOG
_SHARE_OF_MANY: Final = MAX_BACKLOG // 16


class Port:
    """The switch's end of one host's, or the gateway's, network card.

    Args:
        name: The host's socket name, for the log.
        sock: The connected, non-blocking socket.
        is_gateway: Whether the NAT gateway is at the other end.
        watch_writable: Called with True when `flush` should be called once the socket can be
            written to, and with False when that is over.

    Attributes:
        name: See above.
        sock: See above.
        is_gateway: See above.
        rest: The beginning of a frame whose end was not received yet; kept by the fabric.
        stations: How many hardware addresses were learned here; counted by the fabric.
        dropped: Frames that the other end did not take.
    """

    def __init__(
        self,
        name: str,
        sock: socket.socket,
        *,
        is_gateway: bool,
        watch_writable: Callable[[bool], None],
    ) -> None:
        self.name = name
        self.sock = sock
        self.is_gateway = is_gateway
        self.rest = b""
        self.stations = 0
        self.dropped = 0
        self._watch_writable = watch_writable
        # What waits, by sender: the queues are sent in turn, so that one who floods a guest does
        # not keep it from hearing others.
        self._queues: dict[Port | None, bytearray] = {}
        self._waiting = 0
        self._current = bytearray()

    def send(self, run: memoryview, frames: int, source: Port | None) -> None:
        """Send frames, each with its length before it, or drop them when the guest is too slow.

        Args:
            run: The bytes; they may be overwritten after the call.
            frames: How many frames they are.
            source: Where they came from; None for the switch itself.
        """
        if self._current:
            self._enqueue(run, frames, source)
            return
        try:
            sent = self.sock.send(run)
        except BlockingIOError:
            sent = 0
        except OSError:
            self.dropped += frames  # the other end is gone: reading will find out and close
            return
        if sent < len(run):
            # Whole frames are dropped or none: what was begun must be completed.
            self._current += run[sent:]
            self._watch_writable(True)

    def flush(self) -> None:
        """Send what waits, as far as the socket takes it."""
        try:
            sent = self.sock.send(self._current)
        except BlockingIOError:
            return
        except OSError:
            sent = len(self._current)  # gone, see above
        del self._current[:sent]
        if self._current:
            return
        if not self._queues:
            self._watch_writable(False)
            return
        source = next(iter(self._queues))
        self._current = self._queues.pop(source)
        self._waiting -= len(self._current)

    def _enqueue(self, run: memoryview, frames: int, source: Port | None) -> None:
        queue = self._queues.get(source)
        room = MAX_BACKLOG if self._waiting < _MANY else _SHARE_OF_MANY
        if (len(queue) if queue else 0) + len(run) > room:
            self.dropped += frames
            return
        if queue is None:
            queue = self._queues[source] = bytearray()
        queue += run
        self._waiting += len(run)
