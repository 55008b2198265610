"""DHCP messages: bytes to frozen values and back.

The message format of RFC 2131 with the options of RFC 2132. Which answer is given is decided in
`leases`.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from enum import IntEnum
from ipaddress import IPv4Address
from typing import TYPE_CHECKING, Final

from .errors import PacketError

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["CLIENT_PORT", "SERVER_PORT", "DhcpMessage", "Kind", "Option"]

SERVER_PORT: Final = 67
"""UDP port of DHCP servers (RFC 2131, section 4.1)."""

CLIENT_PORT: Final = 68
"""UDP port of DHCP clients (RFC 2131, section 4.1)."""

_FIXED: Final = struct.Struct("!BBBBIHH4s4s4s4s16s64s128s4s")  # RFC 2131, figure 1
_MAGIC_COOKIE: Final = b"\x63\x82\x53\x63"  # RFC 2131, section 3
_ETHERNET: Final = (1, 6)  # hardware type and address length
_SHORTEST: Final = 300  # BOOTP's length, which old clients and relays insist on (RFC 1542, 2.1)
_PAD: Final = 0
_END: Final = 255
_ANY: Final = IPv4Address(0)


class Kind(IntEnum):
    """The DHCP message type (RFC 2132, section 9.6)."""

    DISCOVER = 1
    OFFER = 2
    REQUEST = 3
    DECLINE = 4
    ACK = 5
    NAK = 6
    RELEASE = 7
    INFORM = 8


class Option(IntEnum):
    """The options that are read or written (RFC 2132; 119 is RFC 3397)."""

    SUBNET_MASK = 1
    ROUTER = 3
    DNS_SERVER = 6
    HOST_NAME = 12
    DOMAIN_NAME = 15
    BROADCAST_ADDRESS = 28
    REQUESTED_ADDRESS = 50
    LEASE_TIME = 51
    MESSAGE_TYPE = 53
    SERVER_ID = 54
    RENEWAL_TIME = 58
    REBINDING_TIME = 59
    CLIENT_ID = 61
    DOMAIN_SEARCH = 119


@dataclass(frozen=True, slots=True)
class DhcpMessage:
    """One DHCP message of an Ethernet client.

    Attributes:
        reply: Sent by a server (BOOTREPLY) and not by a client.
        kind: The message type.
        transaction: The client's transaction id (`xid`).
        mac: The client's hardware address (`chaddr`).
        broadcast: The client wants its answers as broadcasts.
        client_address: `ciaddr`, the address the client already uses.
        your_address: `yiaddr`, the address the client is given.
        server_address: `siaddr`, the next server of a network boot.
        relay_address: `giaddr`, set by a relay agent.
        options: All other options by code.
    """

    reply: bool
    kind: Kind
    transaction: int
    mac: bytes
    broadcast: bool = False
    client_address: IPv4Address = _ANY
    your_address: IPv4Address = _ANY
    server_address: IPv4Address = _ANY
    relay_address: IPv4Address = _ANY
    options: Mapping[int, bytes] = field(default_factory=dict)

    @classmethod
    def parse(cls, data: bytes) -> DhcpMessage:
        """Read a message.

        Raises:
            PacketError: It is cut off, plain BOOTP or not about Ethernet.
        """
        if len(data) < _FIXED.size:
            raise PacketError("DHCP message is too short")
        operation, *hardware, _, xid, _, flags, ci, yi, si, gi, mac, _, _, cookie = (
            _FIXED.unpack_from(data)
        )
        if operation not in (1, 2) or tuple(hardware) != _ETHERNET or cookie != _MAGIC_COOKIE:
            raise PacketError("not a DHCP message of an Ethernet client")
        options = _parse_options(data[_FIXED.size :])
        try:
            kind = Kind(int.from_bytes(options.pop(Option.MESSAGE_TYPE, b"")))
        except ValueError as error:
            raise PacketError("DHCP message has no known type") from error
        return cls(
            reply=operation == 2,
            kind=kind,
            transaction=xid,
            mac=mac[:6],
            broadcast=bool(flags & 0x8000),
            client_address=IPv4Address(ci),
            your_address=IPv4Address(yi),
            server_address=IPv4Address(si),
            relay_address=IPv4Address(gi),
            options=options,
        )

    def pack(self) -> bytes:
        """Return the message's bytes."""
        fixed = _FIXED.pack(
            2 if self.reply else 1,
            *_ETHERNET,
            0,
            self.transaction,
            0,
            0x8000 if self.broadcast else 0,
            self.client_address.packed,
            self.your_address.packed,
            self.server_address.packed,
            self.relay_address.packed,
            self.mac,
            b"",
            b"",
            _MAGIC_COOKIE,
        )
        options = _pack_option(Option.MESSAGE_TYPE, bytes([self.kind]))
        options += b"".join(_pack_option(code, value) for code, value in self.options.items())
        return (fixed + options + bytes([_END])).ljust(_SHORTEST, b"\0")

    def address_option(self, code: Option) -> IPv4Address | None:
        """Return an option that holds one address, or None when it is absent.

        Raises:
            PacketError: The option is not four bytes long.
        """
        value = self.options.get(code)
        if value is None:
            return None
        if len(value) != 4:
            raise PacketError(f"DHCP option {code} is not an address")
        return IPv4Address(value)


def _parse_options(data: bytes) -> dict[int, bytes]:
    options: dict[int, bytes] = {}
    position = 0
    while position < len(data) and (code := data[position]) != _END:
        if code == _PAD:
            position += 1
            continue
        if position + 1 >= len(data):
            raise PacketError("DHCP option is cut off")
        start = position + 2
        position = start + data[position + 1]
        if position > len(data):
            raise PacketError("DHCP option is cut off")
        # An option that comes in pieces is one option (RFC 3396).
        options[code] = options.get(code, b"") + data[start:position]
    return options


def _pack_option(code: int, value: bytes) -> bytes:
    pieces = [value[start : start + 255] for start in range(0, len(value), 255)] or [b""]
    return b"".join(bytes([code, len(piece)]) + piece for piece in pieces)
