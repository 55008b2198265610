"""Waiting for a host: it stalls, it dies, it answers."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import anyio
import pytest
from sleeping import sleeping_machine

from kutti_sdk.clusters.attachment import attach
from kutti_sdk.clusters.spec import ClusterSpec
from kutti_sdk.core.errors import (
    HostKeyMismatchError,
    HostNotFoundError,
    HypervisorError,
    ReadyTimeoutError,
    SSHConnectionError,
)
from kutti_sdk.core.events import ProgressEvent, observe
from kutti_sdk.core.status import HostStatus
from kutti_sdk.drivers.simulated import SimulatedDriver
from kutti_sdk.drivers.simulated.host import SimulatedHost
from kutti_sdk.runtime.tasks import run_all

pytestmark = pytest.mark.anyio


async def test_a_host_that_never_answers_is_told_with_phase_and_console(
    lab: ClusterSpec, driver: SimulatedDriver
) -> None:
    driver.faults.silence_ssh("node2")
    with pytest.raises(ReadyTimeoutError) as caught:
        await lab.ensure(stall_timeout=0.2)
    error = caught.value
    assert (error.phase, error.host) == ("boot", "node2")
    assert "node2 login:" in error.console
    assert "node2 login:" in str(error)
    assert error.hint
    driver.faults.clear()
    assert (await (await lab.ensure()).status()).running


async def test_a_host_that_answers_but_runs_nothing_stalls_in_phase_ssh(
    lab: ClusterSpec, driver: SimulatedDriver
) -> None:
    driver.faults.hang("run_with_results", host="node1")
    with pytest.raises(ReadyTimeoutError) as caught:
        await lab.ensure(stall_timeout=0.2)
    assert (caught.value.phase, caught.value.host) == ("ssh", "node1")


async def test_new_words_on_the_console_are_signs_of_life(
    lab: ClusterSpec, driver: SimulatedDriver
) -> None:
    driver.faults.silence_ssh("node1")
    events: list[ProgressEvent] = []
    with observe(events.append):
        async with anyio.create_task_group() as group:

            async def boot() -> None:
                await lab.nodes(1).ensure(stall_timeout=0.5)
                group.cancel_scope.cancel()

            group.start_soon(boot)
            while not driver._world.machines:
                await anyio.sleep(0.01)
            (machine,) = driver._world.machines.values()
            for number in range(12):  # twice as long as it may be silent
                await anyio.sleep(0.1)
                machine.console.append(f"working on {number}")
            driver.faults.clear()
            driver.clock.changed()
    assert any(event.message.startswith("working on") for event in events)


async def test_a_host_that_slept_with_its_machine_has_not_stalled(
    lab: ClusterSpec, driver: SimulatedDriver, tmp_path: Path
) -> None:
    driver.faults.silence_ssh("node1")
    with sleeping_machine(tmp_path) as machine:

        async def sleep_and_answer() -> None:
            for _ in range(3):
                await anyio.sleep(0.7)  # it is looked at meanwhile
                machine.sleep()
            await anyio.sleep(0.7)
            driver.faults.clear()
            driver.clock.changed()

        await run_all(partial(lab.nodes(1).ensure, stall_timeout=60), sleep_and_answer)


async def test_a_host_that_dies_while_it_boots_is_noticed_at_once(
    lab: ClusterSpec, driver: SimulatedDriver
) -> None:
    driver.faults.crash("node2", after=3)
    with pytest.raises(HypervisorError, match="'node2' is Stopped now") as caught:
        await lab.ensure()
    assert caught.value.host == "node2"
    assert "Kernel panic" in (caught.value.hint or "")
    assert (await (await lab.ensure()).status()).running


async def test_a_server_that_hangs_up_is_tried_again(
    lab: ClusterSpec, driver: SimulatedDriver
) -> None:
    driver.faults.fail("run_with_results", error=SSHConnectionError("hung up"), times=3)
    assert (await (await lab.ensure()).status()).running


async def test_somebody_else_at_the_address_is_not_waited_for(
    lab: ClusterSpec, driver: SimulatedDriver
) -> None:
    driver.faults.fail("run_with_results", error=HostKeyMismatchError("somebody else"))
    with pytest.raises(HostKeyMismatchError):
        await lab.ensure()


async def test_waiting_for_a_stopped_node_says_that_it_is_stopped(lab: ClusterSpec) -> None:
    made = await lab.ensure()
    await made["node1"].force_stop()
    with pytest.raises(HypervisorError, match="is Stopped now"):
        await made["node1"].wait_until_ready()
    await made["node2"].wait_until_ready()


async def test_a_node_that_is_deleted_while_it_boots_ends_the_wait(
    lab: ClusterSpec, driver: SimulatedDriver
) -> None:
    driver.faults.silence_ssh("node1")
    failures: list[Exception] = []

    async def ensure() -> None:
        try:
            await lab.ensure()
        except HostNotFoundError as error:
            failures.append(error)

    async with anyio.create_task_group() as group:
        group.start_soon(ensure)
        while True:
            await anyio.sleep(0.01)
            hosts = await driver.list_hosts()
            if [await host.status() for host in hosts] == [HostStatus.RUNNING] * 2:
                break
        await (await attach("lab", driver=driver)).delete()
    assert len(failures) == 1
    assert not await driver.list_hosts()


async def test_a_silent_host_that_is_at_work_is_given_time(
    lab: ClusterSpec, driver: SimulatedDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Images from elsewhere write to a screen; what they do then is seen at their disks.
    marks = iter([1, 2, 3])
    asked: list[int] = []

    async def progress_mark(host: SimulatedHost) -> int:
        asked.append(next(marks, 3))
        return asked[-1]

    monkeypatch.setattr(SimulatedHost, "progress_mark", progress_mark)
    driver.faults.silence_ssh("node1")
    with pytest.raises(ReadyTimeoutError):
        await lab.nodes(1).ensure(stall_timeout=0.2)
    assert asked == [1, 2, 3, 3]
