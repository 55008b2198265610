"""Downloads end with the promised bytes or with an error, whatever the server does."""

from __future__ import annotations

import hashlib
from itertools import pairwise
from pathlib import Path

import pytest
from download_samples import (
    CHECKSUM,
    CONTENT,
    HALF,
    HTTP,
    KIB,
    SIZE,
    first_bytes_asked,
    http_for,
)
from fault_server import FaultServer
from server_faults import (
    Corrupt,
    Endless,
    Fault,
    GzipBomb,
    Header,
    NoLength,
    Redirect,
    Reset,
    Silent,
    Slow,
    Stall,
    Status,
    Truncate,
    WebPage,
    WrongLength,
)

from kutti_sdk.core.errors import ChecksumMismatchError, DownloadError, NotEnoughDiskError
from kutti_sdk.core.events import ProgressEvent, observe
from kutti_sdk.images.catalogue import CatalogueEntry
from kutti_sdk.images.download import download, partial_downloads, space
from kutti_sdk.runtime.http import HttpSettings

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("workspace", "impatient")]


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
    await download(entry, destination, http_for(fault))
    assert destination.read_bytes() == CONTENT
    assert first_bytes_asked(server) == requests


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
        await download(entry, destination, http_for(fault))
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
    await download(entry, destination, HttpSettings(stall_timeout=1))
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
