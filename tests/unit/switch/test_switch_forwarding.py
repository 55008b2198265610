"""Which frame goes where, through a real switch process."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest
from switch_harness import GATEWAY, NODE3, Guest, SwitchProcess, framed

from kutti_sdk.drivers.qemu.switch.ethernet import BROADCAST
from kutti_sdk.drivers.qemu.switch.port import MAX_BACKLOG, MAX_FRAME

if TYPE_CHECKING:
    from collections.abc import Callable

    from kutti_sdk.drivers.qemu.switch.config import Lease

MULTICAST_V6 = bytes.fromhex("333300000001")
UNKNOWN = bytes.fromhex("525400abcdef")


@pytest.fixture
def node3(node2: Guest, plug: Callable[[Lease], Guest]) -> Guest:
    return plug(NODE3).accept()


def test_unicast_goes_to_its_port_once_that_is_known(
    node1: Guest, node2: Guest, node3: Guest
) -> None:
    first = node1.frame(node2.mac, b"first")
    node1.send(first)
    assert node2.receive() == first
    assert node3.receive() == first  # nobody knew yet where node2 is
    answer = node2.frame(node1.mac, b"answer")
    node2.send(answer)
    assert node1.receive() == answer
    second = node1.frame(node2.mac, b"second")
    node1.send(second)
    assert node2.receive() == second
    assert node3.heard() == []


@pytest.mark.parametrize("destination", [BROADCAST, MULTICAST_V6, UNKNOWN])
def test_the_gateway_gets_nothing_that_is_meant_for_others(
    node1: Guest, node2: Guest, gateway: Guest, destination: bytes
) -> None:
    frame = node1.frame(destination)
    node1.send(frame)
    assert node2.receive() == frame
    assert gateway.heard() == []
    assert node1.heard() == []


def test_the_gateway_gets_arp_broadcasts_and_frames_to_itself(
    node1: Guest, node2: Guest, gateway: Guest
) -> None:
    frames = [
        node1.arp_request(GATEWAY.address),
        node1.frame(GATEWAY.mac),
        node1.frame(bytes.fromhex("5255c0a87d03")),  # slirp's DNS address
    ]
    node1.send(*frames)
    assert [gateway.receive() for _ in frames] == frames
    assert node2.heard() == frames[:1]


def test_the_gateway_reaches_the_hosts(node1: Guest, node2: Guest, gateway: Guest) -> None:
    node1.heard()  # now its port is known
    frame = gateway.frame(node1.mac)
    gateway.send(frame, gateway.frame(BROADCAST))
    assert node1.receive() == frame
    assert node1.receive().destination == BROADCAST
    assert [heard.destination for heard in node2.heard()] == [BROADCAST]


def test_hosts_cannot_take_the_gateways_or_the_services_address(
    switch: SwitchProcess, node1: Guest, node2: Guest, gateway: Guest
) -> None:
    real = node1.mac
    for stolen in (GATEWAY.mac, switch.config.service_mac, BROADCAST):
        node1.mac = stolen
        node1.send(node1.frame(node2.mac), node1.frame(BROADCAST))
    node1.mac = real
    assert node1.heard() == []
    assert node2.heard() == []
    node2.send(node2.frame(GATEWAY.mac))
    assert gateway.receive().source == node2.mac


def test_frames_keep_their_order_and_content_in_any_pieces(node1: Guest, node2: Guest) -> None:
    node2.heard()
    chance = random.Random(1)
    sizes = [0, 1, 1500, MAX_FRAME - 14, *(chance.randrange(3000) for _ in range(300))]
    targets = [node2.mac, UNKNOWN, BROADCAST]
    frames = [node1.frame(chance.choice(targets), chance.randbytes(size)) for size in sizes]
    stream = b"".join(framed(frame.pack()) for frame in frames)
    position = 0
    received = []
    while position < len(stream):
        piece = chance.randrange(1, 70_000)
        node1.send_raw(stream[position : position + piece])
        position += piece
    for _ in frames:
        received.append(node2.receive())
    assert received == frames


def test_a_guest_that_does_not_read_holds_up_nobody(
    switch: SwitchProcess, node1: Guest, node2: Guest, node3: Guest
) -> None:
    for guest in (node2, node3):
        guest.heard()
    count = 6 * MAX_BACKLOG // 1500
    sent = [node1.frame(node2.mac, i.to_bytes(4) + bytes(1400)) for i in range(count)]
    for frame in sent:
        node1.send(frame)
    node1.send(hello := node1.frame(node3.mac))
    assert node3.receive() == hello
    received = node2.heard()
    assert 0 < len(received) < count  # a part was dropped, and what came came whole and in order
    numbers = [int.from_bytes(frame.payload[:4]) for frame in received]
    assert numbers == sorted(set(numbers))
    assert set(received) <= set(sent)
    switch.end()
    assert f"{count - len(received)} frames dropped" in switch.log()


@pytest.mark.parametrize("garbage", [b"\xff" * 8, (MAX_FRAME + 1).to_bytes(4)])
def test_a_port_that_breaks_the_protocol_is_closed_and_connected_again(
    node1: Guest, node2: Guest, garbage: bytes
) -> None:
    node1.send_raw(garbage)
    assert node1.hears_end()
    node1.accept()
    assert node1.heard() == []
    assert node2.heard() == []


def test_short_and_damaged_frames_are_dropped(switch: SwitchProcess, node1: Guest) -> None:
    mac = switch.config.service_mac
    chance = random.Random(2)
    for size in range(60):
        node1.send_raw(framed(chance.randbytes(size)[:13]))
        for ethertype in (b"\x08\x00", b"\x08\x06"):
            node1.send_raw(framed(mac + node1.mac + ethertype + chance.randbytes(size)))
    assert node1.heard() == []
