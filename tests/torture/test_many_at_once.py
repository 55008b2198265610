"""Many processes at once: nothing is lost, no port is given twice, reading never waits."""

from __future__ import annotations

import sys
from collections import Counter
from functools import partial
from itertools import chain
from pathlib import Path

import anyio
import pytest
from leftovers import assert_clean, files_below
from pretended_agent import environment
from share import all_is_tried
from torture_records import Record, recorded
from tortured_operations import Lab

import kutti_sdk as kutti
from kutti_sdk.clusters.cluster import Cluster
from kutti_sdk.clusters.store import cluster_lock
from kutti_sdk.drivers.qemu import layout
from kutti_sdk.runtime.locks import locked
from kutti_sdk.runtime.tasks import run_all

pytestmark = [pytest.mark.anyio, pytest.mark.vm]

MEMBERS = 8
SECONDS = 180 if all_is_tried() else 5


@pytest.fixture
def anyio_backend() -> str:
    """Under one backend: what is tried goes on between processes."""
    return "asyncio"


async def test_many_work_on_the_same_clusters(qemu_lab: Lab, workspace: Path) -> None:
    await qemu_lab.spec.ensure()
    await qemu_lab.cluster.delete()
    before = files_below(workspace)
    program = Path(__file__).with_name("crowd_member.py")
    image_list = qemu_lab.image_file.with_name("images.json")
    record = Record(f"{MEMBERS} processes at once", "all of these", "qemu")

    async def member(number: int) -> list[str]:
        argv = [sys.executable, str(program), str(workspace), str(image_list)]
        argv += [str(number), str(SECONDS)]
        ended = await anyio.run_process(argv, stderr=None, check=False, env=environment())
        did = ended.stdout.decode().splitlines()
        record.tried += len(did) + (ended.returncode != 0)
        record.survived += len(did)
        assert ended.returncode == 0, f"member {number} failed after {len(did)} things, see above"
        return did

    with recorded(record):
        did = await run_all(*(partial(member, number) for number in range(MEMBERS)))
    done = Counter(chain.from_iterable(did))
    assert done["forward shared"] > MEMBERS, "they did get something done"
    for name in ("shared", "passing"):
        await Cluster(qemu_lab.spec.named(name)).delete()
    assert_clean(workspace, before)


async def test_reading_waits_for_no_lock(qemu_lab: Lab) -> None:
    await qemu_lab.spec.ensure()
    network = layout.network_files("lab")
    with anyio.fail_after(30):
        async with cluster_lock("lab"), locked(network.lock), locked(layout.ports_lock()):
            found = await kutti.attach("lab", driver=qemu_lab.driver)
            assert (await found.status()).running
            assert not await found.spec.plan()
            assert [it.name for it in await kutti.list_clusters()] == ["lab"]
            assert len(await qemu_lab.driver.list_hosts()) == len(found)
