"""Cancelled anywhere: what is left can be continued and can be removed."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from itertools import count
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
import pytest

from kutti_sdk.clusters.attachment import attach, list_clusters
from kutti_sdk.clusters.spec import ClusterSpec, cluster
from kutti_sdk.drivers.simulated import SimulatedDriver
from kutti_sdk.drivers.simulated.world import World

pytestmark = pytest.mark.anyio

MOST_POINTS = 2000


class CancellationPoints:
    """Cancels a scope at the n-th operation on the driver or the disk, counted from 1."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._left = -1
        self._scope: anyio.CancelScope | None = None
        points = self
        begin, run_sync = World.begin, anyio.to_thread.run_sync

        async def begin_and_count(self: World, *args: Any, **kwargs: Any) -> bool:
            points.passed()
            went_well = await begin(self, *args, **kwargs)
            points.passed()
            return went_well

        async def run_sync_and_count(*args: Any, **kwargs: Any) -> Any:
            points.passed()
            result = await run_sync(*args, **kwargs)
            points.passed()
            return result

        monkeypatch.setattr(World, "begin", begin_and_count)
        monkeypatch.setattr(anyio.to_thread, "run_sync", run_sync_and_count)

    def passed(self) -> None:
        self._left -= 1
        if self._left == 0 and self._scope is not None:
            self._scope.cancel()

    async def survived(self, operation: Callable[[], Awaitable[object]], point: int) -> bool:
        """Whether the operation ended before that point was reached."""
        with anyio.CancelScope() as scope:
            self._scope, self._left = scope, point
            await operation()
        self._scope = None
        return not scope.cancelled_caught


@pytest.fixture
def points(monkeypatch: pytest.MonkeyPatch) -> CancellationPoints:
    return CancellationPoints(monkeypatch)


async def assert_clean(driver: SimulatedDriver, workspace: Path) -> None:
    assert not await driver.list_hosts()
    assert not await driver.list_networks()
    assert not await list_clusters()
    assert not [path for path in (workspace / "data" / "clusters").iterdir() if path.is_file()]


async def ensured_and_deleted(spec: ClusterSpec) -> None:
    made = await spec.ensure()
    assert (await made.status()).running
    assert not await spec.plan()
    await made.delete()


async def test_ensure_cancelled_anywhere_can_be_continued(
    lab: ClusterSpec, driver: SimulatedDriver, workspace: Path, points: CancellationPoints
) -> None:
    spec = lab.forward(8080, to=80)
    for point in count(1):
        done = await points.survived(spec.ensure, point)
        await ensured_and_deleted(spec)
        await assert_clean(driver, workspace)
        if done:
            break
    assert 50 < point < MOST_POINTS, "the points were passed"


async def test_ensure_cancelled_anywhere_can_be_deleted(
    lab: ClusterSpec, driver: SimulatedDriver, workspace: Path, points: CancellationPoints
) -> None:
    for point in count(1):
        done = await points.survived(lab.ensure, point)
        for left in await list_clusters():
            await (await attach(left.name, driver=driver)).delete()
        (workspace / "data" / "clusters").mkdir(parents=True, exist_ok=True)
        (workspace / "data" / "clusters" / "lab.lock").unlink(missing_ok=True)
        await assert_clean(driver, workspace)
        if done:
            break
    assert 50 < point < MOST_POINTS


async def test_a_change_cancelled_anywhere_can_be_continued(
    lab: ClusterSpec, driver: SimulatedDriver, workspace: Path, points: CancellationPoints
) -> None:
    before = lab.forward(8001, to=80).forward(8002, to=80, node="node2").forward(8003, to=81)
    after = (
        lab.node("db").without_node("node2").forward(8002, to=80).forward(8001, to=80, node="db")
    )
    for point in count(1):
        await before.ensure()
        done = await points.survived(after.ensure, point)
        await ensured_and_deleted(after)
        await assert_clean(driver, workspace)
        if done:
            break
    assert 50 < point < MOST_POINTS


async def test_delete_cancelled_anywhere_can_be_done_again(
    lab: ClusterSpec, driver: SimulatedDriver, workspace: Path, points: CancellationPoints
) -> None:
    for point in count(1):
        made = await lab.ensure()
        done = await points.survived(made.delete, point)
        await made.delete()
        await assert_clean(driver, workspace)
        if done:
            break
    assert 10 < point < MOST_POINTS


async def test_delete_cancelled_anywhere_can_be_followed_by_ensure(
    lab: ClusterSpec, driver: SimulatedDriver, workspace: Path, points: CancellationPoints
) -> None:
    for point in count(1):
        made = await lab.ensure()
        done = await points.survived(made.delete, point)
        await ensured_and_deleted(lab)
        await assert_clean(driver, workspace)
        if done:
            break
    assert 10 < point < MOST_POINTS


async def test_an_ephemeral_cluster_cancelled_anywhere_leaves_nothing(
    lab: ClusterSpec, driver: SimulatedDriver, workspace: Path, points: CancellationPoints
) -> None:
    async def use() -> None:
        async with lab.ephemeral() as made:
            await made["node1"].run("true")

    for point in count(1):
        done = await points.survived(use, point)
        assert not await driver.list_hosts()
        assert not await driver.list_networks()
        assert not await list_clusters()
        if done:
            break
    assert 50 < point < MOST_POINTS


async def test_another_one_may_continue_what_was_cancelled(
    lab: ClusterSpec, driver: SimulatedDriver, points: CancellationPoints
) -> None:
    bystander = cluster("bystander").using(driver)
    await bystander.ensure()
    for point in range(5, 60, 9):
        await points.survived(lab.ensure, point)
        assert not await bystander.plan()
    async with anyio.create_task_group() as group:
        for _ in range(2):
            group.start_soon(lab.ensure)
    assert not await lab.plan()
