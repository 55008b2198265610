"""Killed in the very moment in which hosts stand still to be saved: they run on, as they were.

The hosts boot a disk of one sector and write a line to their console when they do: who has
written it once did not boot again.
"""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import anyio
import pytest
from anyio.abc import Process
from bare_hosts import PLACE
from pretended_agent import BEGIN, PretendedAgent, environment

import kutti_sdk as kutti
from kutti_sdk.core.status import HostStatus
from kutti_sdk.drivers.qemu import QemuDriver, layout, lifecycle, records
from kutti_sdk.testing.boot_disk import BOOT_MESSAGE

pytestmark = [
    pytest.mark.anyio,
    # One is enough: what is killed is a process of its own.
    pytest.mark.parametrize("anyio_backend", ["trio"]),
]

_RUNNING, _SUSPENDED = ([status] * 2 for status in (HostStatus.RUNNING, HostStatus.SUSPENDED))


async def _statuses(driver: QemuDriver) -> list[HostStatus]:
    return [await host.status() for host in await driver.list_hosts()]


@asynccontextmanager
async def _saver_that_hangs_in(moment: str) -> AsyncIterator[Process]:
    """Run a process that saves the hosts, and never gets beyond a moment."""
    program = (
        f"{BEGIN}import anyio\n"
        "from kutti_sdk.drivers.qemu import QemuDriver\n"
        "from kutti_sdk.drivers.qemu.checkpoints import saving\n"
        "async def hang(*_): print('now', flush=True); await anyio.sleep(600)\n"
        f"saving.{moment} = hang\n"
        "anyio.run(QemuDriver().save_checkpoint, 'one', 'lab', 'lab')\n"
    )
    env = environment(KUTTI_WORKSPACE=str(kutti.data_dir().parent))
    async with await anyio.open_process([sys.executable, "-c", program], env=env) as saver:
        assert saver.stdout is not None
        await saver.stdout.receive()
        yield saver
        saver.kill()


async def _start(driver: QemuDriver) -> None:
    for host in await driver.list_hosts():
        with pytest.raises(kutti.HostRunningError):
            await host.start()


async def _mend(driver: QemuDriver) -> None:
    found = [it for it in await driver.diagnose() if "standing still" in it.message]
    assert [it.subject for it in found] == ["host lab/node1", "host lab/node2"]
    for finding in found:
        assert finding.mend is not None
        assert (await finding.mend()).endswith("is Running")
    left = [it for it in await driver.diagnose() if "half made" in it.message]
    for finding in left:
        assert finding.mend is not None
        await finding.mend()
    assert not [it for it in await driver.diagnose() if it.mend is not None]


@pytest.mark.parametrize(
    ("moment", "mend"),
    [
        pytest.param("_reach", _start, id="start when they were stopped"),
        pytest.param("migration_end", _mend, id="doctor when their disks were switched over"),
    ],
)
async def test_hosts_run_on_with_all_that_they_had(
    driver: QemuDriver,
    agent: PretendedAgent,
    moment: str,
    mend: Callable[[QemuDriver], Awaitable[None]],
) -> None:
    before = [lifecycle.host_process(host) for host in await records.load_hosts("lab")]
    async with _saver_that_hangs_in(moment):
        pass
    assert await _statuses(driver) == _SUSPENDED
    for host in await driver.list_hosts():
        with pytest.raises(kutti.HostNotRunningError):
            await host.stop()
    await mend(driver)
    assert await _statuses(driver) == _RUNNING
    assert len(agent.values) == 2, "they have the right time and new randomness"
    assert [lifecycle.host_process(it) for it in await records.load_hosts("lab")] == before
    assert [(await it.console(100)).count(BOOT_MESSAGE) for it in await driver.list_hosts()] == [
        1
    ] * 2
    await driver.save_checkpoint("three", *PLACE)
    await driver.restore_checkpoint("three", *PLACE)


async def test_a_pause_that_somebody_holds_is_not_ended_by_others(driver: QemuDriver) -> None:
    (first, _) = await driver.list_hosts()
    async with _saver_that_hangs_in("disks.switch_over"):
        with anyio.move_on_after(1):
            await first.start()
        assert not [it for it in await driver.diagnose() if it.subject.startswith("host")]
    assert await _statuses(driver) == _SUSPENDED, "nobody let them run on"


async def test_what_is_deleted_after_a_killed_save_leaves_no_process(driver: QemuDriver) -> None:
    async with _saver_that_hangs_in("_begin_copy"):  # a receiver with a host ends with it
        pass
    (receiver,) = {
        path.read_text() for path in layout.network_files("lab").folder.rglob("node1/receiver.pid")
    }
    for host in await driver.list_hosts():
        await host.force_stop()
        await driver.delete_host(host.name, *PLACE)
    await driver.delete_network("lab")
    assert lifecycle.processes.identify(int(receiver)) is None
