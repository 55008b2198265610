from __future__ import annotations

import gc
from pathlib import Path

import anyio
import pytest

from kutti_sdk.core.errors import (
    ChecksumMismatchError,
    HostRunningError,
    ImageNotFoundError,
    InvalidVersionError,
    NotEnoughCPUsError,
    NotEnoughDiskError,
    NotEnoughMemoryError,
)
from kutti_sdk.core.events import ProgressEvent, observe
from kutti_sdk.core.host import HostSize, VMHost
from kutti_sdk.core.sizes import GiB
from kutti_sdk.core.status import HostStatus, ImageStatus
from kutti_sdk.drivers.simulated import PublishedImage, SimulatedDriver, SimulatedTimings

pytestmark = pytest.mark.anyio

SMALL = HostSize(cpus=2, memory=4 * GiB, disk=50 * GiB)


def test_one_driver_serves_one_event_loop_after_the_other() -> None:
    driver = SimulatedDriver()

    async def make() -> VMHost:
        await driver.create_network("lab")
        return await driver.create_host("node1", "lab", "lab", "none")

    async def stop(host: VMHost) -> None:
        await host.stop()

    host = anyio.run(make)
    anyio.run(host.start, backend="trio")
    anyio.run(stop, host)
    assert anyio.run(host.status, backend="trio") is HostStatus.STOPPED


async def test_the_machine_is_as_large_as_it_was_made() -> None:
    driver = SimulatedDriver(capacity=SMALL)
    await driver.create_network("lab")
    for error, size in (
        (NotEnoughCPUsError, {"cpus": 3}),
        (NotEnoughMemoryError, {"memory": "5GiB"}),
        (NotEnoughDiskError, {"disk": "51GiB"}),
    ):
        with pytest.raises(error):
            await driver.create_host("node1", "lab", "lab", "none", **size)  # type: ignore[arg-type]
    assert await driver.list_hosts() == []


async def test_running_hosts_take_memory() -> None:
    driver = SimulatedDriver(capacity=SMALL)
    await driver.create_network("lab")
    hosts = [
        await driver.create_host(f"node{n}", "lab", "lab", "none", memory="2GiB") for n in (1, 2, 3)
    ]
    await hosts[0].start()
    await driver.check_capacity([HostSize(1, 2 * GiB, GiB)])
    with pytest.raises(NotEnoughMemoryError, match="2 GiB are left"):
        await driver.check_capacity([HostSize(1, GiB, GiB)] * 3)
    await hosts[1].start()
    with pytest.raises(NotEnoughMemoryError):
        await hosts[2].start()
    assert await hosts[2].status() is HostStatus.STOPPED
    await hosts[0].force_stop()
    await hosts[2].start()


async def test_only_one_of_two_starts_succeeds(host: VMHost) -> None:
    outcomes: list[str] = []

    async def start() -> None:
        try:
            await host.start()
            outcomes.append("started")
        except HostRunningError:
            outcomes.append("refused")

    async with anyio.create_task_group() as group:
        group.start_soon(start)
        group.start_soon(start)
    assert sorted(outcomes) == ["refused", "started"]


async def test_hosts_boot_in_parallel(driver: SimulatedDriver, host: VMHost) -> None:
    other = await driver.create_host("node2", "lab", "lab", "1.34")
    await other.forward_ssh_port()

    async def boot(it: VMHost) -> None:
        await it.start()
        await (await it.ssh_client()).wait_until_ready(await it.ssh_address())

    before = driver.clock.now()
    async with anyio.create_task_group() as group:
        group.start_soon(boot, host)
        group.start_soon(boot, other)
    assert driver.clock.now() - before == pytest.approx(11)


async def test_things_take_the_time_they_were_given() -> None:
    driver = SimulatedDriver(timings=SimulatedTimings(start=7, boot=100, stop=50))
    await driver.create_network("lab")
    host = await driver.create_host("node1", "lab", "lab", "none")
    before = driver.clock.now()
    await host.start()
    assert driver.clock.now() - before == pytest.approx(7)
    await host.stop(timeout=200)
    assert driver.clock.now() - before == pytest.approx(157)


async def test_long_operations_tell_their_progress(driver: SimulatedDriver, host: VMHost) -> None:
    events: list[ProgressEvent] = []
    with observe(events.append):
        await host.start()
        await (await host.ssh_client()).wait_until_ready(await host.ssh_address())
        await host.stop()
        await driver.fetch_image_list()
        await (await driver.get_image("1.35")).fetch()
    phases = list(dict.fromkeys(event.phase for event in events))
    assert phases == ["start", "ssh", "stop", "image-list", "download"]
    assert {(event.host, event.cluster) for event in events[:3]} == {("node1", "lab")}
    assert events[-1].fraction == 1


async def test_a_cancelled_download_goes_on_where_it_ended(driver: SimulatedDriver) -> None:
    image = await driver.get_image("1.35")
    with anyio.CancelScope() as scope:
        with observe(lambda event: scope.cancel() if event.fraction == 0.5 else None):
            await image.fetch()
    assert await image.status() is ImageStatus.NOT_DOWNLOADED
    events: list[ProgressEvent] = []
    with observe(events.append):
        await image.fetch()
    assert [event.fraction for event in events] == [0.6, 0.7, 0.8, 0.9, 1.0]


async def test_a_published_list_is_known_when_it_was_fetched(driver: SimulatedDriver) -> None:
    driver.publish_images([PublishedImage("1.36.0"), PublishedImage("1.33.1", deprecated=True)])
    with pytest.raises(ImageNotFoundError):
        await driver.get_image("1.36")
    await driver.fetch_image_list()
    assert (await driver.get_image("1.33")).deprecated
    versions = [image.k8s_version for image in await driver.list_images()]
    assert versions == ["1.36.0", "1.34.2", "1.33.1", "1.30.0", "none"]  # 1.35.0 was not here
    with pytest.raises(InvalidVersionError):
        driver.publish_images([PublishedImage("newest")])


async def test_an_image_is_taken_from_a_file_that_holds_it(
    driver: SimulatedDriver, tmp_path: Path
) -> None:
    image = await driver.get_image("1.35")
    file = tmp_path / "image"
    file.write_bytes(PublishedImage("1.34.2").content)
    with pytest.raises(ChecksumMismatchError):
        await image.from_file(file)
    assert await image.status() is ImageStatus.NOT_DOWNLOADED
    file.write_bytes(PublishedImage("1.35.0").content)
    await image.from_file(file)
    assert await image.status() is ImageStatus.DOWNLOADED


async def test_an_image_larger_than_the_machine_is_not_fetched() -> None:
    driver = SimulatedDriver(capacity=SMALL, images=[PublishedImage("1.35.0", size=51 * GiB)])
    with pytest.raises(NotEnoughDiskError):
        await (await driver.get_image("1.35")).fetch()


async def test_a_watch_may_be_left_without_closing_it(
    driver: SimulatedDriver, host: VMHost
) -> None:
    async for change in driver.watch():
        assert change.hostname == "node1"
        break
    async for status in host.watch():
        assert status is HostStatus.STOPPED
        break
    gc.collect()  # trio complains about generators here


async def test_handles_tell_in_one_line_what_they_are(
    driver: SimulatedDriver, host: VMHost
) -> None:
    assert repr(host) == "<SimulatedHost lab/node1 192.168.125.11>"
    assert repr(driver) == "<SimulatedDriver simulated: 1 hosts>"
    assert repr(await driver.get_network("lab")) == "<SimulatedNetwork lab 192.168.125.0/24>"
    assert repr(await driver.get_image("1.34")) == "<SimulatedImage 1.34.2>"


async def test_a_boot_that_was_cut_short_does_not_go_on(
    driver: SimulatedDriver, host: VMHost
) -> None:
    await host.start()
    await driver.clock.sleep(9)
    await host.force_stop()
    await host.start()
    await driver.clock.sleep(9)
    assert "login" not in await host.console()
    await driver.clock.sleep(1)
    assert "login" in await host.console()
