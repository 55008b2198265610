"""What a plan says, for every difference between what is asked and what is there."""

from __future__ import annotations

from pathlib import Path

import pytest

from kutti_sdk.clusters.actions import (
    CreateHost,
    CreateNetwork,
    DeleteHost,
    FetchImage,
    ForwardPort,
    RestartHost,
    StartHost,
    UnforwardPort,
)
from kutti_sdk.clusters.spec import ClusterSpec, cluster
from kutti_sdk.core.errors import (
    ClusterDriftError,
    HypervisorError,
    ImageDeprecatedError,
    ImageNotFoundError,
    NetworkExistsError,
)
from kutti_sdk.core.host import HostSize
from kutti_sdk.core.ports import PortForward
from kutti_sdk.core.status import HostStatus
from kutti_sdk.drivers.simulated import PublishedImage, SimulatedDriver

pytestmark = pytest.mark.anyio


def files_in(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


async def test_a_new_cluster_is_made_from_nothing(lab: ClusterSpec) -> None:
    plan = await lab.forward(8080, to=80, node="node2").plan()
    assert plan.actions == (
        CreateNetwork("lab", "192.168.125.0/24"),
        CreateHost("node1", "none", HostSize()),
        CreateHost("node2", "none", HostSize()),
        ForwardPort("node1", PortForward(0, 22)),
        ForwardPort("node2", PortForward(8080, 80)),
        ForwardPort("node2", PortForward(0, 22)),
        StartHost("node1", HostSize()),
        StartHost("node2", HostSize()),
    )


async def test_planning_touches_nothing(
    lab: ClusterSpec, driver: SimulatedDriver, workspace: Path
) -> None:
    await lab.plan()
    assert not await driver.list_networks()
    assert not files_in(workspace)


async def test_an_image_that_is_only_listed_is_fetched(lab: ClusterSpec) -> None:
    plan = await lab.kubernetes("1.35").plan()
    assert plan.actions[0] == FetchImage("1.35.0")
    assert plan.of(CreateHost)[0].k8s_version == "1.35.0"


async def test_an_unknown_or_deprecated_image_is_refused(lab: ClusterSpec) -> None:
    with pytest.raises(ImageNotFoundError):
        await lab.kubernetes("1.29").plan()
    with pytest.raises(ImageDeprecatedError):
        await lab.kubernetes("1.30").plan()


async def test_what_is_as_described_needs_no_plan(lab: ClusterSpec) -> None:
    await lab.forward(8080, to=80).ensure()
    plan = await lab.forward(8080, to=80).plan()
    assert not plan
    assert str(plan) == "Cluster lab: nothing to do"


async def test_a_stopped_host_is_started(lab: ClusterSpec) -> None:
    made = await lab.ensure()
    await made["node2"].force_stop()
    assert list(await lab.plan()) == [StartHost("node2", HostSize())]


async def test_a_host_in_error_is_switched_off_and_on(
    lab: ClusterSpec, driver: SimulatedDriver
) -> None:
    await lab.ensure()
    for key, machine in driver._world.machines.items():
        if key.hostname == "node1":
            machine.status = HostStatus.ERROR
    assert list(await lab.plan()) == [RestartHost("node1")]
    await lab.ensure()
    assert not await lab.plan()


async def test_a_host_that_was_deleted_behind_our_back_is_made_again(
    lab: ClusterSpec, driver: SimulatedDriver
) -> None:
    made = await lab.ensure()
    await made["node2"].force_stop()
    await driver.delete_host("node2", "lab", "lab")
    assert [type(action) for action in await lab.plan()] == [CreateHost, ForwardPort, StartHost]


async def test_a_node_that_is_no_more_in_the_spec_is_deleted(lab: ClusterSpec) -> None:
    await lab.ensure()
    (delete,) = await lab.without_node("node2").plan()
    assert isinstance(delete, DeleteHost)
    assert delete.host == "node2"


async def test_a_new_node_is_of_the_version_of_the_others(workspace: Path) -> None:
    driver = SimulatedDriver(images=[PublishedImage("1.34.1", downloaded=True)])
    spec = cluster("lab").using(driver).kubernetes("1.34")
    await spec.ensure()
    driver.publish_images([PublishedImage("1.34.1"), PublishedImage("1.34.2")])
    await driver.fetch_image_list()
    (create,) = (await spec.nodes(2).plan()).of(CreateHost)
    assert create.k8s_version == "1.34.1"


async def test_a_forward_that_left_the_spec_is_undone(lab: ClusterSpec) -> None:
    await lab.forward(8080, to=80).ensure()
    assert list(await lab.plan()) == [UnforwardPort("node1", PortForward(8080, 80))]


async def test_a_forward_to_another_port_is_undone_first(lab: ClusterSpec) -> None:
    await lab.forward(8080, to=80).ensure()
    assert list(await lab.forward(9090, to=80).plan()) == [
        UnforwardPort("node1", PortForward(8080, 80)),
        ForwardPort("node1", PortForward(9090, 80)),
    ]


async def test_a_forward_made_by_hand_is_left_alone(lab: ClusterSpec) -> None:
    made = await lab.ensure()
    await made["node1"].forward(8080, to=80)
    assert not await lab.plan()


async def test_a_forward_of_an_earlier_spec_is_made_by_hand_from_then_on(
    lab: ClusterSpec,
) -> None:
    await lab.forward(8080, to=80).ensure()
    made = await lab.ensure()
    await made["node1"].forward(8080, to=80)
    assert not await lab.plan()


async def test_a_forward_made_by_hand_gives_way_to_the_spec(lab: ClusterSpec) -> None:
    made = await lab.ensure()
    await made["node1"].forward(8080, to=80)
    assert list(await lab.forward(9090, to=80).plan()) == [
        UnforwardPort("node1", PortForward(8080, 80)),
        ForwardPort("node1", PortForward(9090, 80)),
    ]


async def test_a_forward_stays_to_be_undone_until_it_is(
    lab: ClusterSpec, driver: SimulatedDriver
) -> None:
    await lab.forward(8080, to=80).ensure()
    driver.faults.fail("unforward_port", times=2)
    for _ in range(2):
        with pytest.raises(HypervisorError):
            await lab.ensure()
    assert list(await lab.plan()) == [UnforwardPort("node1", PortForward(8080, 80))]


async def test_any_port_satisfies_a_forward_that_asks_for_a_free_one(lab: ClusterSpec) -> None:
    made = await lab.ensure()
    await made["node1"].forward(8080, to=80)
    assert not await lab.forward(0, to=80).plan()


async def test_the_plan_is_a_readable_table(lab: ClusterSpec) -> None:
    assert str(await lab.nodes(1).forward(8080, to=80).plan()) == "\n".join(
        [
            "Cluster lab: 5 steps to do",
            "  action          name   details",
            "  create network  lab    192.168.125.0/24",
            "  create host     node1  2 CPUs, 1 GiB memory, 20 GiB disk",
            "  forward port    node1  127.0.0.1:8080 to 80",
            "  forward port    node1  127.0.0.1:any free port to 22",
            "  start host      node1",
        ]
    )


async def test_what_would_lose_data_is_refused_and_everything_in_the_way_is_named(
    lab: ClusterSpec,
) -> None:
    await lab.ensure()
    changed = lab.kubernetes("1.34").network("10.0.0.0/24").node("node2", cpus=4)
    with pytest.raises(ClusterDriftError) as caught:
        await changed.plan()
    text = str(caught.value)
    assert "192.168.125.0/24, not 10.0.0.0/24" in text
    assert "node1 has Kubernetes none, not 1.34" in text
    assert "node2 has 2 CPUs" in text
    assert caught.value.hint


async def test_another_driver_is_refused(lab: ClusterSpec) -> None:
    await lab.ensure()
    with pytest.raises(ClusterDriftError, match="its driver is simulated, not mine"):
        await lab.using(SimulatedDriver(name="mine")).plan()


async def test_a_refused_change_leaves_the_cluster_as_it_was(lab: ClusterSpec) -> None:
    await lab.ensure()
    with pytest.raises(ClusterDriftError):
        await lab.network("10.0.0.0/24").ensure()
    assert not await lab.plan()


async def test_a_network_that_is_not_ours_is_not_taken(
    lab: ClusterSpec, driver: SimulatedDriver
) -> None:
    await driver.create_network("lab")
    with pytest.raises(NetworkExistsError):
        await lab.ensure()
    assert [network.name for network in await driver.list_networks()] == ["lab"]
