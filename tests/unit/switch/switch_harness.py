"""A real switch process with real unix sockets in the places of QEMU's."""

from __future__ import annotations

import os
import signal
import socket
import struct
import subprocess
import time
from dataclasses import replace
from ipaddress import IPv4Address, IPv4Network
from typing import TYPE_CHECKING

import psutil

from kutti_sdk.drivers.qemu.switch import command
from kutti_sdk.drivers.qemu.switch.config import Lease, SwitchConfig
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
    from pathlib import Path

PATIENCE = 30.0  # seconds; a stuck test fails, a slow machine does not

NODE1 = Lease("node1", bytes.fromhex("525400000001"), IPv4Address("192.168.125.11"), "node1")
NODE2 = Lease("node2", bytes.fromhex("525400000002"), IPv4Address("192.168.125.12"), "node2")
NODE3 = Lease("node3", bytes.fromhex("525400000003"), IPv4Address("192.168.125.13"), "node3")
GATEWAY = Lease("gateway", bytes.fromhex("5255c0a87d02"), IPv4Address("192.168.125.2"), "gateway")
SERVICE = IPv4Address("192.168.125.1")


def make_config(folder: Path) -> SwitchConfig:
    return SwitchConfig(
        network="lab",
        cidr=IPv4Network("192.168.125.0/24"),
        ports_dir=folder / "ports",
        gateway_socket=folder / "gateway.sock",
        gateway_address=GATEWAY.address,
        service_address=SERVICE,
        domain="lab.kutti",
        log=folder / "switch.log",
        leases=(NODE1, NODE2),
        consoles=(folder / "console.log",),
        resolv_conf=folder / "resolv.conf",
    )


def wait_until(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, f"still not: {what}"
        time.sleep(0.01)


class SwitchProcess:
    """Starts and stops the switch of one folder, by its own command line."""

    def __init__(self, folder: Path) -> None:
        self.config = make_config(folder)
        self.config.ports_dir.mkdir()
        self.config_path = folder / "switch.json"
        self.pidfile = folder / "switch.pid"
        self.save()

    def save(self, **changes: object) -> None:
        self.config = replace(self.config, **changes)  # type: ignore[arg-type]
        self.config_path.write_text(self.config.to_json())

    def launch(self) -> subprocess.CompletedProcess[str]:
        argv = command(self.config_path, self.pidfile)
        return subprocess.run(argv, capture_output=True, text=True, timeout=PATIENCE, check=False)

    def start(self) -> None:
        result = self.launch()
        assert result.returncode == 0, result.stderr

    @property
    def pid(self) -> int:
        return int(self.pidfile.read_text())

    @property
    def alive(self) -> bool:
        return self.pidfile.exists() and is_running(self.pid)

    def log(self) -> str:
        return self.config.log.read_text()

    def reload(self, expected_log: str) -> None:
        before = self.log().count(expected_log)
        os.kill(self.pid, signal.SIGHUP)
        wait_until(lambda: self.log().count(expected_log) > before, f"log has {expected_log!r}")

    def end(self, number: signal.Signals = signal.SIGTERM) -> None:
        """End the switch and wait until it is gone; the lock is free only then."""
        if not self.alive:
            return
        pid = self.pid
        os.kill(pid, number)
        wait_until(lambda: not is_running(pid), "the switch ended")


def is_running(pid: int) -> bool:
    """Whether a process exists and is more than a zombie that nobody collected yet."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


class Guest:
    """QEMU's end of one port: it listens, and the switch connects."""

    def __init__(self, path: Path, lease: Lease) -> None:
        self.path = path
        self.mac = lease.mac
        self.address = lease.address
        self._connection: socket.socket | None = None
        path.unlink(missing_ok=True)
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(path))
        self._listener.listen(1)
        self._listener.settimeout(PATIENCE)

    def accept(self) -> Guest:
        if self._connection is not None:
            self._connection.close()
        self._connection, _ = self._listener.accept()
        self._connection.settimeout(PATIENCE)
        return self

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
        self._listener.close()

    def send_raw(self, data: bytes) -> None:
        assert self._connection is not None
        self._connection.sendall(data)

    def send(self, *frames: EthernetFrame) -> None:
        self.send_raw(b"".join(framed(frame.pack()) for frame in frames))

    def swallow(self) -> None:
        """Take whatever there is, so that this guest is not one that does not read."""
        assert self._connection is not None
        self._connection.recv(1024 * 1024)

    def receive(self) -> EthernetFrame:
        (length,) = struct.unpack("!I", self._read(4))
        return EthernetFrame.parse(self._read(length))

    def hears_end(self) -> bool:
        assert self._connection is not None
        return self._connection.recv(1) == b""

    def heard(self) -> list[EthernetFrame]:
        """Everything that was sent to this guest before a question to the service came back."""
        self.send(self.arp_request(SERVICE))
        frames = []
        while not is_arp_reply_from_service(frame := self.receive()):
            frames.append(frame)
        return frames

    def frame(self, destination: bytes, payload: bytes = b"hello") -> EthernetFrame:
        return EthernetFrame(destination, self.mac, 0x88B5, payload)

    def arp_request(self, address: IPv4Address) -> EthernetFrame:
        packet = ArpPacket(ARP_REQUEST, self.mac, self.address, bytes(6), address)
        return EthernetFrame(BROADCAST, self.mac, ETHERTYPE_ARP, packet.pack())

    def ip_frame(self, mac: bytes, packet: IPv4Packet) -> EthernetFrame:
        return EthernetFrame(mac, self.mac, ETHERTYPE_IPV4, packet.pack())

    def ask_udp(self, service_mac: bytes, port: int, payload: bytes) -> bytes:
        """Send a datagram to the service and return the payload of the answer."""
        datagram = UdpDatagram(40000, port, payload).pack(self.address, SERVICE)
        packet = IPv4Packet(self.address, SERVICE, PROTOCOL_UDP, datagram)
        self.send(self.ip_frame(service_mac, packet))
        answer = IPv4Packet.parse(self.receive().payload)
        assert (answer.source, answer.destination) == (SERVICE, self.address)
        reply = UdpDatagram.parse(answer.payload)
        assert (reply.source_port, reply.destination_port) == (port, 40000)
        return reply.payload

    def _read(self, size: int) -> bytes:
        assert self._connection is not None
        data = b""
        while len(data) < size:
            piece = self._connection.recv(size - len(data))
            assert piece, "the switch closed the connection"
            data += piece
        return data


def framed(data: bytes) -> bytes:
    return struct.pack("!I", len(data)) + data


def is_arp_reply_from_service(frame: EthernetFrame) -> bool:
    if frame.ethertype != ETHERTYPE_ARP:
        return False
    packet = ArpPacket.parse(frame.payload)
    return packet.operation == ARP_REPLY and packet.sender_address == SERVICE
