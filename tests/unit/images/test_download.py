"""Downloads end with the promised bytes or with an error, whatever the server does."""

from __future__ import annotations

import hashlib
import random
from itertools import pairwise
from pathlib import Path

import anyio
import anyio.lowlevel
import pytest
from fault_server import FaultServer
from server_faults import (
    Both,
    Corrupt,
    Endless,
    Fault,
    Fine,
    GzipBomb,
    Header,
    IgnoreRange,
    NoLength,
    NoValidators,
    Redirect,
    Reset,
    Silent,
    Slow,
    Stall,
    Status,
    Truncate,
    Unsatisfiable,
    WebPage,
    WrongContentRange,
    WrongLength,
)

from kutti_sdk.core.errors import (
    ChecksumMismatchError,
    DownloadError,
    NotEnoughDiskError,
)
from kutti_sdk.core.events import ProgressEvent, observe
from kutti_sdk.images.catalogue import CatalogueEntry
from kutti_sdk.images.download import download, partial_downloads, remove_partial, space
from kutti_sdk.images.download.partial import downloads_folder, part_of
from kutti_sdk.runtime.http import HttpSettings

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("workspace", "impatient")]

KIB = 1024
SIZE = 1024 * KIB
CONTENT = random.Random(3).randbytes(SIZE)
CHECKSUM = hashlib.sha256(CONTENT).hexdigest()
HALF = SIZE // 2
HTTP = HttpSettings(stall_timeout=0.5)


@pytest.fixture
def entry(server: FaultServer) -> CatalogueEntry:
    server.files["/disk.qcow2"] = CONTENT
    return CatalogueEntry("1.34", CHECKSUM, server.url("/disk.qcow2"))


@pytest.fixture
def destination(workspace: Path) -> Path:
    return downloads_folder() / "image"


def first_bytes_asked(server: FaultServer) -> list[int]:
    return [request.first_byte for request in server.requests]


async def leave_a_part(entry: CatalogueEntry, server: FaultServer, size: int = HALF) -> None:
    """As somebody who was interrupted would."""
    server.faults["/disk.qcow2"] = [Stall(after=size)]
    async with anyio.create_task_group() as group:
        group.start_soon(download, entry, downloads_folder() / "never", HttpSettings())
        while not part_of(CHECKSUM).exists() or part_of(CHECKSUM).stat().st_size < size:
            await anyio.sleep(0.01)
        group.cancel_scope.cancel()
    (part,) = await partial_downloads()
    assert part.bytes_done == size
    server.requests.clear()


async def test_a_file_arrives_with_one_request(
    server: FaultServer, entry: CatalogueEntry, destination: Path
) -> None:
    await download(entry, destination, HTTP)
    assert destination.read_bytes() == CONTENT
    assert first_bytes_asked(server) == [0]
    assert server.requests[0].headers["accept-encoding"] == "identity"


# What one fault in the middle comes to, when the server is fine afterwards: where the
# requests begin.
AFTER_ONE_FAULT = [
    (Truncate(after=HALF), [0, HALF]),
    (Stall(after=HALF), [0, HALF]),
    (Silent(), [0, 0]),
    (Truncate(after=0), [0, 0]),
    (Status(408), [0, 0]),
    (Status(429, {"Retry-After": "0"}), [0, 0]),
    (Status(500), [0, 0]),
    (Status(503, {"Retry-After": "Sat, 01 Nov 2025 09:00:00 GMT"}), [0, 0]),
    (Status(503, {"Retry-After": "soon"}), [0, 0]),
    (WrongLength(by=1000), [0]),  # the bytes are right, and the length is not asked
    (NoLength(), [0]),
    (Header("ETag", "W/weak"), [0]),
    (Slow(4 * SIZE), [0]),
    (Redirect("/disk.qcow2"), [0, 0]),
]


@pytest.mark.parametrize(("fault", "requests"), AFTER_ONE_FAULT, ids=str)
async def test_a_fault_that_passes_is_put_up_with(
    server: FaultServer,
    entry: CatalogueEntry,
    destination: Path,
    fault: Fault,
    requests: list[int],
) -> None:
    server.faults["/disk.qcow2"] = [fault]
    await download(entry, destination, HTTP)
    assert destination.read_bytes() == CONTENT
    assert first_bytes_asked(server) == requests


async def test_a_flaky_line_brings_the_file_piece_by_piece(
    server: FaultServer, entry: CatalogueEntry, destination: Path
) -> None:
    """Each piece counts as progress, so that more faults are put up with than in a row."""
    server.always["/disk.qcow2"] = Reset(after=100 * KIB)
    await download(entry, destination, HTTP)
    assert destination.read_bytes() == CONTENT
    starts = first_bytes_asked(server)
    assert len(starts) >= 10
    assert starts == sorted(set(starts)), "nothing is asked for twice"


# What resuming half a file comes to: where the requests begin.
AFTER_A_PART: list[tuple[Fault, list[int]]] = [
    (Fine(), [HALF]),
    (NoValidators(), [HALF]),
    (IgnoreRange(), [HALF]),
    (Unsatisfiable(), [HALF, 0]),
    (WrongContentRange(f"bytes 0-{SIZE - 1}/{SIZE}"), [HALF, 0]),
    (WrongContentRange(f"bytes {HALF + 1}-{SIZE - 1}/{SIZE}"), [HALF, 0]),
    (WrongContentRange(f"bytes {HALF}-{SIZE - 1}/{SIZE + 1}"), [HALF, 0]),
    (WrongContentRange("bytes */*"), [HALF, 0]),
    (WrongContentRange(""), [HALF, 0]),
    (Header("Content-Range", None), [HALF, 0]),
    (Header("ETag", '"another"'), [HALF, 0]),
    (Header("Content-Type", "multipart/byteranges; boundary=x"), [HALF]),
    (Corrupt(at=HALF + 5), [HALF, 0]),
    (Both(NoValidators(), Corrupt(at=SIZE - 1)), [HALF, 0]),
    (Truncate(after=HALF // 2), [HALF, HALF + HALF // 2]),
]


@pytest.mark.parametrize(("fault", "requests"), AFTER_A_PART, ids=str)
async def test_a_part_is_gone_on_with_or_dropped(
    server: FaultServer,
    entry: CatalogueEntry,
    destination: Path,
    fault: Fault,
    requests: list[int],
) -> None:
    await leave_a_part(entry, server)
    server.faults["/disk.qcow2"] = [fault]
    await download(entry, destination, HTTP)
    assert destination.read_bytes() == CONTENT
    assert first_bytes_asked(server) == requests


async def test_a_resumed_download_names_the_validator_of_its_part(
    server: FaultServer, entry: CatalogueEntry, destination: Path
) -> None:
    await leave_a_part(entry, server)
    await download(entry, destination, HTTP)
    (request,) = server.requests
    assert request.headers["range"] == f"bytes={HALF}-"
    assert request.headers["if-range"].startswith('"')
    assert request.sent == SIZE - HALF


async def test_a_weak_etag_is_no_validator(
    server: FaultServer, entry: CatalogueEntry, destination: Path
) -> None:
    server.always["/disk.qcow2"] = Both(Header("ETag", 'W/"x"'), Header("Last-Modified", None))
    server.faults["/disk.qcow2"] = [Both(Reset(after=HALF), server.always["/disk.qcow2"])]
    await download(entry, destination, HTTP)
    assert "if-range" not in server.requests[1].headers


async def test_a_file_that_changed_during_the_download_is_not_mixed(
    server: FaultServer, entry: CatalogueEntry, destination: Path
) -> None:
    """The new one is sent from its beginning, and is not what was promised."""
    await leave_a_part(entry, server)
    server.files["/disk.qcow2"] = other = CONTENT[::-1]
    with pytest.raises(ChecksumMismatchError, match=hashlib.sha256(other).hexdigest()):
        await download(entry, destination, HTTP)
    assert first_bytes_asked(server) == [HALF]
    assert await partial_downloads() == []


async def test_a_part_goes_on_from_another_server(
    server: FaultServer, entry: CatalogueEntry, destination: Path
) -> None:
    await leave_a_part(entry, server)
    with FaultServer() as mirror:
        mirror.files["/mirror"] = CONTENT
        moved = CatalogueEntry("1.34", CHECKSUM, mirror.url("/mirror"))
        await download(moved, destination, HTTP)
        (request,) = mirror.requests
    assert request.first_byte == HALF
    assert "if-range" not in request.headers
    assert destination.read_bytes() == CONTENT


async def test_a_part_that_the_disk_damaged_is_dropped(
    server: FaultServer, entry: CatalogueEntry, destination: Path
) -> None:
    await leave_a_part(entry, server)
    part_of(CHECKSUM).write_bytes(bytes(HALF))  # as a power failure may leave it
    await download(entry, destination, HTTP)
    assert first_bytes_asked(server) == [HALF, 0]
    assert destination.read_bytes() == CONTENT


@pytest.mark.parametrize("sidecar", [b"", b"{}", b"[", None])
async def test_a_part_of_which_nothing_is_known_is_gone_on_with(
    server: FaultServer, entry: CatalogueEntry, destination: Path, sidecar: bytes | None
) -> None:
    await leave_a_part(entry, server)
    path = part_of(CHECKSUM).with_suffix(".json")
    if sidecar is None:
        path.unlink()
    else:
        path.write_bytes(sidecar)
    await download(entry, destination, HTTP)
    assert first_bytes_asked(server) == [HALF]
    assert destination.read_bytes() == CONTENT


async def test_a_file_whose_import_was_broken_off_is_not_asked_for_again(
    server: FaultServer, entry: CatalogueEntry, destination: Path
) -> None:
    await download(entry, destination, HTTP)
    destination.unlink()
    server.requests.clear()
    await download(entry, destination, HTTP)
    assert destination.read_bytes() == CONTENT
    assert server.requests == []


# What never ends well: the error, and how many requests it takes to see that.
FOR_GOOD: list[tuple[Fault, type[Exception], int, str]] = [
    (Corrupt(at=5), ChecksumMismatchError, 1, CHECKSUM),
    (WrongLength(by=-1000), ChecksumMismatchError, 1, CHECKSUM),
    (Status(404), DownloadError, 1, "404"),
    (Status(403), DownloadError, 1, "403"),
    (Status(206), DownloadError, 1, "206"),
    (Status(416), DownloadError, 1, "416"),
    (Status(503), DownloadError, 3, "503"),
    (Silent(), DownloadError, 3, "nothing came"),
    (Reset(after=0), DownloadError, 3, "cannot be downloaded"),
    (GzipBomb(), DownloadError, 1, "gzip"),
    (WebPage(), DownloadError, 1, "web page"),
    (Redirect("/disk.qcow2"), DownloadError, 11, "redirects"),
    (Redirect("ftp://127.0.0.1/x"), DownloadError, 1, "ftp"),
    (WrongLength(by=1 << 50), NotEnoughDiskError, 1, "1024 TiB"),
]


@pytest.mark.parametrize(("fault", "error", "requests", "word"), FOR_GOOD, ids=str)
async def test_a_fault_that_stays_is_an_error_and_keeps_nothing(
    server: FaultServer,
    entry: CatalogueEntry,
    destination: Path,
    *,
    fault: Fault,
    error: type[Exception],
    requests: int,
    word: str,
) -> None:
    server.always["/disk.qcow2"] = fault
    with pytest.raises(error, match=word) as failed:
        await download(entry, destination, HTTP)
    assert "Hint" in str(failed.value)
    assert not destination.exists()
    assert await partial_downloads() == []
    assert len(server.requests) == requests


async def test_a_mismatch_tells_what_was_expected_and_what_came(
    server: FaultServer, entry: CatalogueEntry, destination: Path
) -> None:
    server.files["/disk.qcow2"] = b"another"
    with pytest.raises(ChecksumMismatchError) as failed:
        await download(entry, destination, HTTP)
    assert CHECKSUM in failed.value.message
    assert hashlib.sha256(b"another").hexdigest() in failed.value.message


async def test_a_server_that_breaks_off_and_never_sends_the_rest_is_given_up(
    server: FaultServer, entry: CatalogueEntry, destination: Path
) -> None:
    """Also when it begins from zero each time, so that bytes come, but never further."""
    server.always["/disk.qcow2"] = Both(IgnoreRange(), Truncate(after=HALF))
    with pytest.raises(DownloadError, match=r"512 KiB are kept"):
        await download(entry, destination, HTTP)
    assert len(server.requests) == 3
    (part,) = await partial_downloads()
    assert part.bytes_done == HALF


@pytest.mark.parametrize("room", ["little", "plenty"])
async def test_an_endless_server_is_left(
    server: FaultServer,
    entry: CatalogueEntry,
    destination: Path,
    monkeypatch: pytest.MonkeyPatch,
    room: str,
) -> None:
    server.always["/disk.qcow2"] = Endless()
    if room == "plenty":
        monkeypatch.setattr(space, "LARGEST_FILE", 3 * SIZE)
        with pytest.raises(DownloadError, match="does not stop"):
            await download(entry, destination, HTTP)
        assert server.requests[0].sent < 20 * SIZE
    else:
        monkeypatch.setattr(space, "_RESERVE", 1 << 60)
        with pytest.raises(NotEnoughDiskError, match="unknown size"):
            await download(entry, destination, HTTP)


async def test_an_image_that_has_to_be_unpacked_needs_room_for_that(
    server: FaultServer, destination: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    free = SIZE + SIZE // 2
    usage = type("Usage", (), {"free": free})
    monkeypatch.setattr(space.shutil, "disk_usage", lambda path: usage)
    for path in ("/image.ova", "/image.qcow2"):
        server.files[path] = CONTENT
    with pytest.raises(NotEnoughDiskError, match="unpacked"):
        await download(
            CatalogueEntry("1.34", CHECKSUM, server.url("/image.ova")), destination, HTTP
        )
    await download(CatalogueEntry("1.34", CHECKSUM, server.url("/image.qcow2")), destination, HTTP)


async def test_a_slow_line_that_is_alive_has_no_limit(
    server: FaultServer, destination: Path
) -> None:
    content = CONTENT[: 100 * KIB]
    server.files["/slow"] = content
    server.always["/slow"] = Slow(50 * KIB)
    entry = CatalogueEntry("1.34", hashlib.sha256(content).hexdigest(), server.url("/slow"))
    await download(entry, destination, HttpSettings(stall_timeout=0.3))
    assert len(server.requests) == 1


async def test_a_download_tells_bytes_rate_and_estimate_at_most_ten_times_a_second(
    server: FaultServer, entry: CatalogueEntry, destination: Path
) -> None:
    server.always["/disk.qcow2"] = Slow(SIZE)
    told: list[ProgressEvent] = []
    with observe(told.append):
        await download(entry, destination, HTTP)
    events = [event for event in told if event.bytes_done is not None]
    assert events[0].bytes_done == 0
    assert events[-1].bytes_done == events[-1].bytes_total == SIZE
    assert events[-1].fraction == 1.0
    assert events[-1].remaining == 0
    gaps = [later.time - sooner.time for sooner, later in pairwise(events[:-1])]
    assert min(gaps) > 0.09
    done = [event.bytes_done or 0 for event in events]
    assert done == sorted(done)
    middle = events[len(events) // 2]
    assert middle.rate is not None
    assert middle.remaining is not None
    assert 0.3 * SIZE < middle.rate < 1.5 * SIZE
    assert "left" in middle.message


@pytest.mark.parametrize("moment", range(8))
async def test_what_is_left_by_a_cancellation_at_any_moment_is_the_beginning_of_the_file(
    server: FaultServer, entry: CatalogueEntry, destination: Path, moment: int
) -> None:
    server.always["/disk.qcow2"] = Slow(50 * SIZE)
    async with anyio.create_task_group() as group:
        group.start_soon(download, entry, destination, HTTP)
        while not part_of(CHECKSUM).exists() or not part_of(CHECKSUM).stat().st_size:
            await anyio.lowlevel.checkpoint()
        for _ in range(moment):
            await anyio.lowlevel.checkpoint()
        group.cancel_scope.cancel()
    left = part_of(CHECKSUM).read_bytes()
    assert left
    assert CONTENT.startswith(left)


async def test_a_part_can_be_removed(server: FaultServer, entry: CatalogueEntry) -> None:
    await leave_a_part(entry, server)
    assert await remove_partial(CHECKSUM)
    assert await partial_downloads() == []
    assert list(downloads_folder().iterdir()) == []
