from __future__ import annotations

import shutil
import signal
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from switch_harness import GATEWAY, NODE1, NODE2, Guest, SwitchProcess

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from kutti_sdk.drivers.qemu.switch.config import Lease


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder with a path that is short enough for unix sockets, unlike pytest's."""
    path = Path(tempfile.mkdtemp(prefix="switch-"))
    yield path
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture
def switch(folder: Path) -> Iterator[SwitchProcess]:
    """A switch that is not started yet, and surely ended in the end."""
    process = SwitchProcess(folder)
    yield process
    process.end(signal.SIGKILL)


@pytest.fixture
def plug(switch: SwitchProcess) -> Iterator[Callable[[Lease], Guest]]:
    """Make the QEMU end of a host's port, or of the gateway's."""
    guests: list[Guest] = []

    def listen(lease: Lease) -> Guest:
        config = switch.config
        is_gateway = lease is GATEWAY
        path = config.gateway_socket if is_gateway else config.ports_dir / f"{lease.hostname}.sock"
        guests.append(Guest(path, lease))
        return guests[-1]

    yield listen
    for guest in guests:
        guest.close()


@pytest.fixture
def node1(switch: SwitchProcess, plug: Callable[[Lease], Guest]) -> Guest:
    """A host on a running switch."""
    guest = plug(NODE1)
    switch.start()
    return guest.accept()


@pytest.fixture
def node2(switch: SwitchProcess, node1: Guest, plug: Callable[[Lease], Guest]) -> Guest:
    return plug(NODE2).accept()


@pytest.fixture
def gateway(switch: SwitchProcess, node1: Guest, plug: Callable[[Lease], Guest]) -> Guest:
    return plug(GATEWAY).accept()
