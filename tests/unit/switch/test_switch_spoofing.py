"""A guest that lies about who it is: the switch lets nobody speak in the name of another."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Address
from typing import TYPE_CHECKING

import pytest
from switch_harness import GATEWAY, NODE1, NODE2, NODE3, SERVICE, Guest, SwitchProcess

from kutti_sdk.drivers.qemu.switch.dhcp import DhcpMessage, Kind
from kutti_sdk.drivers.qemu.switch.ethernet import (
    ARP_REPLY,
    ARP_REQUEST,
    BROADCAST,
    ETHERTYPE_ARP,
    ETHERTYPE_IPV4,
    ArpPacket,
    EthernetFrame,
)
from kutti_sdk.drivers.qemu.switch.ipv4 import PROTOCOL_UDP, IPv4Packet, UdpDatagram

if TYPE_CHECKING:
    from collections.abc import Callable

    from kutti_sdk.drivers.qemu.switch.config import Lease

ANY, EVERYBODY = IPv4Address(0), IPv4Address("255.255.255.255")
MULTICAST = bytes.fromhex("01005e0000fb")


def arp(source: bytes, sender_mac: bytes, sender: IPv4Address, to: bytes = BROADCAST) -> bytes:
    packet = ArpPacket(ARP_REPLY, sender_mac, sender, NODE2.mac, NODE2.address)
    return EthernetFrame(to, source, ETHERTYPE_ARP, packet.pack()).pack()


def ip(source: bytes, sender: IPv4Address, to: bytes = NODE2.mac) -> bytes:
    datagram = UdpDatagram(5353, 5353, b"lie").pack(sender, NODE2.address)
    packet = IPv4Packet(sender, NODE2.address, PROTOCOL_UDP, datagram)
    return EthernetFrame(to, source, ETHERTYPE_IPV4, packet.pack()).pack()


def tagged(frame: bytes, tag: str) -> bytes:
    return frame[:12] + bytes.fromhex(tag) + frame[12:]


ODD_ARP = EthernetFrame(  # of hardware type 6, IEEE 802, which Linux takes as well
    BROADCAST, NODE1.mac, ETHERTYPE_ARP, b"\0\6" + arp(NODE1.mac, NODE1.mac, NODE3.address)[16:]
).pack()

LIES = {
    "another's hardware address": EthernetFrame(NODE2.mac, NODE3.mac, 0x88B5, b"lie").pack(),
    "another's address in ARP": arp(NODE1.mac, NODE1.mac, NODE3.address),
    "the same to one alone": arp(NODE1.mac, NODE1.mac, NODE3.address, to=NODE2.mac),
    "the gateway's address in ARP": arp(NODE1.mac, NODE1.mac, GATEWAY.address),
    "the service's address in ARP": arp(NODE1.mac, NODE1.mac, SERVICE),
    "another's hardware address inside of ARP": arp(NODE1.mac, NODE3.mac, NODE1.address),
    "ARP of an odd kind": ODD_ARP,
    "another's address in IPv4": ip(NODE1.mac, NODE3.address),
    "the gateway's address in IPv4": ip(NODE1.mac, GATEWAY.address),
    "the service's address in IPv4": ip(NODE1.mac, SERVICE),
    "another's address in IPv4 to everybody": ip(NODE1.mac, NODE3.address, to=BROADCAST),
    "another's address in IPv4 to a group": ip(NODE1.mac, NODE3.address, to=MULTICAST),
    "ARP under a tag that says nothing": tagged(
        arp(NODE1.mac, NODE1.mac, NODE3.address), "8100e000"
    ),
    "IPv4 under two tags that say nothing": tagged(
        tagged(ip(NODE1.mac, NODE3.address), "81000000"), "88a80000"
    ),
}


@pytest.fixture
def node3(
    switch: SwitchProcess, node1: Guest, plug: Callable[[Lease], Guest], node2: Guest
) -> Guest:
    switch.save(leases=(NODE1, NODE2, NODE3))
    switch.reload("configuration read again")
    return plug(NODE3).accept()


@pytest.mark.parametrize("lie", LIES)
def test_a_lie_about_the_sender_reaches_nobody(
    lie: str, node1: Guest, node2: Guest, node3: Guest
) -> None:
    node1.send(EthernetFrame.parse(LIES[lie]))
    assert node1.heard() == node2.heard() == node3.heard() == []


def test_frames_of_a_lie_between_true_ones_are_left_out(node1: Guest, node2: Guest) -> None:
    truth, lie = ip(NODE1.mac, NODE1.address), ip(NODE1.mac, GATEWAY.address)
    node1.send(*map(EthernetFrame.parse, (truth, truth, lie, lie, truth, lie, truth)))
    node1.heard()
    assert [frame.pack() for frame in node2.heard()] == [truth] * 4


@pytest.mark.parametrize("sender", ["10.244.1.7", "192.168.125.200", "0.0.0.0", "172.17.0.2"])
def test_an_address_of_nobody_may_be_used(sender: str, node1: Guest, node2: Guest) -> None:
    frames = [
        ip(NODE1.mac, IPv4Address(sender)),
        arp(NODE1.mac, NODE1.mac, IPv4Address(sender), to=NODE2.mac),
        tagged(ip(NODE1.mac, NODE2.address), "81000007"),  # a virtual LAN of the guests' own
        EthernetFrame(NODE2.mac, bytes.fromhex("02aabbccddee"), 0x88B5, b"a machine in it").pack(),
    ]
    node1.send(*map(EthernetFrame.parse, frames))
    node1.heard()
    assert [frame.pack() for frame in node2.heard()] == frames


def test_the_gateway_brings_packets_from_anywhere(node1: Guest, gateway: Guest) -> None:
    datagram = UdpDatagram(53, 53, b"answer").pack(IPv4Address("192.0.2.1"), NODE1.address)
    packet = IPv4Packet(IPv4Address("192.0.2.1"), NODE1.address, PROTOCOL_UDP, datagram)
    frame = EthernetFrame(NODE1.mac, GATEWAY.mac, ETHERTYPE_IPV4, packet.pack())
    gateway.send(frame)
    assert node1.receive() == frame


def test_an_address_is_guarded_from_the_moment_that_it_is_given(
    switch: SwitchProcess, node1: Guest, node2: Guest
) -> None:
    claim = EthernetFrame.parse(arp(NODE1.mac, NODE1.mac, NODE3.address, to=NODE2.mac))
    node1.send(claim)
    assert node2.receive() == claim
    switch.save(leases=(*switch.config.leases, NODE3))
    switch.reload("configuration read again")
    node1.send(claim)
    node1.heard()
    assert node2.heard() == []


def test_a_host_cannot_have_what_is_meant_for_another_sent_to_itself(
    node1: Guest, node2: Guest, node3: Guest
) -> None:
    node3.heard()  # the switch knows now where it is
    node1.send(EthernetFrame(BROADCAST, NODE3.mac, 0x88B5, b"I am node3"))
    node1.heard()
    node2.heard()
    secret = node2.frame(NODE3.mac, b"secret")
    node2.send(secret)
    assert secret in node3.heard()
    assert secret not in node1.heard()


def test_a_rogue_dhcp_server_neither_hears_requests_nor_speaks_as_the_real_one(
    switch: SwitchProcess, node1: Guest, node2: Guest
) -> None:
    request = DhcpMessage(False, Kind.DISCOVER, 0x12345678, NODE2.mac).pack()
    datagram = UdpDatagram(68, 67, request).pack(ANY, EVERYBODY)
    node2.send(node2.ip_frame(BROADCAST, IPv4Packet(ANY, EVERYBODY, PROTOCOL_UDP, datagram)))
    assert node2.receive().source == switch.config.service_mac
    assert node1.heard() == []  # so that it does not know the transaction's number
    offer = UdpDatagram(67, 68, b"offer").pack(SERVICE, NODE2.address)
    node1.send(node1.ip_frame(NODE2.mac, IPv4Packet(SERVICE, NODE2.address, 17, offer)))
    node1.heard()
    assert node2.heard() == []


def test_a_rogue_dns_server_neither_hears_questions_nor_speaks_as_the_real_one(
    switch: SwitchProcess, node1: Guest, node2: Guest
) -> None:
    question = bytes.fromhex("00010100000100000000000005") + b"node1" + bytes.fromhex("0000010001")
    node2.ask_udp(switch.config.service_mac, 53, question)
    assert node1.heard() == []
    answer = UdpDatagram(53, 40000, question).pack(SERVICE, NODE2.address)
    node1.send(node1.ip_frame(NODE2.mac, IPv4Packet(SERVICE, NODE2.address, 17, answer)))
    node1.heard()
    assert node2.heard() == []


def test_an_asker_that_lies_is_not_answered(node1: Guest, node2: Guest) -> None:
    packet = ArpPacket(ARP_REQUEST, NODE2.mac, NODE2.address, bytes(6), SERVICE)
    node1.send(EthernetFrame(BROADCAST, NODE1.mac, ETHERTYPE_ARP, packet.pack()))
    node1.send(replace(EthernetFrame.parse(ip(NODE1.mac, NODE2.address)), destination=BROADCAST))
    assert node1.heard() == []
    assert node2.heard() == []
