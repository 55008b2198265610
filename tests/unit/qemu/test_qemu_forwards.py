"""Forwarded ports: what QEMU says about them, and what it has yet to be told."""

from __future__ import annotations

import socket
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import kutti_sdk as kutti
from kutti_sdk.core.ports import LOOPBACK, PortForward
from kutti_sdk.drivers.qemu import forwards
from kutti_sdk.drivers.qemu.binaries import find_qemu
from kutti_sdk.drivers.qemu.forwards import begin_change, free_port, parse_forwards, settle
from kutti_sdk.drivers.qemu.network import create_network
from kutti_sdk.drivers.qemu.records import load_network
from kutti_sdk.drivers.qemu.services import ensure_services, gateway_identity, stop_services

# As QEMU 7.2 prints it.
_ANSWER = """\
Hub 0 (u0):
  Protocol[State]    FD  Source Address  Port   Dest. Address  Port RecvQ SendQ
  TCP[ESTABLISHED]   20       127.0.0.1  2222  192.168.125.11    22     0     0
  TCP[HOST_FORWARD]  13       127.0.0.1 40123  192.168.125.11    22     0     0
  TCP[HOST_FORWARD]  14               *  8080  192.168.125.12    80     0     0
  UDP[236 sec]       16  192.168.125.11 51234  192.168.125.3     53     0     0
"""


def test_forwards_are_found_among_connections() -> None:
    assert parse_forwards(_ANSWER) == {
        (PortForward(40123, 22, "127.0.0.1"), "192.168.125.11"),
        (PortForward(8080, 80, "0.0.0.0"), "192.168.125.12"),
    }


@given(st.text())
def test_whatever_qemu_says_is_read(text: str) -> None:
    assert parse_forwards(text) == set()


@given(st.integers(1, 65535), st.integers(1, 65535))
def test_every_port_is_read_back(host_port: int, vm_port: int) -> None:
    line = f"  TCP[HOST_FORWARD]  13 127.0.0.1 {host_port}  10.0.0.11 {vm_port} 0 0\n"
    assert parse_forwards(line) == {(PortForward(host_port, vm_port), "10.0.0.11")}


@pytest.mark.anyio
async def test_a_change_that_nobody_told_the_gateway_is_told_by_the_next(workspace: Path) -> None:
    await create_network("lab", "10.20.30.0/24")
    network = await load_network("lab")
    await begin_change(network)
    await settle()
    assert not network.files.forwards_pending.exists()


def _is_bound_by_nobody(path: Path) -> None:
    path.unlink()
    with socket.socket(socket.AF_UNIX) as former:
        former.bind(str(path))


@pytest.mark.anyio
@pytest.mark.usefixtures("workspace")
@pytest.mark.parametrize("happens_to", [Path.unlink, _is_bound_by_nobody])
async def test_a_gateway_that_nobody_can_reach_is_ended(
    happens_to: Callable[[Path], None],
) -> None:
    await create_network("lab", "10.20.30.0/24")
    network = await load_network("lab")
    try:
        await ensure_services(await find_qemu(), network, [])
        happens_to(network.sockets.gateway_monitor)
        await begin_change(network)
        await settle()
        assert not network.files.forwards_pending.exists()
        assert gateway_identity(network) is None
    finally:
        await stop_services(network)


def test_a_port_of_our_choice_is_none_that_systems_lend_to_connections() -> None:
    ports = {free_port(LOOPBACK, set()) for _ in range(20)}
    assert max(ports) < 32768
    assert len(ports) > 1


def test_a_port_that_is_taken_is_not_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    first = free_port(LOOPBACK, set())
    monkeypatch.setattr(forwards, "_ANY_PORTS", range(first, first + 2))
    with socket.create_server((LOOPBACK, first)):
        assert free_port(LOOPBACK, set()) == first + 1
        with pytest.raises(kutti.PortInUseError, match="all ports"):
            free_port(LOOPBACK, {first + 1})
