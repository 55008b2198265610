"""What goes wrong while clusters are suspended and go on.

The hosts boot a disk of one sector, so that each test takes seconds. They write a line to
their console when they boot: who has written it once went on, and did not boot.
"""

from __future__ import annotations

import os
import shutil
import sys

import anyio
import pytest
from bare_hosts import PLACE
from pretended_agent import BEGIN, PretendedAgent, environment

import kutti_sdk as kutti
from kutti_sdk.core.status import HostStatus
from kutti_sdk.drivers.qemu import QemuDriver, lifecycle, records, suspending
from kutti_sdk.drivers.qemu.checkpoints import conditions
from kutti_sdk.drivers.qemu.records import HostRecord
from kutti_sdk.drivers.qemu.suspended import SuspendedFiles
from kutti_sdk.runtime import processes
from kutti_sdk.testing.boot_disk import BOOT_MESSAGE

pytestmark = [
    pytest.mark.anyio,
    # One is enough: `test_suspend` has the other.
    pytest.mark.parametrize("anyio_backend", ["trio"]),
]

_RUNNING, _SUSPENDED, _STOPPED = (
    [status] * 2 for status in (HostStatus.RUNNING, HostStatus.SUSPENDED, HostStatus.STOPPED)
)


async def _statuses(driver: QemuDriver) -> list[HostStatus]:
    return [await host.status() for host in await driver.list_hosts()]


async def _records() -> list[HostRecord]:
    return await records.load_hosts("lab")


async def _start(driver: QemuDriver) -> None:
    for host in await driver.list_hosts():
        await host.start()


async def _boots(driver: QemuDriver, expected: int) -> None:
    """Wait until the hosts that were booted have done so that often."""
    with anyio.fail_after(60):
        for host in [it for it in await driver.list_hosts() if it.clustername == "lab"]:
            while (await host.console(100)).count(BOOT_MESSAGE) < expected:
                await anyio.sleep(0.05)
            assert (await host.console(100)).count(BOOT_MESSAGE) == expected


def _state(host: HostRecord) -> SuspendedFiles:
    return SuspendedFiles(host.files.suspended)


async def test_a_suspended_cluster_goes_on_after_this_machine_was_restarted(
    driver: QemuDriver, agent: PretendedAgent
) -> None:
    await driver.suspend_cluster(*PLACE)
    assert await _statuses(driver) == _SUSPENDED
    assert not any(map(lifecycle.host_process, await _records())), "nothing runs"
    await driver.suspend_cluster(*PLACE)  # there is nothing to do
    shutil.rmtree(kutti.runtime_dir())
    for host in await _records():
        host.files.pid.write_text("4194304")  # of an earlier life of this machine
    kutti.set_workspace(kutti.data_dir().parent)
    await _start(driver)
    assert await _statuses(driver) == _RUNNING
    await _boots(driver, 1)
    seeds = [script.split("\n", 1)[0] for script in agent.values]
    assert len(set(seeds)) == 2, "each has new randomness"
    assert not any(host.files.suspended.exists() for host in await _records()), "it is used once"

    # Who pulls the plug of a suspended host gives up what is in its memory.
    await driver.suspend_cluster(*PLACE)
    for each in await driver.list_hosts():
        with pytest.raises(kutti.HostNotRunningError):
            await each.stop()
        await each.force_stop()
    assert await _statuses(driver) == _STOPPED
    with pytest.raises(kutti.HostNotRunningError) as refusal:
        await driver.suspend_cluster(*PLACE)
    assert refusal.value.hint
    await _start(driver)
    await _boots(driver, 2)


async def test_what_is_damaged_is_told_and_the_host_boots_from_its_disk(
    driver: QemuDriver, agent: PretendedAgent
) -> None:
    await driver.suspend_cluster(*PLACE)
    first, second = map(_state, await _records())
    with first.state.open("r+b") as file:
        file.seek(file.seek(0, 2) // 2)
        file.write(b"another")
    os.truncate(second.state, second.state.stat().st_size - 1)
    events: list[kutti.ProgressEvent] = []
    with kutti.observe(events.append):
        await _start(driver)
    told = [event for event in events if event.phase == "warning"]
    assert [(event.host, "is lost" in event.message) for event in told] == [
        ("node1", True),
        ("node2", True),
    ]
    await _boots(driver, 2)
    assert not agent.values


async def test_under_another_processor_it_waits_for_the_right_one(
    driver: QemuDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    await driver.suspend_cluster(*PLACE)
    monkeypatch.setitem(conditions.CPU_MODELS, "tcg", "another")
    for host in await driver.list_hosts():
        with pytest.raises(kutti.CheckpointMismatchError, match="CPU model") as refusal:
            await host.start()
        assert "force_stop" in (refusal.value.hint or "")
    assert await _statuses(driver) == _SUSPENDED
    monkeypatch.undo()
    _, second = await driver.list_hosts()
    await second.force_stop()
    assert await _statuses(driver) == [HostStatus.SUSPENDED, HostStatus.STOPPED]


async def test_what_was_brought_back_or_copied_can_be_suspended(driver: QemuDriver) -> None:
    await driver.save_checkpoint("one", *PLACE)
    await driver.clone_checkpoint("one", *PLACE, to="copy")
    await driver.restore_checkpoint("one", *PLACE)
    for place in (PLACE, ("copy", "copy")):
        await driver.suspend_cluster(*place)
    assert await _statuses(driver) == 2 * _SUSPENDED
    await _start(driver)
    assert await _statuses(driver) == 2 * _RUNNING
    await _boots(driver, 1)

    # A checkpoint belongs to other disks than what was in memory: the older one wins.
    await driver.suspend_cluster(*PLACE)
    await driver.restore_checkpoint("one", *PLACE)
    assert await _statuses(driver) == 2 * _RUNNING


async def test_a_host_that_dies_while_it_is_suspended_leaves_the_others_running(
    driver: QemuDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    check = suspending.suspended.checked_size

    async def kill_and_check(place: SuspendedFiles) -> tuple[int, str]:
        if "node1" in str(place.folder):
            identity = lifecycle.host_process((await _records())[0])
            assert identity is not None
            await processes.terminate(identity)
            raise kutti.HypervisorError("it died")
        return await check(place)

    monkeypatch.setattr(suspending.suspended, "checked_size", kill_and_check)
    with pytest.raises(kutti.HypervisorError, match="it died"):
        await driver.suspend_cluster(*PLACE)
    assert await _statuses(driver) == [HostStatus.STOPPED, HostStatus.RUNNING]
    assert not any(host.files.suspended.exists() for host in await _records())


async def test_a_suspend_that_fails_or_is_cancelled_lets_all_hosts_run_on(
    driver: QemuDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    check, files = suspending.suspended.checked_size, []

    async def refuse_the_second(place: SuspendedFiles) -> tuple[int, str]:
        files.append(place)
        if len(files) == 2:
            raise OSError(28, "No space left on device")
        return await check(place)

    monkeypatch.setattr(suspending.suspended, "checked_size", refuse_the_second)
    with pytest.raises(kutti.HypervisorError, match="No space"):
        await driver.suspend_cluster(*PLACE)
    assert await _statuses(driver) == _RUNNING
    assert not any(host.files.suspended.exists() for host in await _records())
    monkeypatch.undo()

    for delay in (0.1, 0.3, 0.6):
        with anyio.move_on_after(delay):
            await driver.suspend_cluster(*PLACE)
        assert await _statuses(driver) in (_RUNNING, _SUSPENDED), "all of them, or none"
        if await _statuses(driver) == _SUSPENDED:
            await _start(driver)
    await _boots(driver, 1)


@pytest.mark.parametrize(
    ("hook", "goes_on"),
    [
        pytest.param("suspending.suspended.checked_size", "ran on", id="while it is written"),
        pytest.param("suspending._end", "was suspended", id="when all is written"),
    ],
)
async def test_a_suspend_that_was_killed_is_ended_by_the_next_start(
    driver: QemuDriver, hook: str, goes_on: str
) -> None:
    program = (
        f"{BEGIN}import anyio\n"
        "from kutti_sdk.drivers.qemu import QemuDriver, suspending\n"
        "async def hang(_): print('now', flush=True); await anyio.sleep(600)\n"
        f"{hook} = hang\n"
        "anyio.run(QemuDriver().suspend_cluster, 'lab', 'lab')\n"
    )
    env = environment(KUTTI_WORKSPACE=str(kutti.data_dir().parent))
    before = [lifecycle.host_process(host) for host in await _records()]
    async with await anyio.open_process([sys.executable, "-c", program], env=env) as killed:
        assert killed.stdout is not None
        await killed.stdout.receive()
        killed.kill()
    assert await _statuses(driver) == _SUSPENDED, "they stand still, with all they had"
    for host in await driver.list_hosts():
        if goes_on == "ran on":
            with pytest.raises(kutti.HostRunningError):
                await host.start()
        else:
            await host.start()
    assert await _statuses(driver) == _RUNNING
    await _boots(driver, 1)
    after = [lifecycle.host_process(host) for host in await _records()]
    assert (before == after) is (goes_on == "ran on")
    assert not any(host.files.suspended.exists() for host in await _records())
