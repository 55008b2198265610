"""Bundles: an image as one file, the same for the same image, and nothing else taken for one."""

from __future__ import annotations

import errno
import hashlib
import io
import json
import os
import shutil
import signal
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path

import anyio
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from image_samples import make_image_folder

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
from kutti_sdk.images.folder_import import import_folder
from kutti_sdk.images.incoming import incoming
from kutti_sdk.images.known_version import known_version
from kutti_sdk.images.store import LocalImage, find_local, local_images, remove_local
from kutti_sdk.runtime.directories import cache_dir

pytestmark = pytest.mark.anyio

VERSION = "1.34.2"


@pytest.fixture(autouse=True)
def store(workspace: Path) -> Path:
    return cache_dir() / "images"


@pytest.fixture
async def image(tmp_path: Path) -> LocalImage:
    return await import_folder(
        make_image_folder(tmp_path / "elsewhere", k8s_version=VERSION), VERSION
    )


@pytest.fixture
def stick(tmp_path: Path) -> Path:
    (tmp_path / "stick").mkdir()
    return tmp_path / "stick"


@pytest.fixture
async def bundle(image: LocalImage, stick: Path) -> Path:
    """A bundle of an image that is not on this machine any more."""
    await export_bundle(image, None, stick / "lab.kutti")
    await remove_local(image, nobody)
    return stick / "lab.kutti"


async def nobody(checksum: str) -> list[str]:
    return []


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir()) if folder.exists() else []


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
    async def second() -> None:
        with pytest.raises(LockTimeoutError):
            await export_bundle(image, None, stick / "lab.kutti", replace=True)
        tried.set()

    tried = anyio.Event()
    async with anyio.create_task_group() as group:
        begun = anyio.Event()
        with observe(lambda event: begun.set()):
            group.start_soon(export_bundle, image, None, stick / "lab.kutti")
        await begun.wait()
        group.start_soon(second)
    assert tried.is_set()
    assert await import_bundle(stick / "lab.kutti", VERSION) == image


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


# Bundles that are none

Members = list[tuple[tarfile.TarInfo, bytes]]


def members_of(bundle: Path) -> Members:
    with tarfile.open(bundle) as archive:
        return [(it, (archive.extractfile(it) or io.BytesIO()).read()) for it in archive]


def pack(members: Members, path: Path) -> None:
    with tarfile.open(path, "w", format=tarfile.GNU_FORMAT) as archive:
        for member, content in members:
            archive.addfile(member, io.BytesIO(content))


def named(name: str, kind: bytes = tarfile.REGTYPE, link: str = "") -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.type, member.linkname = kind, link
    return member


def swap(members: Members) -> None:
    members[3], members[4] = members[4], members[3]


def rename(name: str) -> Callable[[Members], None]:
    def change(members: Members) -> None:
        members[2][0].name = name

    return change


def turn_into(kind: bytes, link: str = "") -> Callable[[Members], None]:
    def change(members: Members) -> None:
        content = members[3][1]
        members[3] = (named("vmlinux", kind, link), content)
        members[3][0].size = len(content)  # as promised, so that only its kind is wrong

    return change


def grow(members: Members) -> None:
    member, content = members[3]
    member.size += 1
    members[3] = (member, content + b"x")


def other_entry(members: Members) -> None:
    member, content = members[1]
    members[1] = (member, content.replace(b"ContentChecksum", b"ContentChecksun"))


def entry_of_another_version(members: Members) -> None:
    member, content = members[1]
    members[1] = (member, content.replace(b'"1.34.2"', b'"1.34.3"'))


HOSTILE: dict[str, Callable[[Members], object]] = {
    "a file too many": lambda members: members.append((named("extra"), b"")),
    "a file before the manifest": lambda members: members.insert(0, (named("README"), b"")),
    "a file missing": lambda members: members.pop(),
    "the list entry missing": lambda members: members.pop(1),
    "a file twice": lambda members: members.append(members[-1]),
    "another order": swap,
    "a path out of the folder": rename("../../disk.qcow2"),
    "an absolute path": rename("/tmp/disk.qcow2"),
    "a path": rename("./disk.qcow2"),
    "a symbolic link": turn_into(tarfile.SYMTYPE, "/etc/passwd"),
    "a hard link": turn_into(tarfile.LNKTYPE, "disk.qcow2"),
    "a folder": turn_into(tarfile.DIRTYPE),
    "a device": turn_into(tarfile.CHRTYPE),
    "a pipe": turn_into(tarfile.FIFOTYPE),
    "a sparse file": turn_into(tarfile.GNUTYPE_SPARSE),
    "another size than promised": grow,
    "an entry of another image": other_entry,
    "an entry of another version": entry_of_another_version,
}


@pytest.mark.parametrize("hostile", HOSTILE)
async def test_what_bundles_do_not_have_is_refused_before_anything_is_written(
    bundle: Path, tmp_path: Path, store: Path, hostile: str
) -> None:
    members = members_of(bundle)
    HOSTILE[hostile](members)
    pack(members, tmp_path / "hostile")
    told: list[ProgressEvent] = []
    with pytest.raises(ImageFormatError) as refused, observe(told.append):
        await import_bundle(tmp_path / "hostile", VERSION)
    assert refused.value.hint
    assert told == []
    assert names_in(store) == []


async def test_a_huge_manifest_is_refused_before_it_is_read(tmp_path: Path) -> None:
    with (tmp_path / "hostile").open("wb") as file:
        member = named("image.json")
        member.size = 1 << 40
        file.write(member.tobuf(tarfile.GNU_FORMAT))
        file.truncate(1 << 41)  # takes no room
    with pytest.raises(ImageFormatError, match="1 TiB"):
        await import_bundle(tmp_path / "hostile", VERSION)


async def test_what_follows_after_the_end_is_refused(bundle: Path, store: Path) -> None:
    whole = bundle.read_bytes()
    for rest in (b"x", b"\0" * 512 + b"x", b"\0" * 20480):
        bundle.write_bytes(whole + rest)
        with pytest.raises(ImageFormatError):
            await import_bundle(bundle, VERSION)
    assert names_in(store) == []
    bundle.write_bytes(whole + b"\0" * 4096)  # as tar fills up its last record
    await import_bundle(bundle, VERSION)


async def test_a_changed_byte_of_a_file_is_found_while_it_is_copied(
    bundle: Path, store: Path
) -> None:
    with bundle.open("rb") as file:
        members = judge(file).members
    whole = bundle.read_bytes()
    for member in members:
        changed = bytearray(whole)
        changed[member.offset + member.file.size - 1] ^= 1
        bundle.write_bytes(changed)
        with pytest.raises(ChecksumMismatchError, match=member.file.name):
            await import_bundle(bundle, VERSION)
        assert names_in(store) == []


def _sample() -> bytes:
    """A bundle without a store, to be damaged in all ways."""
    from tempfile import TemporaryDirectory

    from kutti_sdk.runtime.directories import set_workspace

    async def make(folder: Path) -> bytes:
        source = make_image_folder(folder / "x", k8s_version=VERSION)
        image = await import_folder(source, VERSION)
        await export_bundle(image, None, folder / "b")
        return (folder / "b").read_bytes()

    with TemporaryDirectory() as folder:
        set_workspace(folder)
        try:
            return anyio.run(make, Path(folder))
        finally:
            set_workspace(None)


SAMPLE = _sample()


@settings(deadline=None)
@given(st.integers(min_value=0, max_value=len(SAMPLE) - 1))
def test_a_bundle_that_was_cut_off_anywhere_is_refused(length: int) -> None:
    with pytest.raises(ImageFormatError):
        judge(io.BytesIO(SAMPLE[:length]))


@settings(deadline=None)
@given(st.integers(min_value=0, max_value=9 * 512), st.integers(min_value=1, max_value=255))
def test_a_changed_head_is_refused_or_names_the_same_files(position: int, change: int) -> None:
    raw = bytearray(SAMPLE)
    raw[position] ^= change
    try:
        contents = judge(io.BytesIO(bytes(raw)))
    except ImageFormatError:
        return
    assert [member.file.name for member in contents.members] == [
        *("disk.qcow2", "vmlinux", "initrd.img")
    ]
    assert sum(member.file.size for member in contents.members) == contents.size


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
