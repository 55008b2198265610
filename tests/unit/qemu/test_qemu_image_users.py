"""An image does not go away while a host is made from it, and files know their version."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import anyio
import pytest

from kutti_sdk.core.errors import (
    ChecksumMismatchError,
    ImageInUseError,
    ImageNotDownloadedError,
    ImageNotFoundError,
)
from kutti_sdk.core.image import VMImage
from kutti_sdk.drivers.qemu import QemuDriver, overlay, provisioning, records
from kutti_sdk.drivers.qemu.settings import ImageSettings
from kutti_sdk.images.store import local_images
from kutti_sdk.runtime.directories import config_dir

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(
        not (shutil.which("qemu-img") and shutil.which("qemu-system-x86_64")), reason="needs QEMU"
    ),
]


@pytest.fixture
def driver() -> QemuDriver:
    return QemuDriver()


@pytest.fixture
async def disk(workspace: Path) -> Path:
    path = workspace / "disk.qcow2"
    await anyio.run_process(["qemu-img", "create", "-q", "-f", "qcow2", str(path), "1M"])
    return path


@pytest.fixture
async def image(driver: QemuDriver, disk: Path) -> VMImage:
    await driver.create_network("lab")
    return await driver.import_image(disk)


async def make_host(driver: QemuDriver, name: str = "node1") -> None:
    await driver.create_host(name, "lab", "lab", "none", memory="128MiB", disk="1GiB")


async def test_an_image_that_is_purged_while_a_disk_is_made_gives_no_host(
    driver: QemuDriver, image: VMImage, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = overlay.processes.run

    async def purge_then_run(command: list[str], *, timeout: float) -> object:
        result = await run(command, timeout=timeout)
        if "create" in command:
            await image.purge_local()  # nobody uses it yet
        return result

    monkeypatch.setattr(overlay.processes, "run", purge_then_run)
    with pytest.raises(ImageNotDownloadedError):
        await make_host(driver)
    monkeypatch.undo()
    assert await driver.list_hosts() == []
    hosts = records.layout.network_files("lab").hosts
    assert not hosts.exists() or list(hosts.iterdir()) == []


async def test_an_image_that_is_purged_before_a_disk_is_made_gives_no_host(
    driver: QemuDriver, image: VMImage, monkeypatch: pytest.MonkeyPatch
) -> None:
    find = provisioning.image_for_new_host

    async def find_then_purge(k8sversion: str, settings: ImageSettings) -> object:
        found = await find(k8sversion, settings)
        await image.purge_local()
        return found

    monkeypatch.setattr(provisioning, "image_for_new_host", find_then_purge)
    with pytest.raises(ImageNotDownloadedError):
        await make_host(driver)
    assert await driver.list_hosts() == []


async def test_whatever_the_order_no_host_is_without_its_image(
    driver: QemuDriver, disk: Path, image: VMImage
) -> None:
    outcomes = set()

    async def make(name: str) -> None:
        try:
            await make_host(driver, name)
            outcomes.add("made")
        except (ImageNotDownloadedError, ImageNotFoundError):
            outcomes.add("refused")

    async def purge() -> None:
        for copy in await local_images():
            try:
                await (await driver.get_image(copy.k8s_version)).purge_local()
            except (ImageInUseError, ImageNotFoundError):
                pass

    for attempt in range(4):
        async with anyio.create_task_group() as group:
            for number in range(3):
                group.start_soon(make, f"node{number}")
                group.start_soon(purge)
                await anyio.sleep(0.01 * attempt)
        here = {copy.checksum for copy in await local_images()}
        hosts = await records.load_hosts()
        assert {host.image for host in hosts} <= here
        for host in hosts:
            await driver.delete_host(host.name, "lab", "lab")
        await driver.import_image(disk)
    assert outcomes <= {"made", "refused"}


async def test_an_image_in_use_is_not_pruned_and_its_users_are_told(
    driver: QemuDriver, image: VMImage
) -> None:
    await make_host(driver)
    (copy,) = await driver.list_image_copies()
    assert copy.used_by == ("node1 (cluster lab)",)
    assert (await image.details()).used_by == copy.used_by
    assert await driver.prune_images() == []
    await driver.delete_host("node1", "lab", "lab")
    (removed,) = await driver.prune_images()
    assert removed.checksum == copy.checksum
    assert await driver.list_images() == []


async def test_a_host_whose_record_is_damaged_keeps_every_image(
    driver: QemuDriver, image: VMImage
) -> None:
    await make_host(driver)
    (host,) = await records.load_hosts()
    host.files.record.write_text("{")
    with pytest.raises(ImageInUseError, match="record cannot be read"):
        await image.purge_local()
    assert await driver.prune_images() == []


async def test_a_file_is_not_taken_for_the_image_that_a_list_names(
    driver: QemuDriver, disk: Path
) -> None:
    listed = {"1.34.2": {"ImageChecksum": "a" * 64, "ImageSourceURL": "http://x.example/y"}}
    (config_dir() / "list.json").write_text(json.dumps(listed))
    driver = QemuDriver(image_list=str(config_dir() / "list.json"))
    await driver.fetch_image_list()
    with pytest.raises(ChecksumMismatchError):
        await driver.import_image(disk, "1.34.2")
    assert await local_images() == []


async def test_a_bundle_is_imported_under_the_version_that_it_has(
    driver: QemuDriver, disk: Path, workspace: Path
) -> None:
    image = await driver.import_image(disk, "1.34.2")
    await image.export(workspace / "lab.kutti")
    await image.purge_local()
    again = await driver.import_image(workspace / "lab.kutti")
    assert (again.k8s_version, again.checksum) == ("1.34.2", image.checksum)
