from __future__ import annotations

from typing import get_args

import anyio
import pytest

from kutti_sdk.core.checkpoints import SupportsCheckpoints
from kutti_sdk.core.driver import HostChange, VMDriver
from kutti_sdk.core.errors import (
    ChecksumMismatchError,
    DriverUnavailableError,
    HypervisorError,
    InvalidInputError,
    PortInUseError,
    SSHConnectionError,
    StateChangeTimeoutError,
)
from kutti_sdk.core.findings import Diagnosable
from kutti_sdk.core.host import VMHost
from kutti_sdk.core.image import VMImage
from kutti_sdk.core.ssh import SSHClient
from kutti_sdk.core.status import DriverStatus, HostStatus
from kutti_sdk.core.suspension import SupportsSuspension
from kutti_sdk.drivers.simulated import SimulatedClock, SimulatedDriver
from kutti_sdk.drivers.simulated.effects import Operation

pytestmark = pytest.mark.anyio


async def test_an_operation_fails_as_often_as_asked(driver: SimulatedDriver, host: VMHost) -> None:
    driver.faults.fail("start", host="node1", times=2)
    for _ in range(2):
        with pytest.raises(HypervisorError, match="start") as failure:
            await host.start()
        assert failure.value.host == "node1"
        assert await host.status() is HostStatus.STOPPED
    await host.start()


async def test_an_operation_fails_with_the_error_that_was_ordered(
    driver: SimulatedDriver,
) -> None:
    driver.faults.fail("fetch", image="1.35*", error=ChecksumMismatchError("other bytes"))
    image = await driver.get_image("1.35")
    for _ in range(2):
        with pytest.raises(ChecksumMismatchError, match="other bytes"):
            await image.fetch()
    driver.faults.clear()
    await image.fetch()


async def test_only_what_is_named_is_struck(driver: SimulatedDriver, host: VMHost) -> None:
    other = await driver.create_host("node2", "lab", "lab", "1.34")
    driver.faults.fail("start", host="node2")
    driver.faults.fail("start", cluster="other")
    driver.faults.fail("start", network="lab-*")
    driver.faults.fail("force_stop")
    await host.start()
    with pytest.raises(HypervisorError):
        await other.start()
    with pytest.raises(HypervisorError):
        await host.force_stop()


async def test_a_failed_create_leaves_nothing(driver: SimulatedDriver, host: VMHost) -> None:
    driver.faults.fail("create_host", host="node2")
    with pytest.raises(HypervisorError):
        await driver.create_host("node2", "lab", "lab", "1.34")
    assert [it.name for it in await driver.list_hosts()] == ["node1"]


async def test_a_delayed_operation_takes_longer(driver: SimulatedDriver, host: VMHost) -> None:
    driver.faults.delay("force_stop", seconds=300, times=1)
    await host.start()
    before = driver.clock.now()
    await host.force_stop()
    assert driver.clock.now() == before + 300


async def test_a_hanging_stop_runs_into_its_time_out(driver: SimulatedDriver, host: VMHost) -> None:
    driver.faults.hang("stop", host="node1", times=1)
    await host.start()
    before = driver.clock.now()
    with pytest.raises(StateChangeTimeoutError):
        await host.stop(timeout=30)
    assert driver.clock.now() == before + 30
    assert await host.status() is HostStatus.RUNNING
    await host.stop(timeout=30)


async def test_what_hangs_goes_on_when_the_plan_is_cleared(
    driver: SimulatedDriver, host: VMHost
) -> None:
    driver.faults.hang("start")
    async with anyio.create_task_group() as group:
        group.start_soon(host.start)
        await anyio.sleep(0.02)
        assert await host.status() is HostStatus.STOPPED
        driver.faults.clear()
    assert await host.status() is HostStatus.RUNNING


async def test_what_hangs_can_be_cancelled(driver: SimulatedDriver, host: VMHost) -> None:
    driver.faults.hang("start", times=1)
    with anyio.move_on_after(0.02) as scope:
        await host.start()
    assert scope.cancelled_caught
    await host.start()


async def test_a_running_host_crashes_now_or_later(driver: SimulatedDriver, host: VMHost) -> None:
    await host.start()
    driver.faults.crash("node1")
    assert await host.status() is HostStatus.STOPPED
    assert "panic" in await host.console(1)
    await host.start()
    started = driver.clock.now()
    driver.faults.crash("node1", after=30)
    assert await host.wait_for_state_change() is HostStatus.STOPPED
    assert driver.clock.now() == started + 30
    await host.start()
    with pytest.raises(StateChangeTimeoutError):
        await host.wait_for_state_change(3600)


async def test_a_stopped_host_crashes_after_its_next_start(
    driver: SimulatedDriver, host: VMHost
) -> None:
    driver.faults.crash("node*", after=5)
    await host.start()
    client = await host.ssh_client()
    with pytest.raises(SSHConnectionError):
        await client.run_with_results(await host.ssh_address(), "true")
    assert await host.status() is HostStatus.STOPPED
    await host.start()
    await client.wait_until_ready(await host.ssh_address())


async def test_a_crash_ends_the_commands_that_run(driver: SimulatedDriver, host: VMHost) -> None:
    await host.start()
    client = await host.ssh_client()
    address = await host.ssh_address()
    await client.wait_until_ready(address)
    driver.faults.crash("node1", after=30)
    with pytest.raises(SSHConnectionError, match="lost"):
        await client.run_with_results(address, "sleep 60")


async def test_a_silent_ssh_server_never_answers(driver: SimulatedDriver, host: VMHost) -> None:
    driver.faults.silence_ssh("node1")
    await host.start()
    client = await host.ssh_client()
    address = await host.ssh_address()
    with pytest.raises(SSHConnectionError):
        await client.run_with_results(address, "true")
    with anyio.move_on_after(0.05) as scope:
        await client.wait_until_ready(address)
    assert scope.cancelled_caught
    async with anyio.create_task_group() as group:
        group.start_soon(client.wait_until_ready, address)
        await anyio.sleep(0.01)
        driver.faults.clear()


async def test_a_port_can_belong_to_a_foreign_program(
    driver: SimulatedDriver, host: VMHost
) -> None:
    driver.faults.occupy_port(8080, by="nginx")
    driver.faults.occupy_port(20001)
    with pytest.raises(PortInUseError, match="nginx"):
        await host.forward_port(8080, 80)
    assert await host.forward_port(0, 80) not in (8080, 20001)


async def test_a_driver_can_be_unavailable(driver: SimulatedDriver) -> None:
    assert await driver.status() is DriverStatus.READY
    driver.faults.fail("check", error=DriverUnavailableError("no QEMU", hint="Install it."))
    assert await driver.status() is DriverStatus.UNAVAILABLE


def test_a_misspelt_operation_is_refused(driver: SimulatedDriver) -> None:
    with pytest.raises(InvalidInputError) as refusal:
        driver.faults.fail("strat")  # type: ignore[arg-type]
    assert "start" in (refusal.value.hint or "")


def test_every_operation_is_a_method_of_the_contract() -> None:
    kinds = (
        *(VMDriver, SupportsCheckpoints, SupportsSuspension, Diagnosable),
        *(VMHost, VMImage, SSHClient),
    )
    methods = {name for kind in kinds for name in vars(kind)}
    assert set(get_args(Operation)) <= methods


async def test_all_changes_are_told_in_order_even_to_a_slow_reader(
    driver: SimulatedDriver, host: VMHost
) -> None:
    changes = driver.watch()
    await host.start()
    driver.faults.crash("node1")
    await host.start()
    told = [await anext(changes) for _ in range(4)]
    assert told == [
        HostChange("node1", "lab", "lab", status)
        for status in (
            HostStatus.STOPPED,
            HostStatus.RUNNING,
            HostStatus.STOPPED,
            HostStatus.RUNNING,
        )
    ]


async def test_a_shutdown_goes_on_when_nobody_waits_for_it() -> None:
    driver = SimulatedDriver(clock=SimulatedClock(speed=0))
    async with anyio.create_task_group() as group:
        group.start_soon(driver.create_network, "lab")
        await driver.clock.advance(1)
        group.start_soon(driver.create_host, "node1", "lab", "lab", "none")
        await driver.clock.advance(1)
        host = await driver.get_host("node1", "lab", "lab")
        group.start_soon(host.start)
        await driver.clock.advance(11)
        with anyio.CancelScope() as scope:
            group.start_soon(_cancel_soon, scope)
            await host.stop()
        assert scope.cancelled_caught
        assert await host.status() is HostStatus.RUNNING
        await driver.clock.advance(2)
        assert await host.status() is HostStatus.STOPPED


async def test_a_cancelled_start_did_not_happen() -> None:
    driver = SimulatedDriver(clock=SimulatedClock(speed=0))
    await driver.create_network("lab")
    async with anyio.create_task_group() as group:
        group.start_soon(driver.create_host, "node1", "lab", "lab", "none")
        await driver.clock.advance(1)
    host = await driver.get_host("node1", "lab", "lab")
    with anyio.CancelScope() as scope:
        async with anyio.create_task_group() as group:
            group.start_soon(host.start)
            await driver.clock.advance(0.5)
            scope.cancel()
    await driver.clock.advance(100)
    assert await host.status() is HostStatus.STOPPED
    assert await host.console() == ""


async def _cancel_soon(scope: anyio.CancelScope) -> None:
    for _ in range(20):
        await anyio.lowlevel.checkpoint()
    scope.cancel()
