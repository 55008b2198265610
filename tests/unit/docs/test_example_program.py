"""Tests of a program that uses kutti_sdk; docs/how-to/testing.md shows this file."""

import pytest

import kutti_sdk as kutti
from kutti_sdk.drivers.simulated import SimulatedDriver

pytestmark = pytest.mark.anyio


async def hosts_with_full_disks(cluster: kutti.Cluster) -> list[str]:
    """The program under test."""
    results = await cluster.run_all("df --output=pcent /", check=True)
    return [result.host for result in results if int(result.stdout.split()[1].strip("%")) > 90]


async def restart_dead_nodes(cluster: kutti.Cluster) -> list[str]:
    """Another one."""
    dead = [node for node in cluster if await node.status() is kutti.HostStatus.STOPPED]
    for node in dead:
        await node.start()
    return [node.name for node in dead]


async def test_full_disks_are_noticed(
    kutti_driver: SimulatedDriver, kutti_cluster: kutti.Cluster
) -> None:
    kutti_driver.commands.answer("df *", stdout="Use%\n 12%\n")
    kutti_driver.commands.answer("df *", stdout="Use%\n 97%\n", host="node2")

    assert await hosts_with_full_disks(kutti_cluster) == ["node2"]


@pytest.mark.kutti_fault("crash", "node1")
async def test_a_node_that_crashed_is_started_again(kutti_cluster: kutti.Cluster) -> None:
    assert await restart_dead_nodes(kutti_cluster) == ["node1"]
    assert (await kutti_cluster.status()).running


@pytest.mark.kutti_fault("crash", "node2")
@pytest.mark.kutti_fault("fail", "start", host="node2", times=1)
async def test_a_node_that_cannot_be_started_is_an_error(kutti_cluster: kutti.Cluster) -> None:
    with pytest.raises(kutti.HypervisorError) as failure:
        await restart_dead_nodes(kutti_cluster)
    assert failure.value.host == "node2"

    assert await restart_dead_nodes(kutti_cluster) == ["node2"]


async def test_ensure_goes_on_after_a_failure(kutti_driver: SimulatedDriver) -> None:
    full = kutti.NotEnoughDiskError("the disk is full")
    kutti_driver.faults.fail("create_host", host="node2", error=full, times=1)
    spec = kutti.cluster("lab").nodes(2)

    with pytest.raises(kutti.NotEnoughDiskError):
        await spec.ensure()

    cluster = await spec.ensure()
    assert [node.name for node in cluster] == ["node1", "node2"]
