"""Who wants the same file shares one download, in one process and in several."""

from __future__ import annotations

import hashlib
import os
import random
import resource
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import anyio
import pytest
from fault_server import FaultServer
from image_samples import qcow2_disk
from server_faults import Corrupt, Slow, Stall

from kutti_sdk.core.errors import ChecksumMismatchError, KuttiError
from kutti_sdk.core.events import ProgressEvent, observe
from kutti_sdk.core.status import ImageStatus
from kutti_sdk.images.catalogue import CatalogueEntry
from kutti_sdk.images.download import partial_downloads, remove_partial
from kutti_sdk.images.download.partial import downloads_folder, part_of
from kutti_sdk.images.image import StoredImage

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("impatient")]

MIB = 1024 * 1024
# What follows the disk inside of its file is of no interest to anybody.
CONTENT = qcow2_disk() + random.Random(4).randbytes(8 * MIB)
CHECKSUM = hashlib.sha256(CONTENT).hexdigest()

FETCH = """
import sys, anyio
from kutti_sdk.core.events import observe
from kutti_sdk.images.catalogue import CatalogueEntry
from kutti_sdk.images.image import StoredImage

async def nobody(checksum):
    return []

def tell(event):
    if event.bytes_done is not None:
        print(event.bytes_done, flush=True)

url, checksum = sys.argv[1:]
with observe(tell):
    anyio.run(StoredImage("1.34", checksum, CatalogueEntry("1.34", checksum, url), nobody).fetch)
"""


async def nobody(checksum: str) -> list[str]:
    return []


def image_at(url: str) -> StoredImage:
    return StoredImage("1.34", CHECKSUM, CatalogueEntry("1.34", CHECKSUM, url), nobody)


@pytest.fixture
def image(server: FaultServer, workspace: Path) -> StoredImage:
    server.files["/disk.qcow2"] = CONTENT
    return image_at(server.url("/disk.qcow2"))


@contextmanager
def another_process_fetching(
    image: StoredImage, workspace: Path, **options: object
) -> Iterator[subprocess.Popen[str]]:
    assert image._entry is not None
    process = subprocess.Popen(
        [sys.executable, "-c", FETCH, image._entry.source_url, CHECKSUM],
        env=os.environ | {"KUTTI_WORKSPACE": str(workspace)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **options,  # type: ignore[call-overload]
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


async def until_bytes_are_here(size: int) -> None:
    while not part_of(CHECKSUM).exists() or part_of(CHECKSUM).stat().st_size < size:
        await anyio.sleep(0.01)


def bytes_sent(server: FaultServer) -> int:
    return sum(request.sent for request in server.requests)


async def test_tasks_of_one_process_share_a_download(
    server: FaultServer, image: StoredImage
) -> None:
    server.always["/disk.qcow2"] = Slow(16 * MIB)
    told: list[list[ProgressEvent]] = [[] for _ in range(5)]

    async def fetch(events: list[ProgressEvent]) -> None:
        with observe(events.append):
            await image.fetch()

    async with anyio.create_task_group() as group:
        for events in told:
            group.start_soon(fetch, events)
    assert len(server.requests) == 1
    assert await image.status() is ImageStatus.DOWNLOADED
    for events in told:
        assert any(0 < (event.bytes_done or 0) < len(CONTENT) for event in events), "all see it"
    assert list(downloads_folder().iterdir()) == []


async def test_processes_share_a_download(
    server: FaultServer, image: StoredImage, workspace: Path
) -> None:
    server.always["/disk.qcow2"] = Slow(8 * MIB)
    with (
        another_process_fetching(image, workspace) as one,
        another_process_fetching(image, workspace) as other,
    ):
        for process in (one, other):
            output, errors = await anyio.to_thread.run_sync(process.communicate)
            assert process.returncode == 0, errors
            assert any(0 < int(line) < len(CONTENT) for line in output.split()), "both see it"
    assert len(server.requests) == 1
    assert await image.status() is ImageStatus.DOWNLOADED


async def test_after_a_kill_at_nine_tenths_no_more_than_the_rest_is_asked_for(
    server: FaultServer, image: StoredImage, workspace: Path
) -> None:
    tenth = len(CONTENT) // 10
    server.faults["/disk.qcow2"] = [Stall(after=9 * tenth)]
    with another_process_fetching(image, workspace) as process:
        await until_bytes_are_here(9 * tenth)
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert await image.status() is ImageStatus.NOT_DOWNLOADED
    server.requests.clear()
    await image.fetch()
    assert await image.status() is ImageStatus.DOWNLOADED
    assert bytes_sent(server) <= len(CONTENT) - 9 * tenth + MIB
    assert list(downloads_folder().iterdir()) == []


@pytest.mark.parametrize("how", ["killed", "cancelled"])
async def test_who_waits_takes_over_from_one_who_stops(
    server: FaultServer, image: StoredImage, workspace: Path, how: str
) -> None:
    half = len(CONTENT) // 2
    server.faults["/disk.qcow2"] = [Stall(after=half)]
    with another_process_fetching(image, workspace) as process:
        await until_bytes_are_here(half)
        async with anyio.create_task_group() as group:
            group.start_soon(image.fetch)
            await anyio.sleep(0.3)  # long enough to be waiting
            assert len(server.requests) == 1
            process.send_signal(signal.SIGKILL if how == "killed" else signal.SIGINT)
    assert await image.status() is ImageStatus.DOWNLOADED
    assert [request.first_byte for request in server.requests] == [0, half]


async def test_who_stops_waiting_does_not_hurt_the_download(
    server: FaultServer, image: StoredImage
) -> None:
    server.always["/disk.qcow2"] = Slow(16 * MIB)
    async with anyio.create_task_group() as group:
        group.start_soon(image.fetch)
        await until_bytes_are_here(1)
        with anyio.move_on_after(0.2) as waiting:
            await image.fetch()
        assert waiting.cancelled_caught
    assert await image.status() is ImageStatus.DOWNLOADED
    assert len(server.requests) == 1


async def test_a_failure_is_that_of_all_who_waited_but_not_of_who_comes_later(
    server: FaultServer, image: StoredImage
) -> None:
    server.faults["/disk.qcow2"] = [Slow(16 * MIB)]
    server.files["/disk.qcow2"] = CONTENT[::-1]
    failures: list[KuttiError] = []

    async def fetch() -> None:
        try:
            await image.fetch()
        except KuttiError as error:
            failures.append(error)

    async with anyio.create_task_group() as group:
        for _ in range(4):
            group.start_soon(fetch)
    assert [type(error) for error in failures] == [ChecksumMismatchError] * 4
    assert len({str(error) for error in failures}) == 1
    assert len(server.requests) == 1
    server.files["/disk.qcow2"] = CONTENT
    await image.fetch()
    assert await image.status() is ImageStatus.DOWNLOADED


async def test_a_part_that_somebody_downloads_is_not_removed(
    server: FaultServer, image: StoredImage, workspace: Path
) -> None:
    server.always["/disk.qcow2"] = Stall(after=MIB)
    with another_process_fetching(image, workspace) as process:
        await until_bytes_are_here(MIB)
        assert not await remove_partial(CHECKSUM)
        process.kill()
        process.wait()
    (part,) = await partial_downloads()
    assert (part.checksum, part.bytes_done) == (CHECKSUM, MIB)
    assert await remove_partial(CHECKSUM)
    assert await partial_downloads() == []


async def test_a_killed_import_does_not_cost_the_download(
    server: FaultServer, image: StoredImage, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken_off(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as broken, pytest.raises(KeyboardInterrupt):
        broken.setattr("kutti_sdk.images.image.keep_file", broken_off)
        await image.fetch()
    assert await image.status() is ImageStatus.NOT_DOWNLOADED
    await image.fetch()
    assert await image.status() is ImageStatus.DOWNLOADED
    assert len(server.requests) == 1


async def test_a_file_that_is_no_image_is_not_kept(server: FaultServer, workspace: Path) -> None:
    server.files["/x.qcow2"] = content = b"no disk" * 1000
    checksum = hashlib.sha256(content).hexdigest()
    entry = CatalogueEntry("1.34", checksum, server.url("/x.qcow2"))
    with pytest.raises(KuttiError):
        await StoredImage("1.34", checksum, entry, nobody).fetch()
    assert await partial_downloads() == []


async def test_a_full_disk_keeps_what_came_and_says_so(
    server: FaultServer, image: StoredImage, workspace: Path
) -> None:
    """A limit to the size of files stands for the disk: the system refuses to write on."""

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (4 * MIB, 4 * MIB))

    with another_process_fetching(image, workspace, preexec_fn=limit) as process:
        _, errors = await anyio.to_thread.run_sync(process.communicate)
    assert "NotEnoughDiskError" in errors
    assert "gone on with" in errors
    (part,) = await partial_downloads()
    assert part.bytes_done == 4 * MIB
    assert part.path.read_bytes() == CONTENT[: 4 * MIB]
    await image.fetch()
    assert await image.status() is ImageStatus.DOWNLOADED
    assert server.requests[-1].first_byte == 4 * MIB


async def test_a_corrupt_byte_is_found_at_the_end(server: FaultServer, image: StoredImage) -> None:
    server.always["/disk.qcow2"] = Corrupt(at=len(CONTENT) - 1)
    with pytest.raises(ChecksumMismatchError):
        await image.fetch()
    assert await image.status() is ImageStatus.NOT_DOWNLOADED
    assert await partial_downloads() == []
