"""The first log-in of the QEMU driver, against a real SSH server that is no host of it.

The script that would be run is harmless here, because this machine would run it.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import anyio
import pytest
from ssh_harness import Server, eventually

from kutti_sdk.core.errors import HostKeyMismatchError, SSHAuthenticationError
from kutti_sdk.core.events import ProgressEvent, observe
from kutti_sdk.core.host import HostSize
from kutti_sdk.core.ssh import SSHCredentials
from kutti_sdk.drivers.qemu import layout
from kutti_sdk.drivers.qemu.enrolment import EnrollingSSHClient
from kutti_sdk.drivers.qemu.records import HostRecord, NetworkRecord
from kutti_sdk.runtime import state
from kutti_sdk.ssh.keys import generate_host_key

pytestmark = pytest.mark.anyio


@pytest.fixture
async def record(workspace: Path, tmp_path: Path) -> HostRecord:
    """A host that is to be enrolled by a script that leaves a file."""
    network = NetworkRecord(name="lab", cidr="10.20.30.0/24", id="0badcafe")
    host = HostRecord(
        name="node1",
        networkname="lab",
        clustername="lab",
        k8s_version="none",
        image="a" * 64,
        uuid="12345678-1234-4234-8234-123456789abc",
        mac="52:54:0a:14:1e:0b",
        address="10.20.30.11",
        size=HostSize(),
        ssh_user="root",
        host_key="ssh-ed25519 AAAA",
    )
    host.files.folder.mkdir(parents=True)
    layout.make_socket_folders(network.sockets)
    await state.save(network.files.record, network)
    host.files.enrolment.write_text(f"touch {tmp_path / 'was-run'}\n")
    return host


async def wait_for(server: Server, record: HostRecord, credentials: SSHCredentials) -> list[str]:
    """Wait for a host; tell the phases of the first log-in."""
    events: list[ProgressEvent] = []
    client = EnrollingSSHClient(credentials, record)
    try:
        with observe(events.append):
            await client.wait_until_ready(server.address)
    finally:
        await client.aclose()
        await eventually(lambda: not server.sessions())
    return [event.phase for event in events]


async def test_a_host_that_shows_its_own_key_is_left_as_it_is(
    sshd: Server, record: HostRecord, tmp_path: Path
) -> None:
    assert await wait_for(sshd, record, sshd.credentials) == []
    assert not record.files.enrolment.exists(), "no password is used for it from now on"
    assert not (tmp_path / "was-run").exists()


async def test_another_machine_is_not_set_up(
    sshd: Server, record: HostRecord, tmp_path: Path
) -> None:
    expected = replace(sshd.credentials, host_key=generate_host_key().public_line)
    # Where an ordinary user runs the tests, that user's server does not even let root in.
    with pytest.raises((HostKeyMismatchError, SSHAuthenticationError)):
        await wait_for(sshd, record, expected)
    assert record.files.enrolment.exists()
    assert not (tmp_path / "was-run").exists()


async def test_a_host_that_was_enrolled_is_never_enrolled_again(
    sshd: Server, record: HostRecord
) -> None:
    record.files.enrolment.unlink()
    stranger = replace(sshd.credentials, host_key=generate_host_key().public_line)
    with anyio.fail_after(20):
        assert await wait_for(sshd, record, stranger) == []
