from __future__ import annotations

import pytest

from kutti_sdk.core.errors import (
    CheckpointMismatchError,
    CheckpointNotFoundError,
    HostNotRunningError,
    HypervisorError,
    ImageInUseError,
    NotEnoughMemoryError,
)
from kutti_sdk.core.host import HostSize, VMHost
from kutti_sdk.core.sizes import GiB
from kutti_sdk.core.status import HostStatus
from kutti_sdk.drivers.simulated import SimulatedDriver

pytestmark = pytest.mark.anyio


async def _booted(host: VMHost) -> VMHost:
    await host.start()
    client = await host.ssh_client()
    await client.wait_until_ready(await host.ssh_address())
    return host


async def test_a_host_that_boots_cannot_be_saved_yet(driver: SimulatedDriver, host: VMHost) -> None:
    await host.start()
    with pytest.raises(HostNotRunningError, match="booting"):
        await driver.save_checkpoint("one", "lab", "lab")


async def test_a_fault_leaves_no_checkpoint_and_hosts_that_run(
    driver: SimulatedDriver, host: VMHost
) -> None:
    await _booted(host)
    driver.faults.fail("save_checkpoint", cluster="lab", times=1)
    with pytest.raises(HypervisorError):
        await driver.save_checkpoint("one", "lab", "lab")
    assert await driver.list_checkpoints() == []
    assert await host.status() is HostStatus.RUNNING


async def test_a_cluster_with_other_hosts_is_not_brought_back(
    driver: SimulatedDriver, host: VMHost
) -> None:
    await _booted(host)
    await driver.save_checkpoint("one", "lab", "lab")
    await driver.create_host("node2", "lab", "lab", "1.34")
    with pytest.raises(CheckpointMismatchError) as refusal:
        await driver.restore_checkpoint("one", "lab", "lab")
    assert refusal.value.hint


async def test_a_stopped_cluster_is_brought_back_running(
    driver: SimulatedDriver, host: VMHost
) -> None:
    await _booted(host)
    await driver.save_checkpoint("one", "lab", "lab")
    await host.force_stop()
    await driver.restore_checkpoint("one", "lab", "lab")
    assert await host.status() is HostStatus.RUNNING


async def test_an_image_that_only_a_checkpoint_uses_is_in_use(
    driver: SimulatedDriver, host: VMHost
) -> None:
    await _booted(host)
    await driver.save_checkpoint("one", "lab", "lab")
    await host.force_stop()
    await driver.delete_host("node1", "lab", "lab")
    image = await driver.get_image("1.34")
    with pytest.raises(ImageInUseError):
        await image.purge_local()


async def test_checkpoints_go_with_their_network(driver: SimulatedDriver, host: VMHost) -> None:
    await _booted(host)
    await driver.save_checkpoint("one", "lab", "lab")
    await host.force_stop()
    await driver.delete_host("node1", "lab", "lab")
    await driver.delete_network("lab")
    with pytest.raises(CheckpointNotFoundError):
        await driver.clone_checkpoint("one", "lab", "lab", to="copy")


async def test_a_copy_that_does_not_fit_is_refused_as_a_whole() -> None:
    driver = SimulatedDriver(capacity=HostSize(cpus=4, memory=3 * GiB, disk=4096 * GiB))
    await driver.create_network("lab")
    host = await driver.create_host("node1", "lab", "lab", "1.34", memory="2GiB")
    await host.forward_ssh_port()
    await _booted(host)
    await driver.save_checkpoint("one", "lab", "lab")
    with pytest.raises(NotEnoughMemoryError):
        await driver.clone_checkpoint("one", "lab", "lab", to="copy")
    assert [network.name for network in await driver.list_networks()] == ["lab"]
