"""The switching itself: which frame goes to which ports.

A learning bridge (IEEE 802.1D) that asks the guard whether senders are who they say, with one
special port. Slirp, the NAT gateway, answers whatever it
sees as if it were meant for it, with TCP resets for other hosts' connections; therefore it gets
ARP broadcasts and frames to itself and nothing else. IPv6 stays between the hosts.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from .config import GATEWAY_MAC_PREFIX
from .errors import PacketError
from .ethernet import is_group
from .guard import ARP_TYPE, IPV4_TYPE, TAG_TYPES
from .port import LENGTH, MAX_FRAME, Port

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from ipaddress import IPv4Network

    from .guard import Guard

__all__ = ["MAX_STATIONS", "STATION_SECONDS", "Fabric"]

MAX_STATIONS: Final = 256
"""Hardware addresses remembered for one port; a guest that invents more fills its own share."""

STATION_SECONDS: Final = 300.0
"""How long a silent hardware address is remembered (IEEE 802.1D, table 7-5)."""

_BUFFER_SIZE: Final = 256 * 1024
_HEADER_SIZE: Final = 14
_IPV4_SENDER: Final = 26
_LOOKED_INTO: Final = (ARP_TYPE, *TAG_TYPES)


class _Station:
    """Where a hardware address was seen last."""

    __slots__ = ("port", "seen")

    def __init__(self, port: Port, seen: float) -> None:
        self.port = port
        self.seen = seen


class Fabric:
    """The ports and what was learned about them.

    Args:
        network: The network, which tells the gateway's hardware addresses from others.
        service_mac: The switch's own hardware address.
        guard: Knows which addresses hosts may send from.
        take: Sees each frame to the service or to everybody, and tells whether it consumed it.
    """

    def __init__(
        self,
        network: IPv4Network,
        service_mac: bytes,
        guard: Guard,
        take: Callable[[bytes], bool],
    ) -> None:
        self._first_address = network.network_address.packed
        self._last_address = network.broadcast_address.packed
        self._service_mac = service_mac
        self._guard = guard
        self._take = take
        self._hosts: list[Port] = []
        self._gateway: tuple[Port, ...] = ()
        self._stations: dict[bytes, _Station] = {}
        # All ports read into one buffer: what is left of a frame waits in its port.
        self._buffer = memoryview(bytearray(_BUFFER_SIZE))

    def attach(self, port: Port) -> None:
        """Add a port."""
        if port.is_gateway:
            self._gateway = (port,)
        else:
            self._hosts.append(port)

    def detach(self, port: Port) -> None:
        """Remove a port and forget what was learned from it."""
        if port.is_gateway:
            self._gateway = ()
        else:
            self._hosts.remove(port)
        self._forget(lambda station: station.port is port)

    def expire(self) -> None:
        """Forget the hardware addresses that were silent for too long."""
        oldest = time.monotonic() - STATION_SECONDS
        self._forget(lambda station: station.seen < oldest)

    def deliver(self, frame: bytes) -> None:
        """Send a frame of the service to where its destination is."""
        destination = frame[:6]
        ports = None if is_group(destination) else self._ports_to(destination, None)
        run = memoryview(LENGTH.pack(len(frame)) + frame)
        for port in self._hosts if ports is None else ports:
            port.send(run, 1, None)

    def receive(self, port: Port) -> bool:
        """Read once from a port and forward what came.

        Returns:
            False when the other end has closed.

        Raises:
            OSError: The connection is broken.
            PacketError: The other end does not speak the protocol.
        """
        buffer = self._buffer
        kept = len(port.rest)
        buffer[:kept] = port.rest
        received = port.sock.recv_into(buffer[kept:])
        end = kept + received
        port.rest = bytes(buffer[self._forward(port, end) : end])
        return received > 0

    def _forward(self, port: Port, end: int) -> int:
        """Forward the whole frames of the buffer; return where the first unfinished one begins.

        Frames in a row between the same addresses, the rule under load, are routed once and
        sent as one piece.
        """
        buffer = self._buffer
        now = time.monotonic()
        ports: Sequence[Port] | None = ()
        flow = b""
        position = run_start = frames = 0
        while end - position >= LENGTH.size:
            start = position + LENGTH.size
            (length,) = LENGTH.unpack_from(buffer, position)
            if length > MAX_FRAME:
                raise PacketError(f"a frame of {length} bytes")
            stop = start + length
            if stop > end:
                break
            # A frame that is too short to have addresses goes nowhere.
            next_flow = b""
            if length >= _HEADER_SIZE:
                sender = start + _IPV4_SENDER
                next_flow = bytes(buffer[start : start + _HEADER_SIZE])
                next_flow += buffer[min(sender, stop) : min(sender + 4, stop)]
            if next_flow != flow or ports is None:
                for out in ports or ():
                    out.send(buffer[run_start:position], frames, port)
                flow, run_start, frames = next_flow, position, 0
                ports = self._route(port, flow, now)
                if ports is None:
                    self._inspect(port, buffer[position:stop])
            frames += 1
            position = stop
        for out in ports or ():
            out.send(buffer[run_start:position], frames, port)
        return position

    def _route(self, port: Port, flow: bytes, now: float) -> Sequence[Port] | None:
        """Return the ports for the frames of a flow, or None to look into each frame.

        Args:
            port: Where they come from.
            flow: Their Ethernet header and, where they are IPv4 packets, their sender.
            now: Monotonic time.
        """
        if not flow or not self._learn(port, flow[6:12], now):
            return ()
        destination, kind = flow[:6], flow[12:14]
        if is_group(destination) or destination == self._service_mac or kind in _LOOKED_INTO:
            return None
        if kind == IPV4_TYPE and not self._guard.permits_address(port, flow[_HEADER_SIZE:]):
            return ()
        return self._ports_to(destination, port)

    def _ports_to(self, destination: bytes, source: Port | None) -> Sequence[Port]:
        if self._belongs_to_gateway(destination):
            return self._gateway
        station = self._stations.get(destination)
        if station is None:
            return [port for port in self._hosts if port is not source]
        return () if station.port is source else (station.port,)

    def _inspect(self, port: Port, run: memoryview) -> None:
        """Forward one frame, to the service or to everybody perhaps."""
        frame = bytes(run[LENGTH.size :])
        if not self._guard.permits(port, frame):
            return
        destination = frame[:6]
        if not is_group(destination) and destination != self._service_mac:
            for out in self._ports_to(destination, port):
                out.send(run, 1, port)
            return
        if self._take(frame):
            return
        for out in self._hosts:
            if out is not port:
                out.send(run, 1, port)
        if not port.is_gateway and frame[12:14] == ARP_TYPE:
            for out in self._gateway:
                out.send(run, 1, port)

    def _learn(self, port: Port, mac: bytes, now: float) -> bool:
        """Remember where a hardware address is; return whether its frames may enter there."""
        if is_group(mac) or mac == self._service_mac:
            return False
        if not self._guard.permits_mac(port, mac):
            return False
        if not port.is_gateway and self._belongs_to_gateway(mac):
            return False
        station = self._stations.get(mac)
        if station is None:
            if port.stations < MAX_STATIONS:
                self._stations[mac] = _Station(port, now)
                port.stations += 1
            return True
        if station.port is not port:
            if station.port.is_gateway:
                return False
            station.port.stations -= 1
            port.stations += 1
            station.port = port
        station.seen = now
        return True

    def _belongs_to_gateway(self, mac: bytes) -> bool:
        return (
            mac[:2] == GATEWAY_MAC_PREFIX and self._first_address <= mac[2:] <= self._last_address
        )

    def _forget(self, is_over: Callable[[_Station], bool]) -> None:
        for mac, station in list(self._stations.items()):
            if is_over(station):
                station.port.stations -= 1
                del self._stations[mac]
