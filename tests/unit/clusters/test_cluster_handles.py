"""Cluster and node handles: looking at what exists, and driving it."""

from __future__ import annotations

from pathlib import Path

import pytest

from kutti_sdk.clusters.cluster import Cluster
from kutti_sdk.clusters.node import Node
from kutti_sdk.clusters.spec import ClusterSpec, cluster
from kutti_sdk.core.errors import (
    ClusterDriftError,
    ClusterNotFoundError,
    CommandFailedError,
    HostNotFoundError,
    HostNotRunningError,
    HostRunningError,
    InvalidSpecError,
    NotEnoughMemoryError,
    PortInUseError,
    PortNotForwardedError,
    SSHConnectionError,
)
from kutti_sdk.core.host import HostSize
from kutti_sdk.core.ports import PortForward
from kutti_sdk.core.sizes import GiB
from kutti_sdk.core.ssh import Output
from kutti_sdk.core.status import HostStatus
from kutti_sdk.drivers.simulated import SimulatedDriver

pytestmark = pytest.mark.anyio


@pytest.fixture
async def made(lab: ClusterSpec) -> Cluster:
    return await lab.ensure()


@pytest.fixture
def node(made: Cluster) -> Node:
    return made["node1"]


async def test_status_tells_every_node(made: Cluster, driver: SimulatedDriver) -> None:
    await made["node2"].force_stop()
    status = await made.status()
    assert not status.running
    assert status.summary == "1 of 2 running"
    one, two = status.nodes
    assert (one.name, one.status, one.ip_address) == (
        "node1",
        HostStatus.RUNNING,
        "192.168.125.11",
    )
    assert one.ssh_address == f"127.0.0.1:{one.forwards[0].host_port}"
    assert two.status is HostStatus.STOPPED
    await driver.delete_host("node2", "lab", "lab")
    assert (await made.status()).nodes[1].status is None


async def test_status_is_a_readable_table(made: Cluster) -> None:
    first, header, row, _ = str(await made.status()).splitlines()
    assert first == "Cluster lab: 2 of 2 running"
    assert header.split() == ["node", "status", "address", "SSH", "forwards"]
    assert row.split()[:3] == ["node1", "Running", "192.168.125.11"]


async def test_a_handle_shows_what_it_knows_without_asking(made: Cluster) -> None:
    await made.delete()
    assert repr(made) == "\n".join(
        [
            "Cluster lab on simulated, no Kubernetes",
            "  node   CPUs  memory  disk",
            "  node1  2     1 GiB   20 GiB",
            "  node2  2     1 GiB   20 GiB",
        ]
    )


async def test_an_unknown_node_is_refused_and_those_known_are_named(made: Cluster) -> None:
    with pytest.raises(HostNotFoundError, match="node1, node2"):
        made["node3"]


async def test_a_handle_learns_what_others_changed(lab: ClusterSpec, made: Cluster) -> None:
    await lab.nodes(3).ensure()
    assert len(made) == 2
    await made.status()
    assert [node.name for node in made] == ["node1", "node2", "node3"]


async def test_stop_and_start_bring_back_the_same_cluster(made: Cluster) -> None:
    before = await made.status()
    await made.stop()
    assert [await node.status() for node in made] == [HostStatus.STOPPED] * 2
    await made.start()
    assert await made.status() == before
    assert [result.ok for result in await made.run_all("true")] == [True, True]


async def test_start_and_stop_of_a_cluster_may_be_repeated(made: Cluster) -> None:
    await made.start()
    await made.stop()
    await made.stop()
    await made.force_stop()


async def test_start_is_refused_whole_when_not_all_nodes_fit(workspace: Path) -> None:
    driver = SimulatedDriver(capacity=HostSize(cpus=4, memory=3 * GiB, disk=100 * GiB))
    lab = await cluster("lab").using(driver).nodes(2).ensure()
    await lab.stop()
    await cluster("other").using(driver).nodes(1, memory="2GiB").ensure()
    with pytest.raises(NotEnoughMemoryError):
        await lab.start()
    assert (await lab.status()).summary == "0 of 2 running"


async def test_verbs_on_a_cluster_that_was_deleted_say_so(made: Cluster) -> None:
    await made.delete()
    for verb in (made.status, made.start, made.stop, made.force_stop):
        with pytest.raises(ClusterNotFoundError):
            await verb()
    with pytest.raises(ClusterNotFoundError):
        await made.add_node("node3")
    with pytest.raises(ClusterNotFoundError):
        await made.remove_node("node2")


async def test_a_node_is_added_and_removed(made: Cluster, driver: SimulatedDriver) -> None:
    added = await made.add_node("db", cpus=4)
    assert (await added.run("hostname")).stdout == "db\n"
    assert made.spec.node_names == ("node1", "node2", "db")
    assert not await made.spec.plan()
    with pytest.raises(ClusterDriftError):
        await made.add_node("db", cpus=8)
    await made["db"].delete()
    assert [host.name for host in await driver.list_hosts()] == ["node1", "node2"]
    assert not await made.spec.plan()


async def test_removing_a_node_starts_no_other(made: Cluster) -> None:
    await made.stop()
    await made.remove_node("node2")
    assert (await made.status()).summary == "0 of 1 running"


async def test_the_last_node_cannot_be_removed(made: Cluster) -> None:
    await made.remove_node("node2")
    with pytest.raises(InvalidSpecError):
        await made.remove_node("node1")
    with pytest.raises(InvalidSpecError):
        await made.remove_node("node9")


async def test_run_all_gives_results_in_order_or_as_they_come(
    made: Cluster, driver: SimulatedDriver
) -> None:
    results = await made.run_all("hostname")
    assert [(result.host, result.stdout) for result in results] == [
        ("node1", "node1\n"),
        ("node2", "node2\n"),
    ]
    as_they_come = [result.host async for result in made.run_all("hostname", limit=1)]
    assert sorted(as_they_come) == ["node1", "node2"]


async def test_run_all_goes_on_when_a_node_fails(made: Cluster) -> None:
    await made["node1"].force_stop()
    seen = []
    with pytest.raises(SSHConnectionError):
        async for result in made.run_all("hostname"):
            seen.append(result.host)
    assert seen == ["node2"]


async def test_watch_tells_the_changes_of_this_cluster_only(
    lab: ClusterSpec, made: Cluster
) -> None:
    other = await lab.named("other").ensure()
    seen: list[tuple[str, HostStatus | None]] = []
    async for change in made.watch():
        seen.append((change.hostname, change.status))
        if len(seen) == 2:
            await other.force_stop()
            await made["node2"].force_stop()
        if len(seen) == 3:
            break
    assert seen == [
        ("node1", HostStatus.RUNNING),
        ("node2", HostStatus.RUNNING),
        ("node2", HostStatus.STOPPED),
    ]


async def test_a_running_node_cannot_be_started_nor_a_stopped_one_stopped(node: Node) -> None:
    with pytest.raises(HostRunningError):
        await node.start()
    await node.stop()
    with pytest.raises(HostNotRunningError):
        await node.stop()
    await node.force_stop()
    await node.start()
    assert (await node.run("true")).ok


async def test_a_command_tells_the_name_of_its_node(node: Node, driver: SimulatedDriver) -> None:
    driver.commands.answer("make", stdout="", stderr="no rule", exit_status=2)
    result = await node.run("make")
    assert (result.host, result.exit_status, result.stderr) == ("node1", 2, "no rule")
    with pytest.raises(CommandFailedError, match="on node1") as caught:
        await node.run("make", check=True)
    assert caught.value.result.host == "node1"
    assert (await node.run("cat", stdin="text")).stdout == "text"


async def test_output_is_streamed(node: Node) -> None:
    async with node.stream("echo one") as running:
        assert [piece async for piece in running] == [Output("stdout", "one\n")]
        assert await running.wait() == 0


async def test_files_go_there_and_back(node: Node, tmp_path: Path) -> None:
    (tmp_path / "here").write_text("text")
    await node.put(tmp_path / "here", "/root/there")
    await node.get("/root/there", tmp_path / "back")
    assert (tmp_path / "back").read_text() == "text"


async def test_ports_are_forwarded_and_taken_back(made: Cluster, node: Node) -> None:
    port = await node.forward(to=80)
    assert PortForward(port, 80) in await node.forwards()
    with pytest.raises(PortInUseError):
        await made["node2"].forward(port, to=80)
    await node.unforward(to=80)
    with pytest.raises(PortNotForwardedError):
        await node.unforward(to=80)


async def test_a_node_tells_its_addresses_and_its_console(node: Node) -> None:
    assert await node.ip_address() == "192.168.125.11"
    assert (await node.ssh_address()).startswith("127.0.0.1:")
    assert "login:" in await node.logs()
    assert len((await node.logs(1)).splitlines()) == 1
    assert repr(node) == "<Node node1 of cluster lab>"


async def test_a_node_is_watched(node: Node) -> None:
    seen = []
    async for status in node.watch():
        seen.append(status)
        if len(seen) == 2:
            break
        await node.force_stop()
    assert seen == [HostStatus.RUNNING, HostStatus.STOPPED]
