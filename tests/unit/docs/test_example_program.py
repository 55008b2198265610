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


@pytest.fixture
def driver() -> SimulatedDriver:
    return SimulatedDriver()


@pytest.fixture(autouse=True)
def workspace(tmp_path):
    kutti.set_workspace(tmp_path)
    yield
    kutti.set_workspace(None)


async def test_full_disks_are_noticed(driver: SimulatedDriver) -> None:
    driver.commands.answer("df *", stdout="Use%\n 12%\n")
    driver.commands.answer("df *", stdout="Use%\n 97%\n", host="node2")

    cluster = await kutti.cluster("lab").using(driver).nodes(3).ensure()

    assert await hosts_with_full_disks(cluster) == ["node2"]


async def test_a_node_that_crashed_is_started_again(driver: SimulatedDriver) -> None:
    cluster = await kutti.cluster("lab").using(driver).nodes(2).ensure()
    driver.faults.crash("node1")

    assert await restart_dead_nodes(cluster) == ["node1"]
    assert (await cluster.status()).running


async def test_a_node_that_cannot_be_started_is_an_error(driver: SimulatedDriver) -> None:
    cluster = await kutti.cluster("lab").using(driver).nodes(2).ensure()
    await cluster.stop()
    driver.faults.fail("start", host="node2", times=1)

    with pytest.raises(kutti.HypervisorError) as failure:
        await restart_dead_nodes(cluster)
    assert failure.value.host == "node2"

    assert await restart_dead_nodes(cluster) == ["node2"]


async def test_ensure_goes_on_after_a_failure(driver: SimulatedDriver) -> None:
    spec = kutti.cluster("lab").using(driver).nodes(2)
    driver.faults.fail("create_host", host="node2", error=kutti.NotEnoughDiskError("full"), times=1)

    with pytest.raises(kutti.NotEnoughDiskError):
        await spec.ensure()

    cluster = await spec.ensure()
    assert [node.name for node in cluster] == ["node1", "node2"]
