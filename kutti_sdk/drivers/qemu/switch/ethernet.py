"""Ethernet frames and ARP packets: bytes to frozen values and back.

Ethernet II as in RFC 894, ARP as in RFC 826.
"""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass
from ipaddress import IPv4Address
from typing import Final

from .errors import PacketError

__all__ = [
    "ARP_REPLY",
    "ARP_REQUEST",
    "BROADCAST",
    "ETHERTYPE_ARP",
    "ETHERTYPE_IPV4",
    "ArpPacket",
    "EthernetFrame",
    "format_mac",
    "is_group",
    "parse_mac",
]

BROADCAST: Final = b"\xff" * 6
"""The hardware address of everybody."""

ETHERTYPE_IPV4: Final = 0x0800
"""RFC 894."""

ETHERTYPE_ARP: Final = 0x0806
"""RFC 826."""

ARP_REQUEST: Final = 1
"""RFC 826, ares_op$REQUEST."""

ARP_REPLY: Final = 2
"""RFC 826, ares_op$REPLY."""

_HEADER: Final = struct.Struct("!6s6sH")
_ARP: Final = struct.Struct("!HHBBH6s4s6s4s")
_ARP_IPV4_OVER_ETHERNET: Final = (1, ETHERTYPE_IPV4, 6, 4)
_MAC: Final = re.compile(r"[0-9a-fA-F]{2}(:[0-9a-fA-F]{2}){5}")


def parse_mac(text: str) -> bytes:
    """Return the six bytes of a hardware address written as `52:54:00:12:34:56`.

    Raises:
        ValueError: It is written in another way.
    """
    if not _MAC.fullmatch(text):
        raise ValueError(f"{text!r} is not a hardware address like 52:54:00:12:34:56")
    return bytes.fromhex(text.replace(":", ""))


def format_mac(mac: bytes) -> str:
    """Return a hardware address in its usual writing."""
    return mac.hex(":")


def is_group(mac: bytes) -> bool:
    """Tell whether a hardware address is broadcast or multicast (IEEE 802, the I/G bit)."""
    return bool(mac[0] & 1)


@dataclass(frozen=True, slots=True)
class EthernetFrame:
    """One Ethernet II frame without checksum, as QEMU's stream sockets carry it."""

    destination: bytes
    source: bytes
    ethertype: int
    payload: bytes

    @classmethod
    def parse(cls, data: bytes) -> EthernetFrame:
        """Read a frame.

        Raises:
            PacketError: It is shorter than its header.
        """
        if len(data) < _HEADER.size:
            raise PacketError("Ethernet frame is too short")
        destination, source, ethertype = _HEADER.unpack_from(data)
        return cls(destination, source, ethertype, data[_HEADER.size :])

    def pack(self) -> bytes:
        """Return the frame's bytes, unpadded: virtual wires have no shortest frame."""
        return _HEADER.pack(self.destination, self.source, self.ethertype) + self.payload


@dataclass(frozen=True, slots=True)
class ArpPacket:
    """One ARP packet for IPv4 over Ethernet."""

    operation: int
    sender_mac: bytes
    sender_address: IPv4Address
    target_mac: bytes
    target_address: IPv4Address

    @classmethod
    def parse(cls, data: bytes) -> ArpPacket:
        """Read a packet; bytes after it are padding.

        Raises:
            PacketError: It is too short or not about IPv4 over Ethernet.
        """
        if len(data) < _ARP.size:
            raise PacketError("ARP packet is too short")
        *kind, operation, sender_mac, sender, target_mac, target = _ARP.unpack_from(data)
        if tuple(kind) != _ARP_IPV4_OVER_ETHERNET:
            raise PacketError("ARP packet is not about IPv4 over Ethernet")
        return cls(operation, sender_mac, IPv4Address(sender), target_mac, IPv4Address(target))

    def pack(self) -> bytes:
        """Return the packet's bytes."""
        return _ARP.pack(
            *_ARP_IPV4_OVER_ETHERNET,
            self.operation,
            self.sender_mac,
            self.sender_address.packed,
            self.target_mac,
            self.target_address.packed,
        )
