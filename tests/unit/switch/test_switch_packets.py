"""The parsers: they read what they write, and raise nothing but PacketError on anything else."""

from __future__ import annotations

import struct
from ipaddress import IPv4Address
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from switch_harness import NODE1, NODE2, SERVICE, make_config

from kutti_sdk.drivers.qemu.switch.dhcp import DhcpMessage, Kind, Option
from kutti_sdk.drivers.qemu.switch.dns import (
    DnsQuery,
    Rcode,
    Rtype,
    answers,
    build_answer,
    encode_name,
    truncated,
    with_id,
)
from kutti_sdk.drivers.qemu.switch.errors import PacketError
from kutti_sdk.drivers.qemu.switch.ethernet import (
    ARP_REQUEST,
    ETHERTYPE_ARP,
    ETHERTYPE_IPV4,
    ArpPacket,
    EthernetFrame,
    format_mac,
    parse_mac,
)
from kutti_sdk.drivers.qemu.switch.ipv4 import IPv4Packet, UdpDatagram, checksum, echo_reply
from kutti_sdk.drivers.qemu.switch.leases import DhcpServer
from kutti_sdk.drivers.qemu.switch.services import Services
from kutti_sdk.drivers.qemu.switch.zone import Zone

if TYPE_CHECKING:
    from collections.abc import Callable

CONFIG = make_config(Path("/run/lab"))
MAC = st.binary(min_size=6, max_size=6)
NOWHERE = IPv4Address(0)
ADDRESS = st.integers(0, 2**32 - 1).map(IPv4Address)
LABEL = st.from_regex(r"[a-z0-9]([a-z0-9-]{0,20}[a-z0-9])?", fullmatch=True)
NAME = st.lists(LABEL, max_size=6).map(".".join)
DHCP = st.builds(
    DhcpMessage,
    reply=st.booleans(),
    kind=st.sampled_from(Kind),
    transaction=st.integers(0, 2**32 - 1),
    mac=MAC | st.just(NODE1.mac),
    broadcast=st.booleans(),
    client_address=ADDRESS | st.just(NODE1.address) | st.just(NOWHERE),
    your_address=ADDRESS,
    server_address=ADDRESS,
    relay_address=ADDRESS | st.just(NOWHERE),
    options=st.dictionaries(
        st.integers(1, 254).filter(lambda code: code != Option.MESSAGE_TYPE),
        st.binary(max_size=6) | st.binary(min_size=250, max_size=600),
        max_size=5,
    ),
)


def query_bytes(name: str, rtype: int = Rtype.A, rclass: int = 1, flags: int = 0x0100) -> bytes:
    question = encode_name(name) + struct.pack("!HH", rtype, rclass)
    return struct.pack("!HHHHHH", 1, flags, 1, 0, 0, 0) + question


@pytest.mark.parametrize(
    "parse",
    [EthernetFrame.parse, ArpPacket.parse, IPv4Packet.parse, UdpDatagram.parse, echo_reply],
)
@given(data=st.binary(max_size=100))
def test_packet_parsers_survive_anything(parse: Callable[[bytes], object], data: bytes) -> None:
    try:
        parse(data)
    except PacketError:
        pass


@given(data=st.binary(max_size=100), options=st.binary(max_size=400))
def test_the_dhcp_parser_survives_anything(data: bytes, options: bytes) -> None:
    template = DhcpMessage(False, Kind.DISCOVER, 1, NODE1.mac).pack()[:240]
    for message in (data, template + options, template + b"\x35\x01\x03" + options):
        try:
            DhcpServer(CONFIG).answer(DhcpMessage.parse(message))
        except PacketError:
            pass


@given(data=st.binary(max_size=300), name=NAME)
def test_the_dns_parser_survives_anything(data: bytes, name: str) -> None:
    header = query_bytes(name)[:12]
    for message in (data, header + data, query_bytes(name) + data):
        try:
            query = DnsQuery.parse(message)
        except PacketError:
            continue
        Zone(CONFIG).answer(query)
        answers(query, 1, data)


class NoRelay:
    def ask(self, *_: object) -> None:
        pass


@given(
    start=st.sampled_from([CONFIG.service_mac, b"\xff" * 6]),
    ethertype=st.sampled_from([ETHERTYPE_IPV4, ETHERTYPE_ARP, 0x86DD]),
    protocol=st.sampled_from([1, 6, 17, 99]),
    port=st.sampled_from([53, 67, 1]),
    payload=st.binary(max_size=600),
)
def test_the_services_survive_anything(
    start: bytes, ethertype: int, protocol: int, port: int, payload: bytes
) -> None:
    sent: list[bytes] = []
    services = Services(CONFIG, NoRelay(), sent.append)  # type: ignore[arg-type]
    datagram = UdpDatagram(1, port, payload).pack(NODE1.address, SERVICE)
    packet = IPv4Packet(NODE1.address, SERVICE, protocol, datagram).pack()
    for body in (payload, packet, packet[:-1], IPv4Packet(SERVICE, SERVICE, 17, payload).pack()):
        services.take(EthernetFrame(start, NODE1.mac, ethertype, body).pack())
    services.take(start + payload[:7])
    assert services.mistakes == 0
    for frame in sent:
        EthernetFrame.parse(frame)


@given(MAC)
def test_hardware_addresses_are_read_back(mac: bytes) -> None:
    assert parse_mac(format_mac(mac)) == mac


@given(st.builds(EthernetFrame, MAC, MAC, st.integers(0, 65535), st.binary()))
def test_frames_are_read_back(frame: EthernetFrame) -> None:
    assert EthernetFrame.parse(frame.pack()) == frame


@given(st.builds(ArpPacket, st.just(ARP_REQUEST), MAC, ADDRESS, MAC, ADDRESS), st.binary())
def test_arp_packets_are_read_back(packet: ArpPacket, padding: bytes) -> None:
    assert ArpPacket.parse(packet.pack() + padding) == packet


@given(st.builds(IPv4Packet, ADDRESS, ADDRESS, st.integers(0, 255), st.binary()), st.binary())
def test_ip_packets_are_read_back(packet: IPv4Packet, padding: bytes) -> None:
    assert IPv4Packet.parse(packet.pack() + padding) == packet


@given(st.builds(UdpDatagram, st.integers(0, 65535), st.integers(0, 65535), st.binary()))
def test_datagrams_are_read_back(datagram: UdpDatagram) -> None:
    packed = datagram.pack(SERVICE, NODE1.address)
    assert UdpDatagram.parse(packed) == datagram
    pseudo = SERVICE.packed + NODE1.address.packed + struct.pack("!HH", 17, len(packed))
    assert checksum(pseudo + packed) == 0


@given(st.binary())
def test_the_checksum_is_the_one_of_rfc_1071(data: bytes) -> None:
    total = 0
    for high, low in zip(data[::2], (data + b"\0")[1::2], strict=False):
        total += high << 8 | low
        total = (total & 0xFFFF) + (total >> 16)
    assert checksum(data) == total ^ 0xFFFF


@given(DHCP)
def test_dhcp_messages_are_read_back(message: DhcpMessage) -> None:
    assert DhcpMessage.parse(message.pack()) == message


@given(DHCP)
def test_dhcp_gives_a_host_its_own_address_or_none(request: DhcpMessage) -> None:
    try:
        reply = DhcpServer(CONFIG).answer(request)
    except PacketError:
        return
    if reply is not None:
        assert DhcpMessage.parse(reply.pack()) == reply
        assert reply.mac == request.mac == NODE1.mac
        assert reply.your_address in (NODE1.address, NOWHERE)
        assert reply.options.get(Option.CLIENT_ID) == request.options.get(Option.CLIENT_ID)


def dhcp_reply(
    kind: Kind, options: dict[int, bytes] | None = None, client: IPv4Address = NOWHERE
) -> DhcpMessage | None:
    request = DhcpMessage(False, kind, 1, NODE1.mac, client_address=client, options=options or {})
    return DhcpServer(CONFIG).answer(request)


def dhcp_kind(*args: object) -> Kind | None:
    reply = dhcp_reply(*args)  # type: ignore[arg-type]
    return reply.kind if reply else None


def test_dhcp_requests_are_confirmed_refused_or_left_to_others() -> None:
    ours, theirs = SERVICE.packed, NODE2.address.packed
    right, wrong = NODE1.address.packed, NODE2.address.packed
    address, server = Option.REQUESTED_ADDRESS, Option.SERVER_ID
    assert dhcp_kind(Kind.REQUEST, {server: ours, address: right}) is Kind.ACK
    assert dhcp_kind(Kind.REQUEST, {server: ours, address: wrong}) is Kind.NAK
    assert dhcp_kind(Kind.REQUEST, {server: theirs, address: right}) is None
    assert dhcp_kind(Kind.REQUEST, {address: right}) is Kind.ACK  # after a restart
    assert dhcp_kind(Kind.REQUEST, {address: wrong}) is Kind.NAK
    assert dhcp_kind(Kind.REQUEST, {}, NODE1.address) is Kind.ACK  # renewal
    assert dhcp_kind(Kind.REQUEST, {}, NODE2.address) is Kind.NAK
    assert dhcp_kind(Kind.REQUEST) is Kind.NAK
    assert dhcp_kind(Kind.RELEASE, {}, NODE1.address) is None
    assert dhcp_kind(Kind.DECLINE, {address: right}) is None


def test_a_dhcp_refusal_is_broadcast_without_an_address() -> None:
    refusal = dhcp_reply(Kind.REQUEST, {}, NODE2.address)
    assert refusal is not None
    assert refusal.broadcast
    assert not int(refusal.client_address)
    assert set(refusal.options) == {Option.SERVER_ID}


def test_dhcp_inform_gets_settings_without_an_address_or_times() -> None:
    reply = dhcp_reply(Kind.INFORM, {}, IPv4Address("192.168.125.77"))
    assert reply is not None
    assert reply.kind is Kind.ACK
    assert not int(reply.your_address)
    assert Option.LEASE_TIME not in reply.options
    assert Option.ROUTER in reply.options


@given(NAME, st.integers(0, 65535), st.integers(0, 65535))
def test_dns_questions_are_read_back(name: str, rtype: int, rclass: int) -> None:
    query = DnsQuery.parse(query_bytes(name, rtype, rclass))
    assert (query.name, query.rtype, query.rclass) == (name, rtype, rclass)
    assert query.is_standard


@given(NAME, st.lists(st.binary(max_size=20), max_size=3))
def test_dns_answers_are_well_formed(name: str, records: list[bytes]) -> None:
    query = DnsQuery.parse(query_bytes(name))
    answer = build_answer(query, Rcode.NOERROR, Rtype.A, *records)
    assert answers(query, query.ident, answer)
    assert answers(query, 99, with_id(answer, 99))
    assert not answers(query, 98, answer)
    assert not answers(query, query.ident, query_bytes(name))  # a question is no answer
    assert truncated(query, answer)[12:] == query.question
    position = 12 + len(query.question)
    for record in records:
        pointer, rtype, rclass, _, size = struct.unpack_from("!HHHIH", answer, position)
        assert (pointer, rtype, rclass, size) == (0xC00C, Rtype.A, 1, len(record))
        position += 12 + size
    assert position == len(answer)


def test_a_dot_inside_a_label_does_not_make_two_labels() -> None:
    message = query_bytes("node1xlab.kutti").replace(b"node1xlab", b"node1.lab")
    assert Zone(CONFIG).answer(DnsQuery.parse(message)) is None


@pytest.mark.parametrize("label", [b"\xc0\x0c", b"\x40" + b"x" * 64, (b"\x3f" + b"x" * 63) * 4])
def test_dns_names_of_a_wrong_form_are_refused(label: bytes) -> None:
    with pytest.raises(PacketError):
        DnsQuery.parse(query_bytes("")[:12] + label + b"\0\0\x01\0\x01")
