"""What the switch answers by itself, on its service address: ARP, ping, DHCP and DNS.

DNS is served over UDP alone. Clients that try TCP, and any other port, are told at once that
nobody listens there.
"""

from __future__ import annotations

import logging
from functools import partial
from ipaddress import IPv4Address
from typing import TYPE_CHECKING, Final

from .dhcp import CLIENT_PORT, SERVER_PORT, DhcpMessage
from .dns import DnsQuery, Rcode, build_answer, truncated
from .errors import PacketError
from .ethernet import (
    ARP_REPLY,
    ARP_REQUEST,
    BROADCAST,
    ETHERTYPE_ARP,
    ETHERTYPE_IPV4,
    ArpPacket,
    EthernetFrame,
)
from .ipv4 import (
    PROTOCOL_ICMP,
    PROTOCOL_TCP,
    PROTOCOL_UDP,
    IPv4Packet,
    UdpDatagram,
    echo_reply,
    port_unreachable,
)
from .leases import DhcpServer
from .zone import Zone

if TYPE_CHECKING:
    from collections.abc import Callable

    from .config import SwitchConfig
    from .relay import Relay

__all__ = ["DNS_PORT", "Services"]

DNS_PORT: Final = 53
"""RFC 1035, section 4.2.1."""

_LONGEST_ANSWER: Final = 1472  # what fits into 1500 bytes without fragments
_ANY: Final = IPv4Address(0)
_EVERYBODY: Final = IPv4Address("255.255.255.255")
_LOGGED_ERRORS: Final = 10
_log = logging.getLogger(__name__)


class Services:
    """The switch as a host of its own network.

    Args:
        config: Addresses, leases and names.
        relay: Where questions about other names go.
        send: Puts a frame onto the network.
    """

    def __init__(self, config: SwitchConfig, relay: Relay, send: Callable[[bytes], None]) -> None:
        self._relay = relay
        self._send = send
        self.mistakes = 0
        self.damaged = 0
        self.configure(config)

    def configure(self, config: SwitchConfig) -> None:
        """Take over leases and names from now on."""
        self._mac = config.service_mac
        self._address = config.service_address
        self._dhcp = DhcpServer(config)
        self._zone = Zone(config)

    def take(self, frame: bytes) -> bool:
        """Answer a frame to the service's address or to everybody.

        Returns:
            Whether the frame was for the services alone, so that no port gets it.
        """
        to_us = frame.startswith(self._mac)
        try:
            return self._dispatch(EthernetFrame.parse(frame)) or to_us
        except PacketError:
            self.damaged += 1
            return to_us  # what was for everybody is passed on, as any switch would
        except Exception:  # noqa: BLE001 - one wrong answer must not take the network down
            self.mistakes += 1
            if self.mistakes <= _LOGGED_ERRORS:
                _log.exception("no answer to %s", frame[:64].hex())
            return to_us

    def _dispatch(self, frame: EthernetFrame) -> bool:
        if frame.ethertype == ETHERTYPE_ARP:
            return self._arp(frame)
        if frame.ethertype != ETHERTYPE_IPV4 or frame.destination not in (self._mac, BROADCAST):
            return False
        packet = IPv4Packet.parse(frame.payload)
        if packet.destination == self._address:
            self._local(frame, packet)
            return True
        if packet.protocol == PROTOCOL_UDP and packet.destination == _EVERYBODY:
            datagram = UdpDatagram.parse(packet.payload)
            if datagram.destination_port == SERVER_PORT:
                self._answer_dhcp(frame.source, datagram)
                return True  # the network's only DHCP server: slirp's must not hear of it
        return False

    def _arp(self, frame: EthernetFrame) -> bool:
        request = ArpPacket.parse(frame.payload)
        if request.operation != ARP_REQUEST or request.target_address != self._address:
            return False
        asker = request.sender_mac, request.sender_address
        reply = ArpPacket(ARP_REPLY, self._mac, self._address, *asker)
        self._send(EthernetFrame(frame.source, self._mac, ETHERTYPE_ARP, reply.pack()).pack())
        return True

    def _local(self, frame: EthernetFrame, packet: IPv4Packet) -> None:
        if packet.protocol == PROTOCOL_ICMP:
            reply = echo_reply(packet.payload)
            if reply is not None:
                self._send_ip(frame.source, packet.source, PROTOCOL_ICMP, reply)
            return
        if packet.protocol == PROTOCOL_UDP:
            datagram = UdpDatagram.parse(packet.payload)
            if datagram.destination_port == DNS_PORT:
                self._answer_dns(frame.source, packet.source, datagram)
                return
            if datagram.destination_port == SERVER_PORT:
                self._answer_dhcp(frame.source, datagram)
                return
        if packet.protocol in (PROTOCOL_UDP, PROTOCOL_TCP):
            quoted = port_unreachable(frame.payload)
            self._send_ip(frame.source, packet.source, PROTOCOL_ICMP, quoted)

    def _answer_dhcp(self, mac: bytes, datagram: UdpDatagram) -> None:
        request = DhcpMessage.parse(datagram.payload)
        if request.mac != mac:
            return  # a guest may ask for itself alone
        reply = self._dhcp.answer(request)
        if reply is None:
            return
        # RFC 2131, section 4.1. The new address is used before the client answers ARP for it.
        if reply.client_address != _ANY:
            address = reply.client_address
        elif reply.broadcast or reply.your_address == _ANY:
            mac, address = BROADCAST, _EVERYBODY
        else:
            address = reply.your_address
        self._send_udp(mac, address, UdpDatagram(SERVER_PORT, CLIENT_PORT, reply.pack()))

    def _answer_dns(self, mac: bytes, address: IPv4Address, datagram: UdpDatagram) -> None:
        query = DnsQuery.parse(datagram.payload)
        reply = partial(self._send_dns, mac, address, datagram.source_port, query)
        if not query.is_standard:
            reply(build_answer(query, Rcode.NOTIMP))
            return
        known = self._zone.answer(query)
        if known is not None:
            reply(known)
        else:
            self._relay.ask(query, datagram.payload, reply)

    def _send_dns(
        self, mac: bytes, address: IPv4Address, port: int, query: DnsQuery, answer: bytes
    ) -> None:
        if len(answer) > _LONGEST_ANSWER:
            answer = truncated(query, answer)
        self._send_udp(mac, address, UdpDatagram(DNS_PORT, port, answer))

    def _send_udp(self, mac: bytes, address: IPv4Address, datagram: UdpDatagram) -> None:
        self._send_ip(mac, address, PROTOCOL_UDP, datagram.pack(self._address, address))

    def _send_ip(self, mac: bytes, address: IPv4Address, protocol: int, payload: bytes) -> None:
        packet = IPv4Packet(self._address, address, protocol, payload).pack()
        self._send(EthernetFrame(mac, self._mac, ETHERTYPE_IPV4, packet).pack())
