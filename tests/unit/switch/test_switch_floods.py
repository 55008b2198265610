"""A guest that sends more than it should: the switch stays small, and the others go on."""

from __future__ import annotations

import logging
import os
import threading
from typing import TYPE_CHECKING

import psutil
import pytest
from switch_harness import NODE1, SERVICE, Guest, SwitchProcess, framed

from kutti_sdk.drivers.qemu.switch import log_limit
from kutti_sdk.drivers.qemu.switch.dhcp import DhcpMessage, Kind
from kutti_sdk.drivers.qemu.switch.ethernet import BROADCAST, EthernetFrame
from kutti_sdk.drivers.qemu.switch.ipv4 import PROTOCOL_UDP, IPv4Packet, UdpDatagram
from kutti_sdk.drivers.qemu.switch.log_limit import MOST_LINES, LogLimit

if TYPE_CHECKING:
    from collections.abc import Callable

ROOM = 24 * 1024 * 1024  # bytes; Python's own arenas are a part of it


def broadcasts() -> bytes:
    frame = EthernetFrame(BROADCAST, NODE1.mac, 0x88B5, bytes(1400))
    return framed(frame.pack()) * 200


def invented_senders() -> bytes:
    return b"".join(
        framed(EthernetFrame(NODE1.mac, b"\x02" + os.urandom(5), 0x88B5, bytes(50)).pack())
        for _ in range(2000)
    )


def questions_of_dns() -> bytes:
    name = b"\x07" + os.urandom(4).hex()[:7].encode() + b"\x07example\0"
    query = os.urandom(2) + bytes.fromhex("01000001000000000000") + name + b"\0\1\0\1"
    datagram = UdpDatagram(40000, 53, query).pack(NODE1.address, SERVICE)
    packet = IPv4Packet(NODE1.address, SERVICE, PROTOCOL_UDP, datagram).pack()
    service = bytes.fromhex("5257c0a87d01")
    return framed(EthernetFrame(service, NODE1.mac, 0x0800, packet).pack()) * 300


def dhcp_declines() -> bytes:
    request = DhcpMessage(False, Kind.DECLINE, 1, NODE1.mac).pack()
    datagram = UdpDatagram(68, 67, request).pack(NODE1.address, SERVICE)
    packet = IPv4Packet(NODE1.address, SERVICE, PROTOCOL_UDP, datagram).pack()
    service = bytes.fromhex("5257c0a87d01")
    return framed(EthernetFrame(service, NODE1.mac, 0x0800, packet).pack()) * 300


@pytest.mark.parametrize("flood", [broadcasts, invented_senders, questions_of_dns, dhcp_declines])
def test_a_flood_neither_stops_the_others_nor_fills_the_memory(
    flood: Callable[[], bytes], switch: SwitchProcess, node1: Guest, node2: Guest
) -> None:
    before = psutil.Process(switch.pid).memory_info().rss
    over = threading.Event()

    def pour() -> None:
        while not over.is_set():
            node1.send_raw(flood())

    def swallow() -> None:
        while not over.is_set():
            node1.swallow()

    threads = [threading.Thread(target=it) for it in (pour, swallow)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(20):  # each is a question to the service and its answer
            node2.heard()
        grown = psutil.Process(switch.pid).memory_info().rss - before
    finally:
        over.set()
        node1.send_raw(framed(node1.arp_request(SERVICE).pack()))  # something to swallow
        for thread in threads:
            thread.join()
    assert grown < ROOM
    assert len(switch.log().splitlines()) < MOST_LINES + 50


def test_a_guest_cannot_fill_the_disk_by_the_log(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0
    monkeypatch.setattr(log_limit.time, "monotonic", lambda: now)
    limit = LogLimit()

    def written(lines: int) -> list[str]:
        records = [logging.makeLogRecord({"msg": f"line {it}"}) for it in range(lines)]
        return [record.getMessage() for record in records if limit.filter(record)]

    assert len(written(MOST_LINES + 7)) == MOST_LINES
    now += log_limit.PERIOD_SECONDS
    assert written(2) == ["7 lines were left out; line 0", "line 1"]
    now += log_limit.PERIOD_SECONDS
    assert written(1) == ["line 0"]
