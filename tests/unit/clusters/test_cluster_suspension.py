"""Clusters that are suspended: how they are told from stopped ones, and how they go on."""

from __future__ import annotations

import pytest

from kutti_sdk.clusters.actions import ResumeHost
from kutti_sdk.clusters.cluster import Cluster
from kutti_sdk.clusters.spec import ClusterSpec
from kutti_sdk.core.errors import (
    ConflictError,
    HostNotRunningError,
    HypervisorError,
    NotEnoughMemoryError,
    SuspensionUnsupportedError,
)
from kutti_sdk.core.host import HostSize
from kutti_sdk.core.sizes import GiB
from kutti_sdk.core.status import HostStatus
from kutti_sdk.core.suspension import require_suspension
from kutti_sdk.drivers.simulated import SimulatedDriver

pytestmark = pytest.mark.anyio


@pytest.fixture
async def made(lab: ClusterSpec) -> Cluster:
    return await lab.ensure()


async def _boots(cluster: Cluster) -> list[int]:
    return [(await node.logs(100)).count("booting") for node in cluster]


async def test_a_suspended_cluster_is_told_from_a_stopped_one(made: Cluster) -> None:
    await made.suspend()
    status = await made.status()
    assert [node.status for node in status.nodes] == [HostStatus.SUSPENDED] * 2
    assert not status.running
    assert "0 of 2 running, 2 suspended" in str(status)
    plan = await made.spec.plan()
    assert [type(action) for action in plan] == [ResumeHost] * 2
    assert "resume host" in str(plan)


@pytest.mark.parametrize("way", ["resume", "start", "ensure"])
async def test_it_goes_on_without_a_boot(made: Cluster, way: str) -> None:
    await made.suspend()
    await (made.spec.ensure() if way == "ensure" else getattr(made, way)())
    assert (await made.status()).running
    assert await _boots(made) == [1, 1]


async def test_what_pulls_the_plug_gives_up_its_memory(made: Cluster) -> None:
    await made.suspend()
    await made.stop()  # nothing runs that could be shut down
    assert (await made["node1"].status()) is HostStatus.SUSPENDED
    await made.force_stop()
    assert (await made["node1"].status()) is HostStatus.STOPPED
    await made.start()
    assert await _boots(made) == [2, 2]


async def test_only_a_suspended_cluster_can_be_resumed(made: Cluster) -> None:
    with pytest.raises(ConflictError, match="not suspended") as refusal:
        await made.resume()
    assert refusal.value.hint
    await made.suspend()
    await made.suspend()  # a cell that is run again
    await made.resume()


async def test_a_node_that_is_off_stays_so(made: Cluster) -> None:
    await made["node2"].force_stop()
    await made.suspend()
    assert [node.status for node in (await made.status()).nodes] == [
        HostStatus.SUSPENDED,
        HostStatus.STOPPED,
    ]
    await made["node1"].force_stop()
    with pytest.raises(HostNotRunningError):
        await made.suspend()


async def test_a_suspended_cluster_takes_no_memory_and_needs_it_to_go_on(lab: ClusterSpec) -> None:
    driver = SimulatedDriver(capacity=HostSize(cpus=4, memory=4 * GiB, disk=100 * GiB))
    first = await lab.using(driver).nodes(2, memory="2GiB").ensure()
    await first.suspend()
    second = await lab.named("second").using(driver).nodes(2, memory="2GiB").ensure()
    with pytest.raises(NotEnoughMemoryError):
        await first.resume()
    assert await first["node1"].status() is HostStatus.SUSPENDED
    await second.suspend()
    await first.resume()


async def test_a_cluster_that_cannot_be_suspended_runs_on(
    made: Cluster, driver: SimulatedDriver
) -> None:
    driver.faults.fail("suspend_cluster", times=1)
    with pytest.raises(HypervisorError):
        await made.suspend()
    assert (await made.status()).running


async def test_a_suspended_cluster_is_brought_back_to_a_checkpoint_and_deleted(
    made: Cluster,
) -> None:
    await made.checkpoint("start")
    await made.suspend()
    with pytest.raises(HostNotRunningError):
        await made.checkpoint("later")
    await made.restore("start")
    assert (await made.status()).running
    await made.suspend()
    await made.delete()


def test_a_driver_that_cannot_suspend_says_so() -> None:
    class Other:
        name = "other"

    with pytest.raises(SuspensionUnsupportedError, match="other") as refusal:
        require_suspension(Other())  # type: ignore[arg-type]
    assert refusal.value.hint
