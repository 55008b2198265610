"""The word `cold`, and what a driver is told before many hosts are made."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from kutti_sdk.clusters.attachment import attach
from kutti_sdk.clusters.spec import ClusterSpec, cluster
from kutti_sdk.core.errors import ImageError
from kutti_sdk.core.host import HostSize, VMHost
from kutti_sdk.core.registry import register_driver
from kutti_sdk.drivers.simulated import SimulatedDriver

pytestmark = pytest.mark.anyio


class WarmDriver(SimulatedDriver):
    """Notes what it is asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.prepared: list[tuple[str, list[HostSize]]] = []
        self.cold: list[str] = []

    async def prepare_hosts(self, k8sversion: str, sizes: Sequence[HostSize]) -> None:
        assert not await self.list_hosts() or self.prepared, "before any host is made"
        self.prepared.append((k8sversion, list(sizes)))

    async def create_cold_host(self, hostname: str, *args: Any, **sizes: Any) -> VMHost:
        self.cold.append(hostname)
        return await super().create_cold_host(hostname, *args, **sizes)


@pytest.fixture
def driver() -> WarmDriver:
    return WarmDriver()


@pytest.fixture
def lab(driver: WarmDriver, workspace: object) -> ClusterSpec:
    return cluster("lab").using(driver).nodes(2).node("big", memory="4GiB")


async def test_a_driver_is_told_of_all_hosts_that_are_to_be_made(
    lab: ClusterSpec, driver: WarmDriver
) -> None:
    await lab.ensure()
    usual, big = HostSize(), HostSize.parse(memory="4GiB")
    assert driver.prepared == [("none", [usual, usual, big])]
    assert driver.cold == []
    await lab.ensure()
    assert len(driver.prepared) == 1, "nothing is to be made"
    await lab.nodes(3).ensure()
    assert driver.prepared[1:] == [("none", [usual])]


async def test_cold_nodes_are_made_to_boot_and_nothing_is_prepared(
    lab: ClusterSpec, driver: WarmDriver
) -> None:
    await lab.cold().ensure()
    assert driver.cold == ["node1", "node2", "big"]
    assert driver.prepared == []


async def test_a_cold_cluster_stays_cold(
    lab: ClusterSpec, driver: WarmDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    register_driver("simulated", driver)
    try:
        await lab.cold().ensure()
        again = await attach("lab")
        await again.add_node("late")
    finally:
        register_driver("simulated", SimulatedDriver())
    assert driver.cold[-1] == "late"


async def test_cold_is_kept_by_all_other_words(lab: ClusterSpec) -> None:
    assert lab.cold().nodes(3).forward(0, to=80).cold_start
    assert lab.cold().cold() == lab.cold()
    assert lab.cold().named("other").cold_start


async def test_images_of_drivers_without_templates_say_so(driver: WarmDriver) -> None:
    image = (await driver.list_images())[0]
    with pytest.raises(ImageError, match="always boot") as refusal:
        await image.warm_up()
    assert refusal.value.hint
    await image.cool_down()
    assert (await image.details()).templates == 0
