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
"""Bytes that wait for a guest that does not read; then its frames are dropped."""


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
        self._backlog = bytearray()

    def send(self, run: memoryview, frames: int) -> None:
        """Send frames, each with its length before it, or drop them when the guest is too slow.

        Args:
            run: The bytes; they may be overwritten after the call.
            frames: How many frames they are.
        """
        sent = 0
        if self._backlog:
            if len(self._backlog) + len(run) > MAX_BACKLOG:
                self.dropped += frames
                return
        else:
            try:
                sent = self.sock.send(run)
            except BlockingIOError:
                pass
            except OSError:
                self.dropped += frames  # the other end is gone: reading will find out and close
                return
            if sent == len(run):
                return
            self._watch_writable(True)
        # Whole frames are dropped or none: what was begun must be completed.
        self._backlog += run[sent:]

    def flush(self) -> None:
        """Send what waits, as far as the socket takes it."""
        try:
            sent = self.sock.send(self._backlog)
        except BlockingIOError:
            return
        except OSError:
            sent = len(self._backlog)  # gone, see above
        del self._backlog[:sent]
        if not self._backlog:
            self._watch_writable(False)
