"""Killed at random times while a real system starts: it is reached in the end, its files whole.

Killed is who starts it, and every other time its QEMU with it, as when the power fails.
"""

from __future__ import annotations

import os
import random
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import anyio
import pytest
from leftovers import assert_soon_none, processes_of
from pretended_agent import environment
from share import all_is_tried
from torture_records import Record, recorded

import kutti_sdk as kutti
from kutti_sdk.clusters.cluster import Cluster
from kutti_sdk.clusters.spec import ClusterSpec
from kutti_sdk.drivers.qemu import layout, lifecycle, records

pytestmark = [pytest.mark.anyio, pytest.mark.vm, pytest.mark.slow]

NAME = "t-killed"
TRIES = 20 if all_is_tried() else 2
BOOTS, GOES_ON = 40.0, 10.0  # seconds in which a host is reached on a busy machine

SPEC = kutti.cluster(NAME).nodes(1, cpus=1, memory="384MiB")
ENSURE = f"""
import anyio
import kutti_sdk as kutti
anyio.run(kutti.cluster("{NAME}").nodes(1, cpus=1, memory="384MiB")%s.ensure)
"""


@pytest.fixture
def anyio_backend() -> str:
    """Under one backend: the other takes minutes more."""
    return "asyncio"


@pytest.fixture
async def image(vm_workspace: Path) -> AsyncIterator[kutti.VMImage]:
    """The node image, without templates and without a cluster before and after."""
    image = await kutti.get_driver("qemu").get_image("none")
    await image.cool_down()
    yield image
    with anyio.CancelScope(shield=True):
        await Cluster(SPEC).delete()
        await image.cool_down()
    assert_soon_none(lambda: processes_of(layout.network_files(NAME).folder), "processes")


async def test_a_host_that_boots_has_its_files(vm_workspace: Path, image: kutti.VMImage) -> None:
    when, record = _tries("ensure of a host that boots")
    with recorded(record):
        for number in range(TRIES):
            delay = when.uniform(0.0, BOOTS)
            with record.trial(f"{number}, after {delay:.1f} s"):
                await _ensure_and_be_killed(vm_workspace, ENSURE % ".cold()", delay)
                await _pull_the_plug_every_other_time(number)
                await _use(SPEC.cold(), number)


async def test_a_host_that_goes_on_from_a_template_has_its_files(
    vm_workspace: Path, image: kutti.VMImage
) -> None:
    await image.warm_up(cpus=1, memory="384MiB")
    when, record = _tries("ensure of a host that goes on from a template")
    with recorded(record):
        for number in range(TRIES):
            delay = when.uniform(0.0, GOES_ON)
            with record.trial(f"{number}, after {delay:.1f} s"):
                await _ensure_and_be_killed(vm_workspace, ENSURE % "", delay)
                await _pull_the_plug_every_other_time(number)
                await _use(SPEC, 0)
                await _use(SPEC, 1)
                await Cluster(SPEC).delete()  # it goes on at its first start only


def _tries(operation: str) -> tuple[random.Random, Record]:
    return random.Random(7), Record("kill -9", operation, "qemu", every=0)


async def _ensure_and_be_killed(workspace: Path, program: str, delay: float) -> None:
    command, env = [sys.executable, "-c", program], environment(KUTTI_WORKSPACE=str(workspace))
    async with await anyio.open_process(command, stdout=None, stderr=None, env=env) as process:
        with anyio.move_on_after(delay):
            await process.wait()
        if process.returncode is None:
            process.kill()


async def _use(spec: ClusterSpec, number: int) -> None:
    """Reach the host, see that all is there that was written before, write, and pull the plug."""
    for left in await kutti.list_clusters():
        await (await kutti.attach(left.name)).status()
    node = (await spec.ensure())["node1"]
    kept = await node.run("cat /kept /sys/fs/ext4/*/errors_count")
    assert kept.stdout.split() == [*map(str, range(number)), "0"]
    await node.run(f"echo {number} >>/kept && sync", check=True)
    await _pull_the_plug()


async def _pull_the_plug_every_other_time(number: int) -> None:
    if number % 2:
        await _pull_the_plug()


async def _pull_the_plug() -> None:
    for host in await records.load_hosts(NAME):
        identity = lifecycle.host_process(host)
        if identity is not None:
            os.kill(identity.pid, signal.SIGKILL)
