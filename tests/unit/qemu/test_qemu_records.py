"""What is kept about networks and hosts survives what happens to files."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path

import pytest

import kutti_sdk as kutti
from kutti_sdk.drivers.qemu import QemuDriver, records
from kutti_sdk.drivers.qemu.records import HostRecord, NetworkRecord
from kutti_sdk.runtime import state

pytestmark = pytest.mark.anyio


@pytest.fixture
async def kept(network: NetworkRecord, host: HostRecord, anyio_backend: str) -> HostRecord:
    await QemuDriver().create_network(network.name, cidr=network.cidr)
    host.files.folder.mkdir(parents=True)
    await records.save_host(host)
    return host


async def test_a_host_is_read_back(kept: HostRecord) -> None:
    assert await records.load_host("node1", "lab", "lab") == kept
    assert await records.load_hosts() == [kept]


async def test_a_damaged_record_is_reported_and_left_as_it_is(
    kept: HostRecord, caplog: pytest.LogCaptureFixture
) -> None:
    other = replace(kept, name="node2")
    other.files.folder.mkdir()
    await records.save_host(other)
    kept.files.record.write_bytes(b'{"name": "node1", "netw')
    with pytest.raises(kutti.CorruptStateError) as report:
        await QemuDriver().get_host("node1", "lab", "lab")
    assert str(kept.files.record) in str(report.value)
    assert kept.files.record.read_bytes() == b'{"name": "node1", "netw'
    with caplog.at_level(logging.WARNING):
        assert [host.name for host in await QemuDriver().list_hosts()] == ["node2"]
    assert "host.json" in caplog.text


async def test_a_host_with_a_damaged_record_is_not_lost_with_its_network(kept: HostRecord) -> None:
    kept.files.disk.write_bytes(b"precious")
    kept.files.record.write_bytes(b"")
    with pytest.raises(kutti.CorruptStateError) as refusal:
        await QemuDriver().delete_network("lab")
    assert str(kept.files.folder) in str(refusal.value)
    assert refusal.value.hint
    assert kept.files.disk.read_bytes() == b"precious"
    await records.save_host(kept)
    assert len(await QemuDriver().list_hosts()) == 1


async def test_a_host_without_its_disk_is_an_error_and_can_be_deleted(kept: HostRecord) -> None:
    driver = QemuDriver()
    host = await driver.get_host("node1", "lab", "lab")
    assert await host.status() is kutti.HostStatus.ERROR
    await driver.delete_host("node1", "lab", "lab")
    await driver.delete_network("lab")
    assert not list((kutti.data_dir() / "qemu" / "networks").iterdir())


async def test_what_an_interrupted_create_left_is_swept(kept: HostRecord) -> None:
    left = kept.files.folder.with_name(".node2.12345678")
    left.mkdir()
    (left / "disk.qcow2").write_bytes(b"half")
    assert len(await records.load_hosts()) == 1
    records.sweep("lab")
    assert not left.exists()
    assert kept.files.record.exists()


async def test_a_stale_pid_file_is_no_running_host(kept: HostRecord) -> None:
    disk: Path = kept.files.disk
    disk.write_bytes(b"")
    kept.files.pid.write_text("1\n")  # a process that lives, and is another
    host = await QemuDriver().get_host("node1", "lab", "lab")
    assert await host.status() is kutti.HostStatus.STOPPED


async def test_records_of_a_later_version_are_read_with_what_is_known(kept: HostRecord) -> None:
    text = kept.files.record.read_text().replace("{", '{"invented_later": [1],', 1)
    kept.files.record.write_text(text)
    assert await state.load(kept.files.record, HostRecord) == kept
