"""The processes behind a network may be killed at any time."""

from __future__ import annotations

import os
import signal

import anyio
import psutil
import pytest

import kutti_sdk as kutti
from kutti_sdk.core.status import HostStatus
from kutti_sdk.drivers.qemu import layout

pytestmark = pytest.mark.anyio


@pytest.fixture(params=["trio", pytest.param("asyncio", marks=pytest.mark.slow)])
def anyio_backend(request: pytest.FixtureRequest) -> str:
    """Run these under one backend where time counts: they take minutes."""
    return str(request.param)


async def test_killed_processes_are_noticed_and_replaced(scratch: str) -> None:
    cluster = await kutti.cluster(scratch).nodes(2, cpus=1, memory="384MiB").ensure()
    files = layout.network_files(scratch)
    node = cluster["node1"]

    # The switch: the next command starts it again, and the hosts meet again.
    os.kill(int(files.switch_pid.read_text()), signal.SIGKILL)
    assert (await node.run("ping -c 3 -W 10 node2")).ok

    # The gateway: with it go the forwards, and come again.
    port = await node.forward(0, to=8080)
    os.kill(int(files.gateway_pid.read_text()), signal.SIGKILL)
    assert (await node.run("hostname")).stdout == "node1\n"
    assert port in [forward.host_port for forward in await node.forwards()]
    assert _listens(port)

    # A host: whoever waits is told at once, and ensure() brings it back.
    async with anyio.create_task_group() as group:
        group.start_soon(_kill, files.host(scratch, "node2").pid)
        with anyio.fail_after(30):
            async for change in cluster.watch():
                if change.hostname == "node2" and change.status is HostStatus.STOPPED:
                    break
    await cluster.spec.ensure()
    assert (await cluster["node2"].run("hostname")).stdout == "node2\n"


async def test_two_clusters_with_the_same_addresses_do_not_meet(scratch: str) -> None:
    other_name = f"{scratch}-two"
    base = kutti.cluster(scratch).nodes(1, cpus=1, memory="384MiB")
    one = await base.ensure()
    two = await base.named(other_name).ensure()
    try:
        assert await one["node1"].ip_address() == await two["node1"].ip_address()
        await one["node1"].run("touch /only-one", check=True)
        assert not (await two["node1"].run("test -e /only-one")).ok
        assert await one["node1"].ssh_address() != await two["node1"].ssh_address()
        await two.delete()
        assert (await one["node1"].run("test -e /only-one")).ok
    finally:
        await two.delete()


async def _kill(pidfile: os.PathLike[str]) -> None:
    pid = int(await anyio.Path(pidfile).read_text())
    os.kill(pid, signal.SIGKILL)


def _listens(port: int) -> bool:
    return any(
        connection.laddr.port == port and connection.status == psutil.CONN_LISTEN
        for connection in psutil.net_connections("tcp4")
    )
