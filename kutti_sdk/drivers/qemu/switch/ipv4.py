"""IPv4, UDP and the little of ICMP that the services need: bytes to frozen values and back.

IPv4 as in RFC 791, UDP as in RFC 768, ICMP as in RFC 792, the checksum as in RFC 1071.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from ipaddress import IPv4Address
from typing import Final

from .errors import PacketError

__all__ = [
    "PROTOCOL_ICMP",
    "PROTOCOL_TCP",
    "PROTOCOL_UDP",
    "IPv4Packet",
    "UdpDatagram",
    "checksum",
    "echo_reply",
    "port_unreachable",
]

PROTOCOL_ICMP: Final = 1
"""RFC 792."""

PROTOCOL_TCP: Final = 6
"""RFC 9293."""

PROTOCOL_UDP: Final = 17
"""RFC 768."""

_IP: Final = struct.Struct("!BBHHHBBH4s4s")
_UDP: Final = struct.Struct("!HHHH")
_PSEUDO_HEADER: Final = struct.Struct("!4s4sBBH")
_ICMP_HEADER_SIZE: Final = 8
_ICMP_ECHO_REPLY: Final = 0
_ICMP_UNREACHABLE: Final = 3
_ICMP_PORT: Final = 3
_ICMP_ECHO: Final = 8
_VERSION_4_WITHOUT_OPTIONS: Final = 0x45
_TIME_TO_LIVE: Final = 64
_FRAGMENT_BITS: Final = 0x3FFF  # "more fragments" and the offset


def checksum(data: bytes) -> int:
    """Return the Internet checksum of RFC 1071: 0 over data that carries a right one."""
    if len(data) % 2:
        data += b"\0"
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    # The sum of 16-bit words with the carries added back in is the remainder by 0xFFFF, except
    # that one's complement has two zeros and a sum of words that are not all 0 is the other one.
    folded = total % 0xFFFF or (0xFFFF if total else 0)
    return 0xFFFF - folded


@dataclass(frozen=True, slots=True)
class IPv4Packet:
    """One whole IPv4 packet; options are skipped and fragments refused."""

    source: IPv4Address
    destination: IPv4Address
    protocol: int
    payload: bytes

    @classmethod
    def parse(cls, data: bytes) -> IPv4Packet:
        """Read a packet; bytes after its length are padding.

        Raises:
            PacketError: It is damaged, of another version or a fragment.
        """
        if len(data) < _IP.size:
            raise PacketError("IPv4 packet is too short")
        fields = _IP.unpack_from(data)
        first, _, length, _, fragment, _, protocol, _, source, destination = fields
        header_size = (first & 0x0F) * 4
        if first >> 4 != 4 or not _IP.size <= header_size <= length <= len(data):
            raise PacketError("IPv4 packet has a wrong version or length")
        if checksum(data[:header_size]):
            raise PacketError("IPv4 packet has a wrong checksum")
        if fragment & _FRAGMENT_BITS:
            raise PacketError("IPv4 packet is a fragment")
        payload = data[header_size:length]
        return cls(IPv4Address(source), IPv4Address(destination), protocol, payload)

    def pack(self) -> bytes:
        """Return the packet's bytes."""
        length = _IP.size + len(self.payload)
        ends = self.source.packed, self.destination.packed
        kind = _VERSION_4_WITHOUT_OPTIONS, 0, length, 0, 0, _TIME_TO_LIVE, self.protocol
        header = _IP.pack(*kind, checksum(_IP.pack(*kind, 0, *ends)), *ends)
        return header + self.payload


@dataclass(frozen=True, slots=True)
class UdpDatagram:
    """One UDP datagram; its checksum is written, and not checked on the way in.

    The wire is a local socket: what it could damage, it would lose altogether.
    """

    source_port: int
    destination_port: int
    payload: bytes

    @classmethod
    def parse(cls, data: bytes) -> UdpDatagram:
        """Read a datagram.

        Raises:
            PacketError: Its length is wrong.
        """
        if len(data) < _UDP.size:
            raise PacketError("UDP datagram is too short")
        source_port, destination_port, length, _ = _UDP.unpack_from(data)
        if not _UDP.size <= length <= len(data):
            raise PacketError("UDP datagram has a wrong length")
        return cls(source_port, destination_port, data[_UDP.size : length])

    def pack(self, source: IPv4Address, destination: IPv4Address) -> bytes:
        """Return the datagram's bytes; the checksum covers the two addresses as well."""
        length = _UDP.size + len(self.payload)
        ports = self.source_port, self.destination_port, length
        pseudo = _PSEUDO_HEADER.pack(source.packed, destination.packed, 0, PROTOCOL_UDP, length)
        # A computed 0 is sent as 0xFFFF, because 0 means "no checksum" (RFC 768).
        check = checksum(pseudo + _UDP.pack(*ports, 0) + self.payload) or 0xFFFF
        return _UDP.pack(*ports, check) + self.payload


def echo_reply(message: bytes) -> bytes | None:
    """Return the answer to an ICMP echo request (ping), or None for any other ICMP message."""
    if len(message) < _ICMP_HEADER_SIZE or message[0] != _ICMP_ECHO or checksum(message):
        return None
    return _icmp(_ICMP_ECHO_REPLY, 0, message[4:])


def port_unreachable(packet: bytes) -> bytes:
    """Return the ICMP message for a packet whose port nobody listens on.

    It quotes the packet's header and eight more bytes (RFC 792). Clients fail at once with
    "connection refused", where silence would have them wait for a time-out.
    """
    header_size = (packet[0] & 0x0F) * 4
    return _icmp(_ICMP_UNREACHABLE, _ICMP_PORT, bytes(4) + packet[: header_size + 8])


def _icmp(kind: int, code: int, rest: bytes) -> bytes:
    check = checksum(struct.pack("!BBH", kind, code, 0) + rest)
    return struct.pack("!BBH", kind, code, check) + rest
