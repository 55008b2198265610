from __future__ import annotations

import hashlib
import shutil
from pathlib import Path

import anyio
import pytest
from fault_server import FaultServer
from image_samples import make_image_folder, qcow2_disk
from server_faults import Redirect, Truncate, WrongLength

from kutti_sdk.core.errors import (
    ChecksumMismatchError,
    DownloadError,
    ImageFormatError,
    ImageInUseError,
    ImageNotFoundError,
    NotEnoughDiskError,
    UnsafeImageError,
)
from kutti_sdk.core.events import ProgressEvent, observe
from kutti_sdk.core.status import ImageStatus
from kutti_sdk.images.catalogue import Catalogue, CatalogueEntry
from kutti_sdk.images.download.partial import downloads_folder
from kutti_sdk.images.image import StoredImage, find_image, stored_images
from kutti_sdk.runtime.directories import cache_dir

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(shutil.which("qemu-img") is None, reason="needs qemu-img"),
]

DISK = qcow2_disk(marker=1)
CHECKSUM = hashlib.sha256(DISK).hexdigest()


@pytest.fixture(autouse=True)
def store(workspace: Path) -> Path:
    return cache_dir() / "images"


async def nobody(checksum: str) -> list[str]:
    return []


def listed_image(url: str, *, checksum: str = CHECKSUM, deprecated: bool = False) -> StoredImage:
    entry = CatalogueEntry("1.34.2", checksum, url, deprecated)
    return StoredImage("1.34.2", checksum, entry, nobody)


@pytest.fixture
def published(server: FaultServer) -> StoredImage:
    server.files["/1.34.2.qcow2"] = DISK
    return listed_image(server.url("/1.34.2.qcow2"))


def left_over(store: Path) -> list[str]:
    return [path.name for path in store.iterdir()]


async def test_a_fetched_image_is_downloaded_and_the_very_bytes(published: StoredImage) -> None:
    assert await published.status() is ImageStatus.NOT_DOWNLOADED
    await published.fetch()
    assert await published.status() is ImageStatus.DOWNLOADED
    local = await published.local()
    assert local is not None
    assert local.disk.read_bytes() == DISK
    assert local.checksum == CHECKSUM
    assert local.manifest.boot is None


async def test_an_image_that_is_here_is_not_fetched_again(
    published: StoredImage, server: FaultServer
) -> None:
    await published.fetch()
    await published.fetch()
    assert len(server.requests) == 1


async def test_redirects_are_followed(published: StoredImage, server: FaultServer) -> None:
    server.always["/latest"] = Redirect("/1.34.2.qcow2")
    image = listed_image(server.url("/latest"))
    await image.fetch()
    assert await image.status() is ImageStatus.DOWNLOADED


async def test_a_download_tells_its_bytes(published: StoredImage) -> None:
    told: list[ProgressEvent] = []
    with observe(told.append):
        await published.fetch()
    downloads = [event for event in told if event.phase == "download"]
    assert downloads[-1].bytes_done == downloads[-1].bytes_total == len(DISK)
    assert downloads[-1].fraction == 1.0
    assert {event.image for event in downloads} == {"1.34.2"}


async def test_other_bytes_than_promised_are_not_kept(server: FaultServer, store: Path) -> None:
    server.files["/x"] = qcow2_disk(marker=2)
    image = listed_image(server.url("/x"))
    with pytest.raises(ChecksumMismatchError) as refused:
        await image.fetch()
    assert CHECKSUM in refused.value.message
    assert hashlib.sha256(server.files["/x"]).hexdigest() in refused.value.message
    assert await image.status() is ImageStatus.NOT_DOWNLOADED
    assert left_over(store) == []


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("path", ["/missing", None])
async def test_a_server_without_the_file_leaves_nothing_behind(
    server: FaultServer, store: Path, path: str | None
) -> None:
    image = listed_image(server.url(path) if path else "http://127.0.0.1:1/x")
    with pytest.raises(DownloadError) as failed:
        await image.fetch()
    assert failed.value.hint
    assert failed.value.image == "1.34.2"
    assert left_over(store) == []


@pytest.mark.usefixtures("impatient")
async def test_a_download_that_breaks_off_is_not_an_image(server: FaultServer, store: Path) -> None:
    server.files["/x"] = DISK
    server.always["/x"] = Truncate(after=0)
    server.faults["/x"] = [Truncate(after=1000)]
    image = listed_image(server.url("/x"))
    with pytest.raises(DownloadError, match=r"(?s)Hint: .*1000 B are kept"):
        await image.fetch()
    assert await image.status() is ImageStatus.NOT_DOWNLOADED
    assert left_over(store) == []


async def test_a_file_larger_than_the_free_space_is_not_begun(
    server: FaultServer, store: Path
) -> None:
    server.files["/x"] = DISK
    server.always["/x"] = WrongLength(by=1 << 50)
    with pytest.raises(NotEnoughDiskError):
        await listed_image(server.url("/x")).fetch()
    assert left_over(store) == []


async def test_a_fetched_file_that_would_read_others_is_refused(
    server: FaultServer, store: Path
) -> None:
    raw = bytearray(DISK)
    raw[8:16] = (104).to_bytes(8, "big")
    server.files["/x"] = bytes(raw)
    image = listed_image(server.url("/x"), checksum=hashlib.sha256(raw).hexdigest())
    with pytest.raises(UnsafeImageError):
        await image.fetch()
    assert left_over(store) == []


async def test_a_cancelled_fetch_is_no_image_yet(published: StoredImage, store: Path) -> None:
    with anyio.CancelScope() as scope, observe(lambda event: scope.cancel()):
        await published.fetch()
    assert scope.cancelled_caught
    assert await published.status() is ImageStatus.NOT_DOWNLOADED
    assert left_over(store) == []


async def test_an_image_of_no_list_cannot_be_fetched() -> None:
    with pytest.raises(ImageNotFoundError):
        await StoredImage("none", "", None, nobody).fetch()


async def test_a_disk_from_a_file_is_taken(published: StoredImage, tmp_path: Path) -> None:
    (tmp_path / "disk").write_bytes(DISK)
    await published.from_file(tmp_path / "disk")
    assert await published.status() is ImageStatus.DOWNLOADED
    assert (tmp_path / "disk").read_bytes() == DISK


async def test_a_file_that_is_not_the_listed_one_is_refused(
    published: StoredImage, tmp_path: Path, store: Path
) -> None:
    (tmp_path / "disk").write_bytes(qcow2_disk(marker=3))
    with pytest.raises(ChecksumMismatchError):
        await published.from_file(tmp_path / "disk")
    assert left_over(store) == []


async def test_a_folder_that_is_not_the_listed_image_is_refused(
    published: StoredImage, tmp_path: Path
) -> None:
    folder = make_image_folder(tmp_path / "folder", k8s_version="1.34.2")
    with pytest.raises(ChecksumMismatchError):
        await published.from_file(folder)
    assert await published.status() is ImageStatus.NOT_DOWNLOADED


async def test_an_image_of_no_list_takes_the_checksum_of_what_it_is_given(tmp_path: Path) -> None:
    image = StoredImage("none", "", None, nobody)
    await image.from_file(make_image_folder(tmp_path / "folder"))
    assert len(image.checksum) == 64
    assert await image.status() is ImageStatus.DOWNLOADED


@pytest.mark.parametrize("content", [b"", b"not a disk", DISK[:70000]])
async def test_a_file_that_is_no_whole_disk_is_refused(
    tmp_path: Path, store: Path, content: bytes
) -> None:
    (tmp_path / "disk").write_bytes(content)
    with pytest.raises(ImageFormatError) as refused:
        await StoredImage("none", "", None, nobody).from_file(tmp_path / "disk")
    assert refused.value.image == "none"
    assert not store.exists() or left_over(store) == []


async def test_a_path_where_nothing_is_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ImageFormatError, match="no file or folder"):
        await StoredImage("none", "", None, nobody).from_file(tmp_path / "nothing")


async def test_a_purged_image_is_gone(published: StoredImage, store: Path) -> None:
    await published.fetch()
    await published.purge_local()
    assert await published.status() is ImageStatus.NOT_DOWNLOADED
    assert left_over(store) == []


async def test_with_a_purged_image_goes_what_interrupted_downloads_of_it_left(
    published: StoredImage, store: Path
) -> None:
    downloads = downloads_folder()
    for name in (f"{CHECKSUM}.part", f"{CHECKSUM}.json", f"{CHECKSUM}.lock"):
        (downloads / name).touch()
    (store / ".incoming-1234abcd").mkdir(parents=True)
    await published.purge_local()
    assert not left_over(downloads)
    assert not left_over(store)


async def test_an_image_in_use_is_not_purged_and_its_users_are_named(
    published: StoredImage,
) -> None:
    async def users(checksum: str) -> list[str]:
        return ["node1"] if checksum == CHECKSUM else []

    await published.fetch()
    image = StoredImage("1.34.2", CHECKSUM, None, users)
    with pytest.raises(ImageInUseError, match="node1"):
        await image.purge_local()
    assert await image.status() is ImageStatus.DOWNLOADED


async def test_local_and_listed_images_are_one_list_newest_version_first(tmp_path: Path) -> None:
    await StoredImage("none", "", None, nobody).from_file(make_image_folder(tmp_path / "folder"))
    entries = [
        CatalogueEntry(version, CHECKSUM, "http://x/y", deprecated)
        for version, deprecated in (("1.9.0", True), ("1.34.2", False))
    ]
    images = await stored_images(Catalogue({e.k8s_version: e for e in entries}), nobody)
    assert [image.k8s_version for image in images] == ["1.34.2", "1.9.0", "none"]
    assert [image.deprecated for image in images] == [False, True, False]
    assert [await image.status() == ImageStatus.DOWNLOADED for image in images] == [
        *(False, False, True)
    ]


async def test_a_version_without_patch_means_a_local_image_before_a_newer_listed_one(
    tmp_path: Path,
) -> None:
    folder = make_image_folder(tmp_path / "folder", k8s_version="1.34.1")
    await StoredImage("1.34.1", "", None, nobody).from_file(folder)
    listed = Catalogue({"1.34.2": CatalogueEntry("1.34.2", CHECKSUM, "http://x/y")})
    assert (await find_image("1.34", listed, nobody)).k8s_version == "1.34.1"
    assert (await find_image("1.34.2", listed, nobody)).k8s_version == "1.34.2"


async def test_an_unknown_version_is_refused_with_those_there_are() -> None:
    listed = Catalogue({"1.34.2": CatalogueEntry("1.34.2", CHECKSUM, "http://x/y")})
    with pytest.raises(ImageNotFoundError) as refused:
        await find_image("1.33", listed, nobody)
    assert "1.34.2" in (refused.value.hint or "")
