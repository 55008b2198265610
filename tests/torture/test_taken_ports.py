"""A program of somebody else listens on a forwarded port: told, and nothing else is done."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest
from leftovers import assert_clean, files_below
from tortured_operations import Lab, delete, ensure_and_delete

import kutti_sdk as kutti

pytestmark = [pytest.mark.anyio, pytest.mark.vm]


@pytest.fixture
def anyio_backend() -> str:
    """Under one backend: what is tried is another program."""
    return "asyncio"


def listen_on_the_port_of(lab: Lab) -> socket.socket:
    (forward,) = lab.spec.forwards
    return socket.create_server(("127.0.0.1", forward.forward.host_port))


async def test_nothing_is_made_while_the_port_is_taken(qemu_lab: Lab, workspace: Path) -> None:
    await ensure_and_delete(qemu_lab)
    before = files_below(workspace)
    with listen_on_the_port_of(qemu_lab), pytest.raises(kutti.PortInUseError) as refused:
        await qemu_lab.spec.ensure()
    assert refused.value.hint
    assert_clean(workspace, before)
    await ensure_and_delete(qemu_lab)


async def test_a_port_that_is_taken_between_stop_and_start_is_told(qemu_lab: Lab) -> None:
    cluster = await qemu_lab.spec.ensure()
    await cluster.force_stop()
    for begin in (cluster.start, qemu_lab.spec.ensure):
        with listen_on_the_port_of(qemu_lab), pytest.raises(kutti.PortInUseError) as refused:
            await begin()
        assert refused.value.hint
    await ensure_and_delete(qemu_lab)
    with listen_on_the_port_of(qemu_lab):
        await delete(qemu_lab)
