"""Downloads that were interrupted go on where they were, and never mix two files."""

from __future__ import annotations

import hashlib
from pathlib import Path

import anyio
import anyio.lowlevel
import pytest
from download_samples import CHECKSUM, CONTENT, HALF, HTTP, KIB, SIZE, first_bytes_asked
from fault_server import FaultServer
from server_faults import (
    Both,
    Corrupt,
    Fault,
    Fine,
    Header,
    IgnoreRange,
    NoValidators,
    Reset,
    Slow,
    Stall,
    Truncate,
    Unsatisfiable,
    WrongContentRange,
)

from kutti_sdk.core.errors import ChecksumMismatchError, DownloadError
from kutti_sdk.images.catalogue import CatalogueEntry
from kutti_sdk.images.download import download, partial_downloads, remove_partial
from kutti_sdk.images.download.partial import downloads_folder, part_of
from kutti_sdk.runtime.http import HttpSettings

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("workspace", "impatient")]


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
