"""The main job: two real hosts from one line, used, stopped, started, deleted."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import anyio
import httpx
import psutil
import pytest
from privacy import listeners, open_to_others, places_of_secrets

import kutti_sdk as kutti
from kutti_sdk.core.status import HostStatus

pytestmark = pytest.mark.anyio


@pytest.fixture(params=["asyncio", pytest.param("trio", marks=pytest.mark.slow)])
def anyio_backend(request: pytest.FixtureRequest) -> str:
    """Run these under one backend where time counts: they take minutes."""
    return str(request.param)


@pytest.fixture
def careless_umask() -> Iterator[None]:
    """Have new files be everybody's, unless who makes them takes care."""
    before = os.umask(0)
    yield
    os.umask(before)


@pytest.mark.usefixtures("careless_umask")
async def test_two_hosts_live_a_whole_life(scratch: str, vm_workspace: Path) -> None:
    spec = kutti.cluster(scratch).nodes(2, cpus=1, memory="512MiB")
    cluster = await spec.ensure()

    # Both run commands, under their own names and identities.
    results = await cluster.run_all("hostname; cat /etc/machine-id; uname -r")
    assert [result.stdout.split()[0] for result in results] == ["node1", "node2"]
    assert len({result.stdout.split()[1] for result in results}) == 2

    # They know each other by name, over their own network.
    ping = await cluster["node1"].run("ping -c 1 -W 10 node2", check=True)
    assert "192.168.125.12" in ping.stdout
    ping = await cluster["node2"].run(f"ping -c 1 -W 10 node1.{scratch}.kutti", check=True)
    assert "192.168.125.11" in ping.stdout

    # The clock is right, the disk has grown, and no failed unit is left by the boot.
    checks = "date +%s; df --output=size -B1 / | tail -1; systemctl --failed --no-legend"
    now, size, *failed = (await cluster["node1"].run(checks, check=True)).stdout.split("\n")
    assert abs(int(now) - int(await _this_time())) < 60
    assert int(size) > 15 * 2**30
    assert not "".join(failed)

    # A page is fetched through a forwarded port.
    await cluster["node1"].run("mkdir /srv/www && echo hello from node1 > /srv/www/index.html")
    serve = "systemd-run --unit=www busybox httpd -f -p 8080 -h /srv/www"
    await cluster["node1"].run(serve, check=True)
    port = await cluster["node1"].forward(0, to=8080)
    assert await _page(f"http://127.0.0.1:{port}/") == "hello from node1\n"

    # No other user of this machine gets at it.
    assert open_to_others(vm_workspace, scratch) == []
    assert places_of_secrets(vm_workspace, scratch) == []
    assert listeners(vm_workspace) == {"127.0.0.1"}

    # The same line again changes nothing.
    assert not list(await spec.plan())
    pids = _qemu_processes(vm_workspace)
    await spec.ensure()
    assert _qemu_processes(vm_workspace) == pids

    # Stop and start keep the disk, the addresses and the forwards.
    await cluster.stop()
    assert [await node.status() for node in cluster] == [HostStatus.STOPPED] * 2
    assert not _qemu_processes(vm_workspace), "the gateway rests when no host runs"
    await cluster.start()
    again = await kutti.attach(scratch)
    page = await again["node1"].run("cat /srv/www/index.html", check=True)
    assert page.stdout == "hello from node1\n"
    assert port in [forward.host_port for forward in await again["node1"].forwards()]

    # Nothing is left after delete.
    await again.delete()
    assert not _qemu_processes(vm_workspace)
    assert not _switch_processes(vm_workspace)
    left = (*(vm_workspace / "run").rglob("*"), *(vm_workspace / "data").rglob(f"*{scratch}*"))
    assert not left
    with pytest.raises(kutti.ClusterNotFoundError):
        await kutti.attach(scratch)


async def _page(url: str) -> str:
    """Fetch a page from a web server that was started a moment ago."""
    with anyio.fail_after(60):
        async with httpx.AsyncClient(trust_env=False) as client:
            while True:
                try:
                    return (await client.get(url)).text
                except httpx.TransportError:
                    await anyio.sleep(0.1)


async def _this_time() -> int:
    return int((await anyio.run_process(["date", "+%s"])).stdout)


def _qemu_processes(workspace: Path) -> set[int]:
    return _processes("qemu-system", workspace)


def _switch_processes(workspace: Path) -> set[int]:
    return _processes("drivers/qemu/switch", workspace)


def _processes(mark: str, workspace: Path) -> set[int]:
    """Processes of this test's workspace whose command line has a mark."""
    found = set()
    for process in psutil.process_iter(["cmdline"]):
        line = " ".join(process.info["cmdline"] or [])
        if mark in line and str(workspace) in line:
            found.add(process.pid)
    return found


def test_a_cluster_survives_the_program_that_made_it(vm_workspace: Path) -> None:
    program = textwrap.dedent(
        f"""
        import anyio, kutti_sdk as kutti
        kutti.set_workspace({str(vm_workspace)!r})
        async def main():
            await kutti.cluster("t-survivor").nodes(1, cpus=1, memory="512MiB").ensure()
        anyio.run(main)
        """
    )

    async def attach_and_delete() -> str:
        cluster = await kutti.attach("t-survivor")
        try:
            return (await cluster["node1"].run("hostname")).stdout
        finally:
            await cluster.delete()

    subprocess.run([sys.executable, "-c", program], check=True, timeout=600)
    assert anyio.run(attach_and_delete) == "node1\n"
