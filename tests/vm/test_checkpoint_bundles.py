"""Checkpoints that are carried to another machine, which is another workspace here."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import anyio
import pytest
from bare_hosts import PLACE

import kutti_sdk as kutti
from kutti_sdk.core.status import HostStatus
from kutti_sdk.drivers.qemu import QemuDriver, records
from kutti_sdk.drivers.qemu.checkpoints import conditions
from kutti_sdk.drivers.qemu.checkpoints.bundle_contents import judge_bundle
from kutti_sdk.drivers.qemu.checkpoints.records import load_checkpoints
from kutti_sdk.testing.boot_disk import BOOT_MESSAGE

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.parametrize("anyio_backend", ["trio"]),
]


@contextmanager
def _another_machine(folder: Path) -> Iterator[QemuDriver]:
    here = kutti.data_dir().parent
    kutti.set_workspace(folder)
    try:
        yield QemuDriver()
    finally:
        kutti.set_workspace(here)


async def _remove_all(driver: QemuDriver) -> None:
    for host in await driver.list_hosts():
        await host.force_stop()
        await driver.delete_host(host.name, host.networkname, host.clustername)
    for network in await driver.list_networks():
        await driver.delete_network(network.name)


async def test_a_checkpoint_goes_on_where_it_was_carried_to(
    driver: QemuDriver, tmp_path: Path
) -> None:
    await driver.save_checkpoint("first", *PLACE)
    await driver.save_checkpoint("one", *PLACE, note="carried")  # its disks have layers
    bundle = tmp_path / "one.kutti"
    await driver.export_checkpoint("one", *PLACE, bundle, description=b"about the cluster")
    assert stat.S_IMODE(bundle.stat().st_mode) == 0o600, "it has secrets in it"
    assert bundle.stat().st_size < 32 * 2**20, "memory that was never used takes nothing"
    with pytest.raises(kutti.ConflictError):
        await driver.export_checkpoint("one", *PLACE, bundle)
    with _another_machine(tmp_path / "other") as other:
        carried = await other.inspect_checkpoint(bundle)
        assert (carried.details.name, carried.description) == ("one", b"about the cluster")
        details = await other.import_checkpoint(bundle, to="brought")
        assert (details.name, details.clustername, details.note) == ("one", "brought", "carried")
        assert details in await other.list_checkpoints()
        assert 0 < details.memory < 2 * 2**27, "what was a hole is one again"
        with pytest.raises(kutti.NetworkExistsError):
            await other.import_checkpoint(bundle, to="brought")
        try:
            await other.clone_checkpoint("one", "brought", "brought", to="copy")
            hosts = await other.list_hosts()
            assert [await host.status() for host in hosts] == [HostStatus.RUNNING] * 2
            await hosts[0].force_stop()
            await hosts[0].start()  # its disks stand on each other, and on the image of here
            with anyio.fail_after(60):
                while BOOT_MESSAGE not in await hosts[0].console():
                    await anyio.sleep(0.05)
            record = await records.load_host("node1", "copy", "copy")
            chain = await anyio.run_process(
                ["qemu-img", "info", "-U", "--backing-chain", str(record.disk_path)]
            )
            assert str(kutti.data_dir()) in chain.stdout.decode()
            assert str(tmp_path / "other" / "cache") in chain.stdout.decode()
        finally:
            await _remove_all(other)
    assert [it.name for it in await driver.list_checkpoints()] == ["first", "one"]


async def test_what_is_damaged_or_does_not_fit_is_refused_and_leaves_nothing(
    driver: QemuDriver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await driver.save_checkpoint("one", *PLACE)
    bundle, copy = tmp_path / "one.kutti", tmp_path / "copy.kutti"
    await driver.export_checkpoint("one", *PLACE, bundle)
    offsets = judge_bundle(bundle).offsets
    assert list(offsets)[:3] == ["node1/memory.qcow2", "node1/devices", "node1/disk.qcow2"]
    with _another_machine(tmp_path / "other") as other:
        for offset in reversed(offsets.values()):  # the image first: it stays, once it is here
            content = bytearray(bundle.read_bytes())
            content[offset + 600] ^= 1
            copy.write_bytes(content)
            with pytest.raises((kutti.ChecksumMismatchError, kutti.ImageFormatError)):
                await other.import_checkpoint(copy, to="brought")
        copy.write_bytes(bundle.read_bytes()[:-4096])
        with pytest.raises(kutti.ImageFormatError):
            await other.import_checkpoint(copy, to="brought")
        monkeypatch.setitem(conditions.CPU_MODELS, "tcg", "another")
        for attempt in (other.inspect_checkpoint(bundle), other.import_checkpoint(bundle, to="b")):
            with pytest.raises(kutti.CheckpointMismatchError, match="CPU model"):
                await attempt
        monkeypatch.undo()
        assert await other.list_networks() == []
        assert await load_checkpoints() == []
        assert not list(kutti.data_dir().rglob("memory*"))
