"""Checkpoints of clusters: saved, brought back, copied, and what stands in the way."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from unittest.mock import AsyncMock

import anyio
import pytest

from kutti_sdk.clusters.attachment import attach, list_clusters
from kutti_sdk.clusters.cluster import Cluster
from kutti_sdk.clusters.spec import ClusterSpec
from kutti_sdk.core.errors import (
    CheckpointExistsError,
    CheckpointNotFoundError,
    ClusterDriftError,
    ClusterExistsError,
    HostNotRunningError,
    HypervisorError,
    InvalidInputError,
    InvalidNameError,
    NetworkExistsError,
)
from kutti_sdk.drivers.simulated import SimulatedDriver

pytestmark = pytest.mark.anyio


@pytest.fixture
async def made(lab: ClusterSpec) -> Cluster:
    return await lab.forward(8080, to=80, node="node1").ensure()


async def _note(cluster: Cluster, text: str) -> None:
    with TemporaryDirectory() as folder:
        note = Path(folder, text)
        note.touch()
        for node in cluster:
            await node.put(note, f"/root/{text}")


async def _notes(cluster: Cluster) -> set[str]:
    return {(await node.run("ls /root")).stdout for node in cluster}


async def test_a_cluster_goes_back_to_where_it_was(made: Cluster) -> None:
    await _note(made, "before")
    saved = await made.checkpoint("start", note="exercise 3")
    assert (saved.name, saved.clustername, saved.details.note) == ("start", "lab", "exercise 3")
    assert [host.name for host in saved.details.hosts] == ["node1", "node2"]
    await _note(made, "since")
    await made.restore("start")
    assert await _notes(made) == {"before\n"}
    assert (await made.status()).running


async def test_a_stopped_cluster_is_brought_back_too(made: Cluster) -> None:
    await made.checkpoint("start")
    await made.force_stop()
    await made.restore("start")
    assert (await made.status()).running


async def test_checkpoints_are_listed_oldest_first(made: Cluster) -> None:
    for name in ("second", "first"):
        await made.checkpoint(name)
    assert [it.name for it in await made.checkpoints()] == ["second", "first"]
    await (await made.checkpoints())[0].delete()
    assert [it.name for it in await made.checkpoints()] == ["first"]
    with pytest.raises(CheckpointNotFoundError, match="second") as refusal:
        await made.restore("second")
    assert "first" in (refusal.value.hint or "")


async def test_a_copy_is_a_cluster_like_any_other(made: Cluster) -> None:
    await _note(made, "shared")
    saved = await made.checkpoint("start")
    copy = await saved.clone("student07")
    await _note(copy, "own")
    assert await _notes(copy) == {"own\nshared\n"}
    assert await _notes(made) == {"shared\n"}
    assert await copy["node2"].ip_address() == await made["node2"].ip_address()
    assert [it.name for it in await list_clusters()] == ["lab", "student07"]
    again = await attach("student07", driver=made.spec.find_driver())
    assert (await again.spec.plan()).actions == ()
    await made.delete()
    assert await _notes(copy) == {"own\nshared\n"}


async def test_a_copy_has_ports_of_its_own(made: Cluster) -> None:
    copy = await (await made.checkpoint("start")).clone("copy")
    (http,) = [it for it in await copy["node1"].forwards() if it.vm_port == 80]
    assert http.host_port not in (0, 8080)
    assert await copy["node1"].ssh_address() != await made["node1"].ssh_address()


async def test_copies_can_be_copied(made: Cluster) -> None:
    copy = await (await made.checkpoint("start")).clone("copy")
    await _note(copy, "second")
    third = await (await copy.checkpoint("start")).clone("third")
    await copy.delete()
    assert await _notes(third) == {"second\n"}


async def test_many_copies_are_made_in_their_order(made: Cluster) -> None:
    saved = await made.checkpoint("start")
    names = [f"student{number}" for number in range(1, 6)]
    assert [it.name for it in await saved.clones(names, limit=2)] == names


async def test_a_copy_has_the_nodes_of_then(made: Cluster) -> None:
    saved = await made.checkpoint("start")
    await made.remove_node("node2")
    copy = await saved.clone("copy")
    assert [node.name for node in copy] == ["node1", "node2"]
    assert (await copy.status()).running


async def test_what_is_not_running_is_not_saved(made: Cluster) -> None:
    await made["node2"].force_stop()
    with pytest.raises(HostNotRunningError, match="node2"):
        await made.checkpoint("start")
    assert await made.checkpoints() == []


async def test_taken_and_bad_names_are_refused(made: Cluster, driver: SimulatedDriver) -> None:
    saved = await made.checkpoint("start")
    with pytest.raises(CheckpointExistsError):
        await made.checkpoint("start")
    with pytest.raises(ClusterExistsError):
        await saved.clone("lab")
    with pytest.raises(InvalidNameError):
        await saved.clones(["one", "Two"])
    with pytest.raises(InvalidInputError):
        await saved.clones(["one", "one"])
    assert [it.name for it in await list_clusters()] == ["lab"]


async def test_a_foreign_network_is_left_alone(made: Cluster, driver: SimulatedDriver) -> None:
    saved = await made.checkpoint("start")
    await driver.create_network("taken")
    with pytest.raises(NetworkExistsError):
        await saved.clone("taken")
    assert [it.name for it in await driver.list_networks()] == ["lab", "taken"]
    assert [it.name for it in await list_clusters()] == ["lab"]


async def test_nothing_is_left_of_a_copy_that_failed(
    made: Cluster, driver: SimulatedDriver
) -> None:
    saved = await made.checkpoint("start")
    driver.faults.fail("forward_port", cluster="copy", times=1)  # when its hosts run already
    with pytest.raises(HypervisorError):
        await saved.clone("copy")
    assert [it.name for it in await list_clusters()] == ["lab"]
    assert [it.name for it in await driver.list_networks()] == ["lab"]
    await saved.clone("copy")


async def test_nothing_is_left_of_a_copy_that_was_cancelled(
    made: Cluster, driver: SimulatedDriver
) -> None:
    saved = await made.checkpoint("start")
    driver.faults.hang("clone_checkpoint", times=1)
    with anyio.move_on_after(0.05):
        await saved.clone("copy")
    assert [it.name for it in await list_clusters()] == ["lab"]


async def test_a_copy_that_was_killed_half_way_is_no_cluster_of_new_nodes(
    made: Cluster, driver: SimulatedDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    saved = await made.checkpoint("start")
    driver.faults.fail("clone_checkpoint", times=1)
    with monkeypatch.context() as killed:  # whoever is killed removes nothing
        killed.setattr("kutti_sdk.clusters.checkpoints.remove_cluster", AsyncMock())
        with pytest.raises(HypervisorError):
            await saved.clone("copy")
    copy = await attach("copy", driver=driver)
    with pytest.raises(ClusterDriftError, match="copy of checkpoint start of lab") as refusal:
        await copy.spec.ensure()
    assert "Delete it" in (refusal.value.hint or "")
    with pytest.raises(ClusterExistsError):
        await saved.clone("copy")
    await copy.delete()
    copy = await saved.clone("copy")
    await copy.spec.ensure()


async def test_checkpoints_go_with_their_cluster(made: Cluster, driver: SimulatedDriver) -> None:
    saved = await made.checkpoint("start")
    await made.delete()
    assert await driver.list_checkpoints() == []
    with pytest.raises(LookupError):
        await saved.clone("copy")
