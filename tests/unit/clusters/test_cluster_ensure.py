"""ensure(): creates, continues, changes, and leaves alone what is as described."""

from __future__ import annotations

from pathlib import Path

import anyio
import pytest

from kutti_sdk.clusters.attachment import attach, list_clusters
from kutti_sdk.clusters.cluster import Cluster
from kutti_sdk.clusters.spec import ClusterSpec, cluster
from kutti_sdk.clusters.status import NodeStatus
from kutti_sdk.core.driver import VMDriver
from kutti_sdk.core.errors import (
    ClusterExistsError,
    ClusterNotFoundError,
    CorruptStateError,
    DriverUnavailableError,
    HostRunningError,
    HypervisorError,
    InvalidInputError,
    InvalidNameError,
    KuttiError,
    NotEnoughCPUsError,
    NotEnoughMemoryError,
    PortInUseError,
)
from kutti_sdk.core.events import ProgressEvent, observe
from kutti_sdk.core.registry import register_driver
from kutti_sdk.core.status import HostStatus
from kutti_sdk.drivers.simulated import SimulatedDriver

pytestmark = pytest.mark.anyio


async def names_on(driver: VMDriver) -> list[str]:
    return [host.name for host in await driver.list_hosts()]


def files_in(workspace: Path) -> list[str]:
    return [path.name for path in workspace.rglob("*") if path.is_file()]


def record_in(workspace: Path) -> Path:
    return workspace / "data" / "clusters" / "lab.json"


async def test_it_returns_when_every_node_answers(lab: ClusterSpec) -> None:
    made = await lab.ensure()
    assert (await made.status()).running
    assert [(await node.run("hostname")).stdout for node in made] == ["node1\n", "node2\n"]


async def test_addresses_are_in_the_order_of_the_nodes(lab: ClusterSpec) -> None:
    made = await lab.nodes(4).ensure()
    addresses = [await node.ip_address() for node in made]
    assert addresses == [f"192.168.125.{number}" for number in (11, 12, 13, 14)]


async def test_twice_changes_nothing(lab: ClusterSpec, workspace: Path) -> None:
    made = await lab.ensure()
    before = await made.status()
    record = record_in(workspace)
    written = record.stat().st_mtime_ns
    events: list[ProgressEvent] = []
    with observe(events.append):
        again = await lab.ensure()
    assert await again.status() == before
    assert record.stat().st_mtime_ns == written
    assert not {"create", "network", "start", "forward"} & {event.phase for event in events}


async def test_the_record_is_written_before_anything_is_created(
    lab: ClusterSpec, driver: SimulatedDriver, workspace: Path
) -> None:
    driver.faults.fail("create_network")
    with pytest.raises(HypervisorError):
        await lab.ensure()
    assert "lab.json" in files_in(workspace)


async def test_a_node_that_fails_leaves_the_others_and_ensure_continues(
    lab: ClusterSpec, driver: SimulatedDriver
) -> None:
    driver.faults.fail("start", host="node2", times=1)
    with pytest.raises(HypervisorError, match="start"):
        await lab.ensure()
    assert await names_on(driver) == ["node1", "node2"]
    assert (await (await lab.ensure()).status()).running


async def test_a_changed_spec_adds_and_removes_nodes(
    lab: ClusterSpec, driver: SimulatedDriver
) -> None:
    await lab.ensure()
    changed = await lab.without_node("node2").node("db", cpus=4).ensure()
    assert await names_on(driver) == ["db", "node1"]
    assert [node.name for node in await _nodes_of(changed)] == ["node1", "db"]


async def test_ports_may_be_swapped_between_nodes(lab: ClusterSpec) -> None:
    await lab.forward(8001, to=80).forward(8002, to=80, node="node2").ensure()
    swapped = lab.forward(8002, to=80).forward(8001, to=80, node="node2")
    made = await swapped.ensure()
    ports = {node.name: (await node.forwards())[0].host_port for node in made}
    assert ports == {"node1": 8002, "node2": 8001}
    assert not await swapped.plan()


async def test_the_port_of_a_node_that_goes_can_be_given_to_one_that_comes(
    lab: ClusterSpec,
) -> None:
    await lab.forward(8001, to=80, node="node2").ensure()
    made = await lab.without_node("node2").node("web").forward(8001, to=80, node="web").ensure()
    assert 8001 in [forward.host_port for forward in await made["web"].forwards()]


async def test_an_image_that_is_only_listed_is_fetched(
    lab: ClusterSpec, driver: SimulatedDriver
) -> None:
    made = await lab.kubernetes("1.35").ensure()
    assert (await made["node1"].host()).k8s_version == "1.35.0"


async def test_a_failed_download_leaves_nothing(
    lab: ClusterSpec, driver: SimulatedDriver, workspace: Path
) -> None:
    driver.faults.fail("fetch")
    with pytest.raises(HypervisorError):
        await lab.kubernetes("1.35").ensure()
    assert not await driver.list_networks()
    assert not files_in(workspace)


async def test_what_cannot_work_is_refused_before_anything_is_touched(
    lab: ClusterSpec, driver: SimulatedDriver, workspace: Path
) -> None:
    other = await cluster("other").using(driver).forward(8080, to=80).ensure()
    before = files_in(workspace), await names_on(driver)

    async def refused(spec: ClusterSpec, error: type[KuttiError]) -> None:
        with pytest.raises(error) as caught:
            await spec.ensure()
        assert (files_in(workspace), await names_on(driver)) == before
        assert caught.value.hint

    await refused(lab.nodes(2, cpus=17), NotEnoughCPUsError)
    await refused(lab.nodes(2, memory="200GiB"), NotEnoughMemoryError)
    await refused(lab.forward(8080, to=80), PortInUseError)
    await refused(lab.forward(8080, to=80, address="0.0.0.0"), PortInUseError)
    await other.force_stop()
    await refused(lab.forward(8080, to=80), PortInUseError)
    driver.faults.fail("check", error=DriverUnavailableError("no hypervisor", hint="Get one."))
    await refused(lab, DriverUnavailableError)


async def test_create_refuses_what_exists_complete_or_not(
    lab: ClusterSpec, driver: SimulatedDriver
) -> None:
    driver.faults.fail("create_network", times=1)
    with pytest.raises(HypervisorError):
        await lab.create()
    with pytest.raises(ClusterExistsError):
        await lab.create()
    await lab.ensure()
    with pytest.raises(ClusterExistsError):
        await lab.network("10.0.0.0/24").create()


async def test_many_at_once_make_one_cluster(lab: ClusterSpec, driver: SimulatedDriver) -> None:
    async with anyio.create_task_group() as group:
        for _ in range(3):
            group.start_soon(lab.ensure)
    assert await names_on(driver) == ["node1", "node2"]
    assert not await lab.plan()


async def test_of_many_creates_at_once_one_wins(lab: ClusterSpec) -> None:
    outcomes: list[str] = []

    async def create() -> None:
        try:
            await lab.create()
            outcomes.append("made")
        except ClusterExistsError:
            outcomes.append("refused")

    async with anyio.create_task_group() as group:
        for _ in range(3):
            group.start_soon(create)
    assert sorted(outcomes) == ["made", "refused", "refused"]


async def test_nodes_added_at_once_by_two_handles_are_both_there(
    lab: ClusterSpec, driver: SimulatedDriver
) -> None:
    await lab.ensure()
    one, other = Cluster(lab), Cluster(lab)
    async with anyio.create_task_group() as group:
        group.start_soon(one.add_node, "a")
        group.start_soon(other.add_node, "b")
    assert await names_on(driver) == ["a", "b", "node1", "node2"]


async def test_clusters_live_side_by_side_with_the_same_addresses(
    lab: ClusterSpec, driver: SimulatedDriver
) -> None:
    async with anyio.create_task_group() as group:
        for name in ("one", "two", "three"):
            group.start_soon(lab.named(name).ensure)
    await (await attach("two", driver=driver)).delete()
    assert [found.name for found in await list_clusters()] == ["one", "three"]
    assert not await lab.named("one").plan()
    assert not await lab.named("three").plan()


async def test_delete_leaves_nothing_and_may_be_repeated(
    lab: ClusterSpec, driver: SimulatedDriver, workspace: Path
) -> None:
    made = await lab.ensure()
    record_in(workspace).with_name(".lab.json.0badcafe.new").write_text("left by a killed writer")
    await made.delete()
    assert not await driver.list_hosts()
    assert not await driver.list_networks()
    assert not list((workspace / "data" / "clusters").iterdir())
    await made.delete()


async def test_delete_removes_what_somebody_left_who_was_killed_before_the_record_was_there(
    lab: ClusterSpec, workspace: Path
) -> None:
    folder = workspace / "data" / "clusters"
    folder.mkdir(parents=True)
    for name in ("lab.lock", "lab.kubernetes.lock", "lab.kubeconfig", ".lab.json.1234abcd.new"):
        (folder / name).touch()
    await Cluster(lab).delete()
    assert not list(folder.iterdir())


async def test_delete_takes_a_half_made_cluster_away(
    lab: ClusterSpec, driver: SimulatedDriver
) -> None:
    driver.faults.fail("create_host", host="node2")
    with pytest.raises(HypervisorError):
        await lab.ensure()
    await (await attach("lab", driver=driver)).delete()
    assert not await driver.list_networks()


async def test_a_delete_that_failed_can_be_done_again(
    lab: ClusterSpec, driver: SimulatedDriver
) -> None:
    made = await lab.ensure()
    driver.faults.fail("delete_host", host="node2", times=1)
    with pytest.raises(HypervisorError):
        await made.delete()
    assert [found.name for found in await list_clusters()] == ["lab"]
    await made.delete()
    assert not await list_clusters()
    assert not await driver.list_hosts()


async def test_a_host_that_is_started_while_it_is_deleted_is_deleted(
    lab: ClusterSpec, driver: SimulatedDriver
) -> None:
    made = await lab.ensure()
    driver.faults.fail("delete_host", host="node1", error=HostRunningError("it runs"), times=1)
    await made.delete()
    assert not await driver.list_hosts()


async def test_the_record_goes_last(lab: ClusterSpec, monkeypatch: pytest.MonkeyPatch) -> None:
    async def fail(_: str) -> None:
        raise HypervisorError("the disk is gone")

    made = await lab.ensure()
    monkeypatch.setattr("kutti_sdk.clusters.removal.delete_cluster_key_pair", fail)
    with pytest.raises(HypervisorError):
        await made.delete()
    assert [found.name for found in await list_clusters()] == ["lab"]
    monkeypatch.undo()
    await made.delete()
    assert not await list_clusters()


async def test_attach_finds_a_cluster_by_its_name_alone(
    workspace: Path, driver: SimulatedDriver
) -> None:
    register_driver("simulated", driver)
    spec = cluster("lab").using("simulated").nodes(2).forward(8080, to=80)
    await spec.ensure()
    found = await attach("lab")
    assert found.spec == spec
    assert (await found["node1"].run("hostname")).stdout == "node1\n"


async def test_attach_to_an_unknown_cluster_names_those_there_are(
    lab: ClusterSpec, driver: SimulatedDriver
) -> None:
    await lab.ensure()
    with pytest.raises(ClusterNotFoundError, match="Clusters there are: lab"):
        await attach("lap")
    with pytest.raises(InvalidNameError):
        await attach("../lab")
    with pytest.raises(InvalidInputError):
        await attach("lab", driver=SimulatedDriver(name="mine"))


async def test_a_damaged_record_is_reported_and_kept(lab: ClusterSpec, workspace: Path) -> None:
    await lab.ensure()
    record = record_in(workspace)
    record.write_text('{"name": "la')
    for verb in (lab.ensure, lambda: attach("lab"), list_clusters):
        with pytest.raises(CorruptStateError, match=r"lab\.json"):
            await verb()
    assert record.read_text() == '{"name": "la'


async def _nodes_of(made: Cluster) -> list[NodeStatus]:
    status = await made.status()
    assert all(node.status is HostStatus.RUNNING for node in status.nodes)
    return list(status.nodes)
