"""What the fabric remembers: it ages, and a guest can use up its own share alone."""

from __future__ import annotations

import socket
from dataclasses import replace
from ipaddress import IPv4Network
from typing import TYPE_CHECKING

import pytest
from switch_harness import NODE1, NODE2, framed, make_config

from kutti_sdk.drivers.qemu.switch import fabric as fabric_module
from kutti_sdk.drivers.qemu.switch.fabric import MAX_STATIONS, Fabric
from kutti_sdk.drivers.qemu.switch.guard import Guard
from kutti_sdk.drivers.qemu.switch.port import Port

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

SERVICE_MAC = bytes.fromhex("5257c0a87d01")


@pytest.fixture
def fabric(tmp_path: Path) -> Fabric:
    guard = Guard(replace(make_config(tmp_path), leases=()))
    return Fabric(IPv4Network("192.168.125.0/24"), SERVICE_MAC, guard, lambda _: False)


@pytest.fixture
def add_port(fabric: Fabric) -> Iterator[Callable[[], tuple[Port, socket.socket]]]:
    sockets: list[socket.socket] = []

    def add() -> tuple[Port, socket.socket]:
        inside, outside = socket.socketpair()
        inside.setblocking(False)
        outside.setblocking(False)
        sockets.extend((inside, outside))
        port = Port("host", inside, is_gateway=False, watch_writable=lambda _: None)
        fabric.attach(port)
        return port, outside

    yield add
    for sock in sockets:
        sock.close()


def send(fabric: Fabric, port: Port, outside: socket.socket, to: bytes, source: bytes) -> None:
    outside.send(framed(to + source + b"\x88\xb5"))
    assert fabric.receive(port)


def hears(outside: socket.socket) -> bool:
    """Whether anything came; takes it away."""
    try:
        return bool(outside.recv(65536))
    except BlockingIOError:
        return False


def empty(*outsides: socket.socket) -> None:
    for outside in outsides:
        hears(outside)


def test_a_guest_that_invents_addresses_fills_only_its_own_share(
    fabric: Fabric, add_port: Callable[[], tuple[Port, socket.socket]]
) -> None:
    (bad, bad_end), (good, good_end), (_, other_end) = add_port(), add_port(), add_port()
    for number in range(3 * MAX_STATIONS):
        send(fabric, bad, bad_end, NODE2.mac, b"\x02\0" + number.to_bytes(4))
        empty(good_end, other_end)
    assert bad.stations == MAX_STATIONS
    send(fabric, good, good_end, NODE2.mac, NODE1.mac)
    assert good.stations == 1
    empty(bad_end, other_end)
    send(fabric, bad, bad_end, NODE1.mac, b"\x02\0\0\0\0\0")
    assert hears(good_end)
    assert not hears(other_end)


def test_a_silent_address_is_forgotten(
    fabric: Fabric,
    add_port: Callable[[], tuple[Port, socket.socket]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (port, end), (_, other_end) = add_port(), add_port()
    send(fabric, port, end, NODE2.mac, NODE1.mac)
    assert port.stations == 1
    monkeypatch.setattr(fabric_module, "STATION_SECONDS", -1.0)
    fabric.expire()
    assert port.stations == 0
    assert hears(other_end)


def test_an_address_that_moves_is_followed(
    fabric: Fabric, add_port: Callable[[], tuple[Port, socket.socket]]
) -> None:
    (old, old_end), (new, new_end), (third, third_end) = add_port(), add_port(), add_port()
    send(fabric, old, old_end, third_mac := b"\x02" * 6, NODE1.mac)
    send(fabric, new, new_end, third_mac, NODE1.mac)
    empty(old_end, new_end, third_end)
    send(fabric, third, third_end, NODE1.mac, third_mac)
    assert hears(new_end)
    assert not hears(old_end)
    assert (old.stations, new.stations) == (0, 1)


def test_what_was_learned_from_a_port_goes_with_it(
    fabric: Fabric, add_port: Callable[[], tuple[Port, socket.socket]]
) -> None:
    (port, end), (other, other_end) = add_port(), add_port()
    send(fabric, port, end, NODE2.mac, NODE1.mac)
    assert hears(other_end)
    fabric.detach(port)
    assert port.stations == 0
    send(fabric, other, other_end, NODE1.mac, NODE2.mac)
    assert not hears(end)
