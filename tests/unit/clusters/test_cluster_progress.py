"""apply() and ephemeral(): clusters for the length of a block."""

from __future__ import annotations

from pathlib import Path

import anyio
import pytest

from kutti_sdk.clusters.attachment import list_clusters
from kutti_sdk.clusters.spec import ClusterSpec
from kutti_sdk.core.driver import VMDriver
from kutti_sdk.core.errors import (
    ClusterExistsError,
    ConflictError,
    HypervisorError,
    WaitTimeoutError,
)
from kutti_sdk.drivers.simulated import SimulatedDriver

pytestmark = pytest.mark.anyio


async def is_clean(driver: VMDriver) -> bool:
    return not (await driver.list_hosts() or await driver.list_networks() or await list_clusters())


async def test_apply_tells_what_happens_in_order(lab: ClusterSpec) -> None:
    async with lab.kubernetes("1.35").apply() as run:
        events = [event async for event in run]
    order = ["plan", "image", "network", "create", "start", "boot", "ssh", "ready"]
    firsts = list(dict.fromkeys(event.phase for event in events))
    assert [phase for phase in firsts if phase in order] == order
    for host in ("node1", "node2"):
        mine = list(dict.fromkeys(event.phase for event in events if event.host == host))
        assert [phase for phase in mine if phase in order] == order[3:]
    assert {event.cluster for event in events if event.phase != "download"} <= {"lab", None}
    assert events[-1].phase == "ready"
    assert events[-1].host is None
    assert (await run.cluster.status()).running


async def test_apply_raises_what_went_wrong_after_the_events_before_it(
    lab: ClusterSpec, driver: SimulatedDriver
) -> None:
    driver.faults.fail("start", host="node1")
    phases = []
    with pytest.raises(HypervisorError):
        async with lab.apply() as run:
            async for event in run:
                phases.append(event.phase)
    assert "create" in phases
    with pytest.raises(ConflictError):
        run.cluster  # noqa: B018 - reading it is what fails


async def test_leaving_apply_early_cancels_the_work(
    lab: ClusterSpec, driver: SimulatedDriver
) -> None:
    driver.faults.hang("start")
    async with lab.apply() as run:
        async for event in run:
            if event.phase == "create":
                break
    driver.faults.clear()
    with pytest.raises(ConflictError):
        run.cluster  # noqa: B018
    assert len(await driver.list_hosts()) < 2
    assert (await (await lab.ensure()).status()).running


async def test_an_ephemeral_cluster_is_there_in_the_block_only(
    lab: ClusterSpec, driver: SimulatedDriver
) -> None:
    async with lab.ephemeral() as cluster:
        assert (await cluster.status()).running
    assert await is_clean(driver)


async def test_an_ephemeral_cluster_is_deleted_when_the_block_fails(
    lab: ClusterSpec, driver: SimulatedDriver
) -> None:
    with pytest.raises(ZeroDivisionError):
        async with lab.ephemeral():
            raise ZeroDivisionError
    assert await is_clean(driver)


async def test_an_ephemeral_cluster_is_deleted_when_it_cannot_be_made(
    lab: ClusterSpec, driver: SimulatedDriver
) -> None:
    driver.faults.fail("start", host="node2")
    with pytest.raises(HypervisorError):
        async with lab.ephemeral():
            pytest.fail("it was not made")
    assert await is_clean(driver)


async def test_an_ephemeral_cluster_is_deleted_when_its_block_is_cancelled(
    lab: ClusterSpec, driver: SimulatedDriver
) -> None:
    with anyio.CancelScope() as scope:
        async with lab.ephemeral():
            scope.cancel()
            await anyio.sleep_forever()
    assert scope.cancelled_caught
    assert await is_clean(driver)


async def test_an_ephemeral_cluster_that_exists_is_refused_and_left_alone(
    lab: ClusterSpec, driver: SimulatedDriver
) -> None:
    await lab.ensure()
    with pytest.raises(ClusterExistsError):
        async with lab.ephemeral():
            pytest.fail("it exists")
    assert not await lab.plan()


async def test_an_ephemeral_cluster_that_will_not_go_is_reported_in_time(
    lab: ClusterSpec, driver: SimulatedDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kutti_sdk.clusters.spec._REMOVAL_TIME", 0.1)
    driver.faults.hang("delete_host")
    with pytest.raises(WaitTimeoutError, match="could not be deleted"):
        async with lab.ephemeral():
            pass
    driver.faults.clear()
    assert [found.name for found in await list_clusters()] == ["lab"]


async def test_ephemeral_clusters_of_one_base_live_side_by_side(
    lab: ClusterSpec, driver: SimulatedDriver, workspace: Path
) -> None:
    async def use(name: str) -> None:
        async with lab.named(name).ephemeral() as cluster:
            names.extend([result.stdout.strip() for result in await cluster.run_all("hostname")])

    names: list[str] = []
    async with anyio.create_task_group() as group:
        for name in ("a", "b", "c"):
            group.start_soon(use, name)
    assert sorted(names) == ["node1"] * 3 + ["node2"] * 3
    assert await is_clean(driver)
