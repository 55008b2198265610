"""What goes wrong while clusters are saved, brought back and copied.

The hosts boot a disk of one sector, so that each test takes seconds. There is no guest
agent in them; it is the only thing that is pretended here.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import anyio
import pytest
from bare_hosts import PLACE
from pretended_agent import BEGIN, PretendedAgent, environment

import kutti_sdk as kutti
from kutti_sdk.core.status import HostStatus
from kutti_sdk.drivers.qemu import QemuDriver, lifecycle, records
from kutti_sdk.drivers.qemu.checkpoints import conditions, examination, saving
from kutti_sdk.drivers.qemu.checkpoints.receiver import Receiver
from kutti_sdk.drivers.qemu.qmp import monitor
from kutti_sdk.runtime import processes
from kutti_sdk.testing.boot_disk import BOOT_MESSAGE

pytestmark = [
    pytest.mark.anyio,
    # One is enough: `test_checkpoints` has the other.
    pytest.mark.parametrize("anyio_backend", ["trio"]),
]


async def _statuses(driver: QemuDriver, clustername: str = "lab") -> list[HostStatus]:
    return [
        await host.status() for host in await driver.list_hosts() if host.clustername == clustername
    ]


async def _record(name: str = "node1", cluster: str = "lab") -> records.HostRecord:
    return await records.load_host(name, cluster, cluster)


def _hidden(workspace: Path) -> list[str]:
    """What interrupted work left of checkpoints."""
    return [path.name for path in workspace.rglob("checkpoints/lab/.*.*")]


async def test_hosts_are_saved_brought_back_and_copied(
    driver: QemuDriver, agent: PretendedAgent
) -> None:
    saved = await driver.save_checkpoint("one", *PLACE)
    assert await _statuses(driver) == [HostStatus.RUNNING] * 2
    assert 0 < saved.memory < 2 * 2**27, "memory that was never used takes nothing"
    await driver.restore_checkpoint("one", *PLACE)
    await driver.clone_checkpoint("one", *PLACE, to="copy")
    assert await _statuses(driver) == await _statuses(driver, "copy") == [HostStatus.RUNNING] * 2
    original, copy = await _record(), await _record(cluster="copy")
    assert copy.address == original.address
    for own in ("uuid", "mac", "host_key"):
        assert getattr(copy, own) != getattr(original, own)
    seeds = [script.split("\n", 1)[0] for script in agent.values]
    assert len(set(seeds)) == len(seeds) == 4, "each host has its own randomness"
    assert [f"mac={copy.mac}" in script for script in agent.values].count(True) == 1


async def test_disks_outlive_whoever_they_came_from(driver: QemuDriver) -> None:
    await driver.save_checkpoint("one", *PLACE)
    await driver.clone_checkpoint("one", *PLACE, to="copy")
    await driver.save_checkpoint("one", "copy", "copy")
    await driver.clone_checkpoint("one", "copy", "copy", to="third")
    for cluster in ("lab", "copy"):
        for host in await driver.list_hosts():
            if host.clustername == cluster:
                await host.force_stop()
                await driver.delete_host(host.name, cluster, cluster)
        await driver.delete_network(cluster)
    assert await driver.list_checkpoints() == []
    third = await driver.get_host("node1", "third", "third")
    await third.force_stop()
    disk = (await _record(cluster="third")).disk_path
    await anyio.run_process(["qemu-img", "info", "--backing-chain", str(disk)])
    await third.start()


async def test_the_image_of_a_checkpoint_cannot_be_removed(driver: QemuDriver) -> None:
    await driver.save_checkpoint("one", *PLACE)
    for host in await driver.list_hosts():
        await host.force_stop()
        await driver.delete_host(host.name, *PLACE)
    image = await driver.get_image("1.34")
    with pytest.raises(kutti.ImageInUseError, match="checkpoint one"):
        await image.purge_local()


async def test_a_receiver_that_dies_leaves_the_hosts_running(
    driver: QemuDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin = saving._begin_copy

    async def kill_and_begin(network: records.NetworkRecord, receiver: Receiver) -> float | None:
        pid = int(receiver.files.folder.joinpath("receiver.pid").read_text())
        os.kill(pid, signal.SIGKILL)
        return await begin(network, receiver)

    monkeypatch.setattr(saving, "_begin_copy", kill_and_begin)
    with pytest.raises(kutti.HypervisorError):
        await driver.save_checkpoint("one", *PLACE)
    assert await _statuses(driver) == [HostStatus.RUNNING] * 2
    assert await driver.list_checkpoints() == []
    assert not _hidden(kutti.data_dir())
    monkeypatch.undo()


async def test_a_save_that_fails_in_the_pause_lets_all_hosts_run_on(
    driver: QemuDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refuse(_: object, host: records.HostRecord) -> None:
        raise kutti.HypervisorError(f"no disk for {host.name}")

    monkeypatch.setattr(saving.disks, "switch_over", refuse)
    with pytest.raises(kutti.HypervisorError, match="no disk"):
        await driver.save_checkpoint("one", *PLACE)
    assert await _statuses(driver) == [HostStatus.RUNNING] * 2
    assert not _hidden(kutti.data_dir())


async def test_a_cancelled_save_lets_all_hosts_run_on(driver: QemuDriver) -> None:
    for delay in (0.1, 0.4, 0.7, 1.0):
        with anyio.move_on_after(delay):
            await driver.save_checkpoint("one", *PLACE)
            await driver.delete_checkpoint("one", *PLACE)
        assert await _statuses(driver) == [HostStatus.RUNNING] * 2
        assert not _hidden(kutti.data_dir())
    if not await driver.list_checkpoints():
        await driver.save_checkpoint("one", *PLACE)
    await driver.restore_checkpoint("one", *PLACE)


async def test_what_a_killed_save_left_is_removed_by_the_next_call(driver: QemuDriver) -> None:
    program = (
        f"{BEGIN}import anyio\n"
        "from kutti_sdk.drivers.qemu import QemuDriver\n"
        "from kutti_sdk.drivers.qemu.checkpoints import saving\n"
        "async def stand_still(qemu, host): print('now', flush=True); await anyio.sleep(600)\n"
        "saving.disks.switch_over = stand_still\n"
        "anyio.run(QemuDriver().save_checkpoint, 'one', 'lab', 'lab')\n"
    )
    env = environment(KUTTI_WORKSPACE=str(kutti.data_dir().parent))
    async with await anyio.open_process([sys.executable, "-c", program], env=env) as saver:
        assert saver.stdout is not None
        await saver.stdout.receive()
        saver.kill()
    assert _hidden(kutti.data_dir())
    with pytest.raises(kutti.CheckpointNotFoundError):
        await driver.delete_checkpoint("one", *PLACE)
    assert not _hidden(kutti.data_dir())
    assert await _statuses(driver) == [HostStatus.RUNNING] * 2
    await driver.save_checkpoint("one", *PLACE)
    await driver.restore_checkpoint("one", *PLACE)


async def test_a_host_that_does_not_go_on_boots_at_its_next_start(
    driver: QemuDriver, agent: PretendedAgent
) -> None:
    await driver.save_checkpoint("one", *PLACE)
    agent.error = kutti.HypervisorError("nobody at home")
    with pytest.raises(kutti.HypervisorError, match="nobody at home"):
        await driver.restore_checkpoint("one", *PLACE)
    assert await _statuses(driver) == [HostStatus.STOPPED] * 2
    host = await driver.get_host("node1", *PLACE)
    await host.start()
    with anyio.fail_after(60):
        while (await host.console(100)).count(BOOT_MESSAGE) < 2:
            await anyio.sleep(0.05)


async def test_a_host_that_was_left_half_somebody_else_is_in_error_and_started_anew(
    driver: QemuDriver, agent: PretendedAgent
) -> None:
    await driver.save_checkpoint("one", *PLACE)
    agent.error = kutti.HypervisorError("killed here")
    host = await _record()
    host.files.resume.mkdir()  # as a process leaves it that is killed before the end
    assert await lifecycle.host_status(host) is HostStatus.ERROR
    before = lifecycle.host_process(host)
    handle = await driver.get_host("node1", *PLACE)
    await handle.start()
    assert await handle.status() is HostStatus.RUNNING
    assert lifecycle.host_process(host) != before


async def test_an_interrupted_restore_keeps_hosts_that_do_not_fit_together_from_booting(
    driver: QemuDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    from kutti_sdk.drivers.qemu.checkpoints import restoring

    await driver.save_checkpoint("one", *PLACE)
    bring_back, done = restoring._bring_back, SimpleNamespace(hosts=0)

    async def once(*arguments: Any) -> None:
        if done.hosts:
            raise KeyboardInterrupt
        done.hosts += 1
        await bring_back(*arguments)

    monkeypatch.setattr(restoring, "_bring_back", once)
    with pytest.raises(KeyboardInterrupt):
        await driver.restore_checkpoint("one", *PLACE)
    host = await driver.get_host("node2", *PLACE)
    with pytest.raises(kutti.CheckpointMismatchError, match="interrupted") as refusal:
        await host.start()
    assert refusal.value.hint
    monkeypatch.setattr(restoring, "_bring_back", bring_back)
    await driver.restore_checkpoint("one", *PLACE)
    assert await _statuses(driver) == [HostStatus.RUNNING] * 2


async def test_a_cluster_that_is_brought_back_twice_at_once_runs(driver: QemuDriver) -> None:
    await driver.save_checkpoint("one", *PLACE)
    async with anyio.create_task_group() as group:
        for _ in range(2):
            group.start_soon(driver.restore_checkpoint, "one", *PLACE)
    assert await _statuses(driver) == [HostStatus.RUNNING] * 2


async def test_a_checkpoint_that_would_not_fit_is_refused(
    driver: QemuDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    full = SimpleNamespace(total=10**9, used=10**9, free=10**6)
    monkeypatch.setattr(examination.shutil, "disk_usage", lambda _: full)
    with pytest.raises(kutti.NotEnoughDiskError) as refusal:
        await driver.save_checkpoint("one", *PLACE)
    assert refusal.value.hint
    monkeypatch.undo()
    assert await _statuses(driver) == [HostStatus.RUNNING] * 2


async def test_a_disk_that_fills_up_leaves_the_hosts_running(
    driver: QemuDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: Path) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("kutti_sdk.drivers.qemu.checkpoints.receiver.sync_file", fail)
    with pytest.raises(OSError, match="No space"):
        await driver.save_checkpoint("one", *PLACE)
    assert await driver.list_checkpoints() == []
    assert not _hidden(kutti.data_dir())
    assert await _statuses(driver) == [HostStatus.RUNNING] * 2


async def test_a_checkpoint_of_another_qemu_is_refused_and_nothing_touched(
    driver: QemuDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    await driver.save_checkpoint("one", *PLACE)
    before = processes.identify(int((await _record()).files.pid.read_text()))
    monkeypatch.setitem(conditions.CPU_MODELS, "tcg", "another")
    with pytest.raises(kutti.CheckpointMismatchError, match="CPU model"):
        await driver.restore_checkpoint("one", *PLACE)
    with pytest.raises(kutti.CheckpointMismatchError):
        await driver.clone_checkpoint("one", *PLACE, to="copy")
    assert processes.identify(int((await _record()).files.pid.read_text())) == before
    assert [network.name for network in await driver.list_networks()] == ["lab"]


async def test_what_a_host_writes_goes_to_the_disk_that_its_record_names(
    driver: QemuDriver,
) -> None:
    await driver.save_checkpoint("one", *PLACE)
    host = await _record()
    network = await records.load_network("lab")
    async with monitor(network.sockets.monitor(host.id)) as qemu:
        (drive,) = await qemu.execute("query-block")
    assert drive["inserted"]["node-name"] == host.disk_path.stem
    assert host.layers == ("disk.qcow2",)
