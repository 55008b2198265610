"""The life of the switch process: start, reload, loss of its neighbours, end."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from typing import TYPE_CHECKING

from switch_harness import (
    GATEWAY,
    NODE1,
    NODE2,
    NODE3,
    Guest,
    SwitchProcess,
    is_running,
    wait_until,
)

from kutti_sdk.drivers.qemu.switch import (
    EXIT_ALREADY_RUNNING,
    EXIT_BAD_CONFIG,
    EXIT_FAILED,
    EXIT_USAGE,
    command,
)
from kutti_sdk.drivers.qemu.switch.dns import Rtype

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from kutti_sdk.drivers.qemu.switch.config import Lease


def test_it_is_ready_when_the_command_returns(switch: SwitchProcess, node1: Guest) -> None:
    assert switch.alive
    assert node1.heard() == []
    assert switch.pidfile.stat().st_mode & 0o777 == 0o600
    assert switch.config.log.stat().st_mode & 0o777 == 0o600


def test_it_lives_in_its_own_session(switch: SwitchProcess, node1: Guest) -> None:
    assert os.getsid(switch.pid) == switch.pid != os.getsid(0)


def test_a_second_one_is_refused(switch: SwitchProcess, node1: Guest) -> None:
    pid = switch.pid
    second = switch.launch()
    assert second.returncode == EXIT_ALREADY_RUNNING
    assert f"running as pid {pid}" in second.stderr
    assert switch.pid == pid
    assert node1.heard() == []


def test_sigterm_ends_it_and_removes_the_pid_file(switch: SwitchProcess, node1: Guest) -> None:
    switch.end(signal.SIGTERM)
    assert not switch.pidfile.exists()
    assert node1.hears_end()


def test_it_ends_when_the_folder_of_its_ports_is_gone(switch: SwitchProcess, node1: Guest) -> None:
    pid = switch.pid
    shutil.rmtree(switch.config.ports_dir)
    wait_until(lambda: not is_running(pid), "the switch ended by itself")
    assert not switch.pidfile.exists()


def test_kill_9_leaves_nothing_that_stands_in_the_way(
    switch: SwitchProcess, node1: Guest, gateway: Guest
) -> None:
    switch.end(signal.SIGKILL)
    assert switch.pidfile.exists()
    switch.start()
    node1.accept()
    gateway.accept()
    node1.send(node1.frame(GATEWAY.mac))
    assert gateway.receive().source == node1.mac


def test_a_restarted_host_is_connected_again(
    switch: SwitchProcess, node1: Guest, node2: Guest, plug: Callable[[Lease], Guest]
) -> None:
    node2.heard()
    node2.close()
    wait_until(lambda: "node2: disconnected" in switch.log(), "node2 is gone")
    again = plug(NODE2).accept()
    node1.send(frame := node1.frame(NODE2.mac))
    assert again.receive() == frame


def test_a_restarted_gateway_is_connected_again(
    switch: SwitchProcess, node1: Guest, gateway: Guest, plug: Callable[[Lease], Guest]
) -> None:
    gateway.close()
    wait_until(lambda: "gateway: disconnected" in switch.log(), "the gateway is gone")
    node1.send(node1.frame(GATEWAY.mac))  # lost, and no harm done
    assert node1.heard() == []
    again = plug(GATEWAY).accept()
    node1.send(frame := node1.frame(GATEWAY.mac, b"second"))
    assert again.receive() == frame


def test_sighup_brings_new_leases_and_ports(
    switch: SwitchProcess, node1: Guest, plug: Callable[[Lease], Guest]
) -> None:
    node3 = plug(NODE3)
    switch.save(leases=(NODE1, NODE3))
    switch.reload("configuration read again: 2 leases")
    node3.accept()
    query = b"\0\x01\x01\0\0\x01\0\0\0\0\0\0\x05node3\0\0" + bytes([Rtype.A]) + b"\0\x01"
    answer = node3.ask_udp(switch.config.service_mac, 53, query)
    assert answer.endswith(NODE3.address.packed)


def test_a_bad_file_at_sighup_is_logged_and_changes_nothing(
    switch: SwitchProcess, node1: Guest
) -> None:
    good = switch.config_path.read_text()
    switch.config_path.write_text("{")
    switch.reload("going on with the old configuration")
    switch.config_path.write_text(good.replace("192.168.125.", "192.168.126."))
    switch.reload("only hosts and domain can change")
    assert node1.heard() == []


def test_a_bad_file_at_start_is_named(switch: SwitchProcess) -> None:
    switch.config_path.write_text('{"network": "lab"}')
    result = switch.launch()
    assert result.returncode == EXIT_BAD_CONFIG
    assert result.stderr == f"switch: {switch.config_path}: cidr: must be a text and not empty\n"
    assert not switch.pidfile.exists()


def test_what_cannot_be_opened_is_named(switch: SwitchProcess, folder: Path) -> None:
    switch.save(log=folder / "nowhere" / "log")
    result = switch.launch()
    assert result.returncode == EXIT_FAILED
    assert "nowhere" in result.stderr
    switch.save(log=folder / "switch.log", ports_dir=folder / "no-ports")
    result = switch.launch()
    assert result.returncode == EXIT_FAILED
    assert "no-ports" in result.stderr
    assert not switch.pidfile.exists()


def test_wrong_arguments_have_their_own_exit_code(switch: SwitchProcess) -> None:
    without_pidfile = command(switch.config_path, switch.pidfile)[:-2]
    result = subprocess.run(without_pidfile, capture_output=True, text=True, check=False)
    assert result.returncode == EXIT_USAGE
    assert "--pidfile" in result.stderr
