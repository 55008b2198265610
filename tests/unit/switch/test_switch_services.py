"""What the service address answers, asked by a guest of a real switch process."""

from __future__ import annotations

import socket
import struct
import threading
from dataclasses import replace
from ipaddress import IPv4Address
from typing import TYPE_CHECKING

import pytest
from switch_harness import GATEWAY, NODE1, PATIENCE, SERVICE, Guest, SwitchProcess

from kutti_sdk.drivers.qemu.switch.dhcp import DhcpMessage, Kind, Option
from kutti_sdk.drivers.qemu.switch.dns import DnsQuery, Rcode, Rtype, encode_name
from kutti_sdk.drivers.qemu.switch.ethernet import (
    BROADCAST,
    ETHERTYPE_IPV4,
    ArpPacket,
    EthernetFrame,
)
from kutti_sdk.drivers.qemu.switch.ipv4 import (
    PROTOCOL_ICMP,
    PROTOCOL_TCP,
    PROTOCOL_UDP,
    IPv4Packet,
    UdpDatagram,
    checksum,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

AAAA = 28
ANY_ADDRESS = IPv4Address(0)


def dns_query(
    name: str, rtype: int, *, ident: int = 7, opcode: int = 0, edns: bool = False
) -> bytes:
    header = struct.pack("!HHHHHH", ident, 0x0100 | opcode << 11, 1, 0, 0, int(edns))
    opt = b"\0\0\x29\x10\0\0\0\0\0\0\0" if edns else b""
    return header + encode_name(name) + struct.pack("!HH", rtype, 1) + opt


def rcode(answer: bytes) -> int:
    return answer[3] & 0x0F


def answer_count(answer: bytes) -> int:
    return int.from_bytes(answer[6:8])


@pytest.fixture
def ask_dns(switch: SwitchProcess, node1: Guest) -> Callable[[bytes], bytes]:
    return lambda query: node1.ask_udp(switch.config.service_mac, 53, query)


def test_arp_for_the_service_address_is_answered(switch: SwitchProcess, node1: Guest) -> None:
    node1.send(node1.arp_request(SERVICE))
    frame = node1.receive()
    reply = ArpPacket.parse(frame.payload)
    assert (frame.destination, frame.source) == (node1.mac, switch.config.service_mac)
    assert (reply.sender_mac, reply.sender_address) == (switch.config.service_mac, SERVICE)
    assert (reply.target_mac, reply.target_address) == (node1.mac, node1.address)


def test_ping_of_the_service_address_is_answered(switch: SwitchProcess, node1: Guest) -> None:
    body = b"\x12\x34\x00\x01" + b"ping" * 10
    request = struct.pack("!BBH", 8, 0, checksum(b"\x08\0\0\0" + body)) + body
    packet = IPv4Packet(node1.address, SERVICE, PROTOCOL_ICMP, request)
    node1.send(node1.ip_frame(switch.config.service_mac, packet))
    reply = IPv4Packet.parse(node1.receive().payload)
    assert (reply.source, reply.destination) == (SERVICE, node1.address)
    assert (reply.payload[:2], reply.payload[4:]) == (b"\0\0", body)
    assert checksum(reply.payload) == 0


@pytest.mark.parametrize("protocol", [PROTOCOL_TCP, PROTOCOL_UDP])
def test_other_ports_are_refused_at_once(
    switch: SwitchProcess, node1: Guest, protocol: int
) -> None:
    transport = UdpDatagram(40000, 9999, b"?" * 12).pack(node1.address, SERVICE)
    packet = IPv4Packet(node1.address, SERVICE, protocol, transport)
    node1.send(node1.ip_frame(switch.config.service_mac, packet))
    reply = IPv4Packet.parse(node1.receive().payload)
    assert reply.protocol == PROTOCOL_ICMP
    assert reply.payload[:2] == b"\x03\x03"
    assert reply.payload[8:] == packet.pack()[:28]


def dhcp_frame(guest: Guest, message: DhcpMessage) -> EthernetFrame:
    everybody = IPv4Address("255.255.255.255")
    datagram = UdpDatagram(68, 67, message.pack()).pack(ANY_ADDRESS, everybody)
    packet = IPv4Packet(ANY_ADDRESS, everybody, PROTOCOL_UDP, datagram)
    return EthernetFrame(BROADCAST, guest.mac, ETHERTYPE_IPV4, packet.pack())


def dhcp_exchange(guest: Guest, message: DhcpMessage) -> tuple[IPv4Packet, DhcpMessage]:
    guest.send(dhcp_frame(guest, message))
    packet = IPv4Packet.parse(guest.receive().payload)
    datagram = UdpDatagram.parse(packet.payload)
    assert (datagram.source_port, datagram.destination_port) == (67, 68)
    return packet, DhcpMessage.parse(datagram.payload)


def test_a_host_gets_its_fixed_address_by_dhcp(node1: Guest) -> None:
    discover = DhcpMessage(False, Kind.DISCOVER, 0xABCD, node1.mac)
    packet, offer = dhcp_exchange(node1, discover)
    assert (offer.kind, offer.your_address) == (Kind.OFFER, NODE1.address)
    assert (packet.source, packet.destination) == (SERVICE, NODE1.address)
    wanted: dict[int, bytes] = {
        Option.SERVER_ID: offer.options[Option.SERVER_ID],
        Option.REQUESTED_ADDRESS: offer.your_address.packed,
    }
    _, ack = dhcp_exchange(node1, replace(discover, kind=Kind.REQUEST, options=wanted))
    assert (ack.kind, ack.your_address, ack.transaction) == (Kind.ACK, NODE1.address, 0xABCD)
    assert ack.address_option(Option.SUBNET_MASK) == IPv4Address("255.255.255.0")
    assert ack.address_option(Option.ROUTER) == GATEWAY.address
    assert ack.address_option(Option.DNS_SERVER) == SERVICE
    assert ack.options[Option.HOST_NAME] == b"node1"
    assert ack.options[Option.DOMAIN_NAME] == b"lab.kutti"
    assert ack.options[Option.DOMAIN_SEARCH] == b"\x03lab\x05kutti\0"


def test_dhcp_broadcasts_reach_nobody_else(node1: Guest, node2: Guest, gateway: Guest) -> None:
    dhcp_exchange(node1, DhcpMessage(False, Kind.DISCOVER, 1, node1.mac, broadcast=True))
    assert [frame.destination for frame in node2.heard()] == [BROADCAST]  # the answer alone
    assert gateway.heard() == []


def test_a_stranger_gets_no_address_and_one_log_line(switch: SwitchProcess, node1: Guest) -> None:
    node1.mac = bytes.fromhex("525400999999")
    discover = dhcp_frame(node1, DhcpMessage(False, Kind.DISCOVER, 1, node1.mac))
    node1.send(discover, discover)
    assert node1.heard() == []
    assert switch.log().count("no lease for 52:54:00:99:99:99") == 1


@pytest.mark.parametrize("name", ["node2", "node2.lab.kutti", "NODE2.Lab.Kutti"])
def test_names_of_hosts_are_answered(ask_dns: Callable[[bytes], bytes], name: str) -> None:
    answer = ask_dns(dns_query(name, Rtype.A))
    assert (rcode(answer), answer_count(answer)) == (Rcode.NOERROR, 1)
    assert answer.endswith(b"\0\x04" + IPv4Address("192.168.125.12").packed)


def test_addresses_of_hosts_are_answered(ask_dns: Callable[[bytes], bytes]) -> None:
    answer = ask_dns(dns_query("11.125.168.192.in-addr.arpa", Rtype.PTR))
    assert (rcode(answer), answer_count(answer)) == (Rcode.NOERROR, 1)
    assert answer.endswith(encode_name("node1.lab.kutti"))


@pytest.mark.parametrize(
    ("name", "rtype", "expected"),
    [
        ("node1", AAAA, Rcode.NOERROR),
        ("lab.kutti", Rtype.A, Rcode.NOERROR),
        ("nobody.lab.kutti", Rtype.A, Rcode.NXDOMAIN),
        ("99.125.168.192.in-addr.arpa", Rtype.PTR, Rcode.NXDOMAIN),
        ("outside.example", Rtype.A, Rcode.SERVFAIL),  # there is no name server to ask
    ],
)
def test_names_without_records(
    ask_dns: Callable[[bytes], bytes], name: str, rtype: int, expected: Rcode
) -> None:
    answer = ask_dns(dns_query(name, rtype))
    assert (rcode(answer), answer_count(answer)) == (expected, 0)


def test_extended_queries_get_extended_answers(ask_dns: Callable[[bytes], bytes]) -> None:
    answer = ask_dns(dns_query("node1", Rtype.A, edns=True))
    assert answer[10:12] == b"\0\x01"
    assert b"\0\0\x29" in answer


def test_updates_are_refused(ask_dns: Callable[[bytes], bytes]) -> None:
    assert rcode(ask_dns(dns_query("node1", Rtype.A, opcode=5))) == Rcode.NOTIMP


class Upstream:
    """A name server of the host: answers with what `reply` makes of the question."""

    def __init__(self, port: int = 0) -> None:
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.sock.bind(("127.0.0.1", port))
        self.sock.settimeout(PATIENCE)
        self.port: int = self.sock.getsockname()[1]
        self.asked: list[bytes] = []

    def reply_once(self, make: Callable[[bytes], list[bytes]]) -> threading.Thread:
        def serve() -> None:
            query, address = self.sock.recvfrom(4096)
            self.asked.append(query)
            for reply in make(query):
                self.sock.sendto(reply, address)

        thread = threading.Thread(target=serve)
        thread.start()
        return thread


@pytest.fixture
def upstream(switch: SwitchProcess) -> Iterator[Upstream]:
    server = Upstream()
    switch.config.resolv_conf.write_text("search x\nnameserver 127.0.0.1\n")
    switch.save(resolver_port=server.port)
    yield server
    server.sock.close()


def as_answer(query: bytes, extra: bytes = b"") -> bytes:
    return query[:2] + b"\x81\x80" + query[4:] + extra


def test_other_names_are_asked_outside(
    upstream: Upstream, ask_dns: Callable[[bytes], bytes]
) -> None:
    def make(query: bytes) -> list[bytes]:
        wrong_id = bytes([query[0] ^ 1]) + as_answer(query)[1:]
        wrong_question = as_answer(query).replace(b"outside", b"another")
        return [b"", b"x", wrong_id, wrong_question, as_answer(query, b"record")]

    thread = upstream.reply_once(make)
    query = dns_query("outside.example", Rtype.A, ident=0x1234)
    assert ask_dns(query) == as_answer(query, b"record")
    thread.join()
    assert upstream.asked[0][2:] == query[2:]


def test_an_answer_too_long_for_one_packet_is_marked_as_cut_off(
    upstream: Upstream, ask_dns: Callable[[bytes], bytes]
) -> None:
    thread = upstream.reply_once(lambda query: [as_answer(query, bytes(2000))])
    query = dns_query("outside.example", Rtype.A)
    answer = ask_dns(query)
    thread.join()
    assert answer[2:4] == b"\x83\x80"
    assert DnsQuery.parse(query).question == answer[12:]


def test_the_next_name_server_is_asked_when_one_is_silent_or_refuses(
    switch: SwitchProcess, upstream: Upstream, ask_dns: Callable[[bytes], bytes]
) -> None:
    # Re-read when it changes: the first server is nobody's address, the second one refuses.
    switch.config.resolv_conf.write_text(
        "nameserver not-an-address\nnameserver 127.0.0.2\nnameserver 127.0.0.1\n"
    )
    thread = upstream.reply_once(lambda query: [as_answer(query)])
    query = dns_query("outside.example", Rtype.A)
    assert ask_dns(query) == as_answer(query)
    thread.join()


def test_a_name_server_that_comes_back_is_asked_again(
    switch: SwitchProcess, upstream: Upstream, ask_dns: Callable[[bytes], bytes]
) -> None:
    query = dns_query("outside.example", Rtype.A)
    upstream.sock.close()  # the port refuses from now on
    assert rcode(ask_dns(query)) == Rcode.SERVFAIL
    switch.config.resolv_conf.unlink()  # as while this machine changes networks
    assert rcode(ask_dns(query)) == Rcode.SERVFAIL
    switch.config.resolv_conf.write_text("")
    assert rcode(ask_dns(query)) == Rcode.SERVFAIL
    again = Upstream(upstream.port)
    switch.config.resolv_conf.write_text("nameserver 127.0.0.1\n")
    thread = again.reply_once(lambda query: [as_answer(query)])
    assert ask_dns(query) == as_answer(query)
    thread.join()
    again.sock.close()


def test_silence_outside_ends_in_servfail(
    upstream: Upstream, ask_dns: Callable[[bytes], bytes]
) -> None:
    assert rcode(ask_dns(dns_query("outside.example", Rtype.A))) == Rcode.SERVFAIL


def test_too_many_questions_at_a_time_are_refused_at_once(
    switch: SwitchProcess, upstream: Upstream, node1: Guest
) -> None:
    mac = switch.config.service_mac
    for ident in range(200):
        query = dns_query("outside.example", Rtype.A, ident=ident)
        datagram = UdpDatagram(40000, 53, query).pack(node1.address, SERVICE)
        packet = IPv4Packet(node1.address, SERVICE, PROTOCOL_UDP, datagram)
        node1.send(node1.ip_frame(mac, packet))
    refused = IPv4Packet.parse(node1.receive().payload)
    assert rcode(UdpDatagram.parse(refused.payload).payload) == Rcode.SERVFAIL
    assert node1.heard()  # alive, and the rest of the refusals
