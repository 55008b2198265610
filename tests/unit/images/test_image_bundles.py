"""Bundles: an image as one file, the same for the same image, whole or not at all."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
import signal
import sys
import tarfile
from pathlib import Path

import anyio
import pytest
from image_samples import VERSION, names_in, nobody

from kutti_sdk.core.errors import (
    ChecksumMismatchError,
    ConflictError,
    ImageFormatError,
    ImageNotDownloadedError,
    InvalidInputError,
    KuttiError,
    LockTimeoutError,
    NotEnoughDiskError,
    StateError,
)
from kutti_sdk.core.events import ProgressEvent, observe
from kutti_sdk.images.bundle import export
from kutti_sdk.images.bundle.contents import judge
from kutti_sdk.images.bundle.export import export_bundle
from kutti_sdk.images.bundle.unpacking import import_bundle
from kutti_sdk.images.catalogue import CatalogueEntry
from kutti_sdk.images.file_import import import_image, keep_file
from kutti_sdk.images.incoming import incoming
from kutti_sdk.images.known_version import known_version
from kutti_sdk.images.store import LocalImage, find_local, local_images, remove_local
from kutti_sdk.runtime.locks import locked

pytestmark = pytest.mark.anyio

# Exporting


async def test_an_exported_image_comes_back_as_it_was(image: LocalImage, stick: Path) -> None:
    before = {path.name: path.read_bytes() for path in image.folder.iterdir()}
    await export_bundle(image, None, stick / "lab.kutti")
    await remove_local(image, nobody)
    assert await import_image(stick / "lab.kutti", VERSION) == image
    assert {path.name: path.read_bytes() for path in image.folder.iterdir()} == before


async def test_the_same_image_gives_the_same_bytes_wherever_it_came_from(
    image: LocalImage, bundle: Path, stick: Path
) -> None:
    again = await import_bundle(bundle, VERSION)
    await export_bundle(again, None, stick / "again.kutti")
    assert (stick / "again.kutti").read_bytes() == bundle.read_bytes()


async def test_a_bundle_is_a_tar_archive_that_begins_with_the_manifest(bundle: Path) -> None:
    listed = await anyio.run_process(["tar", "-tf", bundle])
    assert listed.stdout.decode().split() == [
        *("image.json", "image-list.json", "disk.qcow2", "vmlinux", "initrd.img")
    ]
    assert listed.stderr == b""


async def test_what_tar_makes_of_the_members_is_a_bundle_too(
    image: LocalImage, bundle: Path, tmp_path: Path
) -> None:
    (tmp_path / "x").mkdir()
    await anyio.run_process(["tar", "-xf", bundle, "-C", tmp_path / "x"])
    names = ["image.json", "image-list.json", "disk.qcow2", "vmlinux", "initrd.img"]
    await anyio.run_process(
        ["tar", "--owner=someone:7", "-cf", tmp_path / "mine", "-C", tmp_path / "x", *names]
    )
    assert await import_image(tmp_path / "mine", VERSION) == image


async def test_the_disk_begins_where_file_systems_can_share_its_blocks(bundle: Path) -> None:
    with bundle.open("rb") as file:
        contents = judge(file)
    assert contents.members[0].file.name == "disk.qcow2"
    assert contents.members[0].offset % 4096 == 0


async def test_a_bundle_carries_what_the_image_list_said(image: LocalImage, stick: Path) -> None:
    entry = CatalogueEntry(VERSION, "a" * 64, "https://x.example/y.ova", True, image.checksum)
    await export_bundle(image, entry, stick / "lab.kutti")
    with tarfile.open(stick / "lab.kutti") as archive:
        member = archive.extractfile("image-list.json")
        assert member is not None
        (listed,) = json.loads(member.read()).values()
    assert listed["ImageSourceURL"] == "https://x.example/y.ova"
    assert listed["ImageChecksum"] == "a" * 64
    assert listed["ImageContentChecksum"] == image.checksum
    assert listed["ImageDeprecated"] is True


async def test_a_file_that_is_there_is_replaced_only_when_asked(
    image: LocalImage, stick: Path
) -> None:
    (stick / "lab.kutti").write_text("a thesis")
    with pytest.raises(ConflictError):
        await export_bundle(image, None, stick / "lab.kutti")
    assert (stick / "lab.kutti").read_text() == "a thesis"
    await export_bundle(image, None, stick / "lab.kutti", replace=True)
    assert tarfile.is_tarfile(stick / "lab.kutti")
    assert names_in(stick) == ["lab.kutti"]


@pytest.mark.parametrize("target", ["missing/lab.kutti", "."])
async def test_what_cannot_be_a_file_is_refused(
    image: LocalImage, stick: Path, target: str
) -> None:
    with pytest.raises(InvalidInputError):
        await export_bundle(image, None, stick / target, replace=True)
    assert names_in(stick) == []


async def test_a_damaged_image_is_not_exported(image: LocalImage, stick: Path) -> None:
    raw = bytearray(image.disk.read_bytes())
    raw[-1] ^= 1
    image.disk.write_bytes(raw)
    with pytest.raises(ChecksumMismatchError, match=r"disk\.qcow2 is damaged"):
        await export_bundle(image, None, stick / "lab.kutti")
    assert names_in(stick) == []


async def test_an_image_that_goes_away_ends_its_export(image: LocalImage, stick: Path) -> None:
    def remove(_: ProgressEvent) -> None:
        shutil.rmtree(image.folder, ignore_errors=True)

    with pytest.raises(ImageNotDownloadedError), observe(remove):
        await export_bundle(image, None, stick / "lab.kutti")
    assert names_in(stick) == []


async def test_an_export_tells_its_bytes(image: LocalImage, stick: Path) -> None:
    told: list[ProgressEvent] = []
    with observe(told.append):
        await export_bundle(image, None, stick / "lab.kutti")
    done = [event.bytes_done or 0 for event in told]
    assert done == sorted(done)
    assert done[-1] == told[-1].bytes_total == (stick / "lab.kutti").stat().st_size
    assert {(event.phase, event.image) for event in told} == {("export", VERSION)}


async def test_a_cancelled_export_leaves_nothing(image: LocalImage, stick: Path) -> None:
    with anyio.CancelScope() as scope, observe(lambda event: scope.cancel()):
        await export_bundle(image, None, stick / "lab.kutti")
    assert scope.cancelled_caught
    assert names_in(stick) == []


async def test_two_exports_to_one_file_do_not_mix(image: LocalImage, stick: Path) -> None:
    async with locked(stick / ".lab.kutti.lock"):  # which the other one holds
        with pytest.raises(LockTimeoutError):
            await export_bundle(image, None, stick / "lab.kutti")
    assert not (stick / "lab.kutti").exists()
    await export_bundle(image, None, stick / "lab.kutti")
    assert names_in(stick) == ["lab.kutti"]


async def test_a_full_disk_is_noticed_before_anything_is_written(
    image: LocalImage, stick: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    full = shutil._ntuple_diskusage(1, 1, 1000)  # type: ignore[attr-defined]
    monkeypatch.setattr(shutil, "disk_usage", lambda path: full)
    with pytest.raises(NotEnoughDiskError, match="1000 B are free"):
        await export_bundle(image, None, stick / "lab.kutti")
    assert names_in(stick) == []


@pytest.mark.parametrize(
    "failure",
    [
        (errno.ENOSPC, NotEnoughDiskError, "Make room"),
        (errno.EFBIG, StateError, "exFAT"),
        (errno.EIO, StateError, "disk sound"),
    ],
)
async def test_a_disk_that_fails_in_the_middle_keeps_nothing(
    image: LocalImage,
    stick: Path,
    monkeypatch: pytest.MonkeyPatch,
    failure: tuple[int, type[KuttiError], str],
) -> None:
    number, expected, hint = failure
    written = export._Writer.write

    def fail(self: export._Writer, block: bytes) -> None:
        written(self, block[:100])
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(export._Writer, "write", fail)
    with pytest.raises(expected) as failed:
        await export_bundle(image, None, stick / "lab.kutti")
    assert hint in (failed.value.hint or "")
    assert names_in(stick) == []


# Importing


async def test_a_bundle_knows_its_version(bundle: Path, tmp_path: Path) -> None:
    assert await known_version(bundle) == VERSION
    assert await known_version(tmp_path / "elsewhere") == VERSION
    (tmp_path / "disk").write_bytes(b"QFI\xfb")
    assert await known_version(tmp_path / "disk") is None
    assert await known_version(tmp_path / "missing") is None


async def test_a_bundle_of_another_version_is_refused(bundle: Path, store: Path) -> None:
    with pytest.raises(ImageFormatError, match=r"has version 1\.34\.2, not 1\.33"):
        await import_bundle(bundle, "1.33")
    assert names_in(store) == []


async def test_a_bundle_of_another_image_than_the_listed_one_is_refused(
    bundle: Path, store: Path
) -> None:
    with pytest.raises(ChecksumMismatchError, match="a" * 64):
        await import_image(bundle, VERSION, checksum="a" * 64)
    assert names_in(store) == []


async def test_an_image_that_is_here_is_not_copied_again(image: LocalImage, stick: Path) -> None:
    await export_bundle(image, None, stick / "lab.kutti")
    told: list[ProgressEvent] = []
    os.utime(image.folder / "image.json", (0, 0))
    with observe(told.append):
        assert await import_bundle(stick / "lab.kutti", VERSION) == image
    assert told == []
    assert (image.folder / "image.json").stat().st_mtime > 0, "it is the one kept last"


async def test_a_bundle_in_an_incoming_folder_becomes_its_image(
    image: LocalImage, bundle: Path, store: Path
) -> None:
    async with incoming() as place:
        shutil.copy(bundle, place / "download")
        checksum = hashlib.sha256(bundle.read_bytes()).hexdigest()
        kept = await keep_file(
            place / "download", VERSION, sha256=checksum, image_checksum=image.checksum
        )
    assert kept == image
    assert names_in(store) == [image.checksum]


async def test_an_import_tells_its_bytes(bundle: Path, image: LocalImage) -> None:
    told: list[ProgressEvent] = []
    with observe(told.append):
        await import_bundle(bundle, VERSION)
    assert told[-1].bytes_done == told[-1].bytes_total == sum(f.size for f in image.manifest.files)
    assert told[-1].fraction == 1.0


async def test_a_cancelled_import_leaves_nothing(bundle: Path, store: Path) -> None:
    with anyio.CancelScope() as scope, observe(lambda event: scope.cancel()):
        await import_bundle(bundle, VERSION)
    assert scope.cancelled_caught
    assert names_in(store) == []


async def test_an_import_that_would_not_fit_is_not_begun(
    bundle: Path, store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    full = shutil._ntuple_diskusage(1, 1, 1000)  # type: ignore[attr-defined]
    monkeypatch.setattr(shutil, "disk_usage", lambda path: full)
    with pytest.raises(NotEnoughDiskError, match="1000 B are free"):
        await import_bundle(bundle, VERSION)
    assert names_in(store) == []


# Killed in the middle

_KILLED = """
import os, signal, sys
from pathlib import Path
import anyio
from kutti_sdk.core.events import observe
from kutti_sdk.images.bundle.export import export_bundle
from kutti_sdk.images.bundle.unpacking import import_bundle
from kutti_sdk.images.store import local_images

def kill(event):
    if event.fraction and event.fraction > 0.5:
        os.kill(os.getpid(), signal.SIGKILL)

async def main():
    path = Path(sys.argv[2])
    with observe(kill):
        if sys.argv[1] == "export":
            await export_bundle((await local_images())[0], None, path)
        else:
            await import_bundle(path, "1.34.2")

anyio.run(main)
"""


async def _kill_in_the_middle_of(work: str, path: Path, workspace: Path) -> None:
    environment = {**os.environ, "KUTTI_WORKSPACE": str(workspace)}
    command = [sys.executable, "-c", _KILLED, work, str(path)]
    done = await anyio.run_process(command, env=environment, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr.decode()


async def test_a_killed_export_leaves_no_bundle_and_the_next_one_clears_up(
    image: LocalImage, stick: Path, workspace: Path
) -> None:
    await _kill_in_the_middle_of("export", stick / "lab.kutti", workspace)
    assert names_in(stick) == [".lab.kutti.lock", ".lab.kutti.new"]
    await export_bundle(image, None, stick / "lab.kutti")
    assert names_in(stick) == ["lab.kutti"]


async def test_a_killed_import_leaves_no_image_and_the_next_one_clears_up(
    image: LocalImage, bundle: Path, store: Path, workspace: Path
) -> None:
    await _kill_in_the_middle_of("import", bundle, workspace)
    assert await local_images() == []
    assert any(name.startswith(".incoming-") for name in names_in(store))
    assert await import_bundle(bundle, VERSION) == image
    assert names_in(store) == [image.checksum]
    assert await find_local(image.checksum) == image
