"""Whose addresses are whose: a host may not speak in the name of another.

Each address that was given to a host is taken from that host's port alone, as is done by the
"IP source guard" and the "dynamic ARP inspection" of switches in a rack. The address of the gateway
is taken from the gateway's port, that of the service from none. Addresses that were given to nobody
are anybody's: those of pods, of machines inside of a host, and such that hosts share.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from .errors import PacketError
from .ethernet import ETHERTYPE_ARP, ETHERTYPE_IPV4, ArpPacket

if TYPE_CHECKING:
    from .config import SwitchConfig
    from .port import Port

__all__ = ["ARP_TYPE", "IPV4_TYPE", "TAG_TYPES", "Guard"]

ARP_TYPE: Final = ETHERTYPE_ARP.to_bytes(2)
IPV4_TYPE: Final = ETHERTYPE_IPV4.to_bytes(2)

TAG_TYPES: Final = (b"\x81\x00", b"\x88\xa8")
"""What frames of a virtual LAN have in the place of their type (IEEE 802.1Q)."""

_TYPE: Final = slice(12, 14)
_TAG: Final = slice(14, 16)
_PAYLOAD: Final = 14
_IPV4_SENDER: Final = slice(26, 30)
_VIRTUAL_LAN: Final = 0x0FFF
_NOBODY: Final = ""


class Guard:
    """Tells lies about addresses from the truth."""

    def __init__(self, config: SwitchConfig) -> None:
        self.configure(config)

    def configure(self, config: SwitchConfig) -> None:
        """Take over who has which address from now on."""
        self._owners_of_macs = {lease.mac: lease.port for lease in config.leases}
        self._owners_of_addresses = {lease.address.packed: lease.port for lease in config.leases}
        for address in (config.gateway_address, config.service_address):
            self._owners_of_addresses[address.packed] = _NOBODY

    def permits_mac(self, port: Port, mac: bytes) -> bool:
        """Tell whether a hardware address may be a sender at a port."""
        return port.is_gateway or self._owners_of_macs.get(mac, port.name) == port.name

    def permits_address(self, port: Port, address: bytes) -> bool:
        """Tell whether an IPv4 address may be a sender at a port."""
        return port.is_gateway or self._owners_of_addresses.get(address, port.name) == port.name

    def permits(self, port: Port, frame: bytes) -> bool:
        """Tell whether what a frame says of its sender may come from a port.

        Args:
            port: Where it came from.
            frame: All of it; its Ethernet sender was looked at before.
        """
        kind = frame[_TYPE]
        if kind == IPV4_TYPE:
            return self.permits_address(port, frame[_IPV4_SENDER])
        if kind == ARP_TYPE:
            return port.is_gateway or self._permits_arp(port, frame)
        if kind in TAG_TYPES:
            # One of virtual LAN 0 is taken like one without a tag, whatever is in it.
            return bool(int.from_bytes(frame[_TAG]) & _VIRTUAL_LAN)
        return True

    def _permits_arp(self, port: Port, frame: bytes) -> bool:
        try:
            packet = ArpPacket.parse(frame[_PAYLOAD:])
        except PacketError:  # Linux takes some that are not quite about Ethernet
            return False
        return self.permits_mac(port, packet.sender_mac) and self.permits_address(
            port, packet.sender_address.packed
        )
