"""Files of every kind become images; those that should not leave nothing behind."""

from __future__ import annotations

import hashlib
import shutil
import stat
import subprocess
from collections.abc import Callable
from pathlib import Path

import anyio
import pytest
from image_samples import MIB, qcow2_disk
from ova_samples import (
    DISK_NAME,
    archive,
    envelope,
    manifest,
    ova,
    raw_disk,
    real_disk,
    real_vmdk,
    vmdk_head,
)

from kutti_sdk.core.errors import (
    ChecksumMismatchError,
    DriverUnavailableError,
    ImageFormatError,
    KuttiError,
    NotEnoughDiskError,
    UnsafeImageError,
)
from kutti_sdk.core.events import ProgressEvent, observe
from kutti_sdk.images.file_import import import_image, keep_file
from kutti_sdk.images.incoming import images_folder, incoming
from kutti_sdk.images.store import LocalImage, local_images

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(shutil.which("qemu-img") is None, reason="needs qemu-img"),
]


@pytest.fixture(autouse=True)
def _own_workspace(workspace: Path) -> None:
    """Every test has a store of its own."""


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def content(image: LocalImage, folder: Path) -> bytes:
    """What a guest would see on the image's disk."""
    raw = folder / "seen.raw"
    convert = ["qemu-img", "convert", "-f", "qcow2", "-O", "raw", image.disk, raw]
    subprocess.run(convert, check=True)
    return raw.read_bytes()


async def nothing_is_left() -> bool:
    return not await local_images() and not list(images_folder().iterdir())


@pytest.mark.parametrize("kind", ["qcow2", "raw", "vmdk", "vdi"])
async def test_a_disk_of_any_format_becomes_an_image(kind: str, tmp_path: Path) -> None:
    disk = real_disk(tmp_path, kind)
    before = sha256(disk)
    image = await import_image(disk, "1.34.2")

    assert image.checksum == before, "an image is known by the file that it came as"
    assert image.manifest.disk.sha256 == sha256(image.disk)
    assert image.manifest.credentials is None, "only a boot can tell"
    assert content(image, tmp_path) == raw_disk()
    assert sha256(disk) == before, "the user's file is only read"
    assert [path.name for path in images_folder().iterdir()] == [image.checksum]


async def test_an_ova_becomes_an_image(tmp_path: Path) -> None:
    file = tmp_path / "lab.ova"
    firmware = '<vbox:Machine><Hardware><Firmware type="EFI"/></Hardware></vbox:Machine>'
    file.write_bytes(ova(real_vmdk(tmp_path), ovf=envelope(machine=firmware)))
    events: list[ProgressEvent] = []
    with observe(events.append):
        image = await import_image(file, "1.34.2")

    assert image.checksum == sha256(file)
    assert (image.manifest.os, image.manifest.firmware) == ("Debian_64", "efi")
    assert content(image, tmp_path) == raw_disk()
    told = [event.message for event in events if event.phase == "import"]
    assert "lab: Debian_64, 2 CPUs, 2 GiB memory, a disk of 1 MiB, EFI firmware" in told
    assert [event.fraction for event in events if "converting" in event.message][-1] == 1.0


async def test_a_disk_in_an_archive_is_not_unpacked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "lab.ova"
    file.write_bytes(ova(real_vmdk(tmp_path)))
    folders: list[set[str]] = []

    def look(event: ProgressEvent) -> None:
        folders.append({path.name for path in images_folder().rglob("*") if path.is_file()})

    with observe(look):
        await import_image(file, "1.34.2")
    written = set().union(*folders)
    assert {name for name in written if not name.endswith(".lock")} <= {"disk.qcow2", "image.json"}


@pytest.mark.parametrize("kind", ["qcow2", "vmdk", "ova"])
async def test_a_file_that_was_fetched_is_consumed(kind: str, tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.write_bytes(
        ova(real_vmdk(tmp_path)) if kind == "ova" else real_disk(tmp_path, kind).read_bytes()
    )
    async with incoming() as place:
        file = place / "download"
        shutil.copyfile(source, file)
        checksum = sha256(source)
        image = await keep_file(file, "1.34.2", sha256=checksum, image_checksum=checksum)
        assert not file.exists()
    assert image.checksum == sha256(source)
    assert content(image, tmp_path) == raw_disk()


async def test_the_list_decides_which_file_is_taken(tmp_path: Path) -> None:
    disk = real_disk(tmp_path, "vdi")
    taken = await import_image(disk, "1.34.2", checksum=sha256(disk))
    assert taken.checksum == sha256(disk)


@pytest.mark.parametrize("kind", ["qcow2", "raw", "vmdk", "vdi", "ova"])
async def test_another_file_than_the_list_promises_is_refused(kind: str, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(
        ova(real_vmdk(tmp_path)) if kind == "ova" else real_disk(tmp_path, kind).read_bytes()
    )
    with pytest.raises(ChecksumMismatchError) as caught:
        await import_image(file, "1.34.2", checksum="0" * 64)
    assert sha256(file) in str(caught.value)
    assert await nothing_is_left()


@pytest.mark.parametrize("of_fetched_file", [False, True])
async def test_an_ova_must_be_what_its_manifest_says(of_fetched_file: bool, tmp_path: Path) -> None:
    files = [("lab.ovf", envelope().encode()), (DISK_NAME, real_vmdk(tmp_path))]
    wrong = manifest([files[0], (DISK_NAME, b"another disk")])
    file = tmp_path / "lab.ova"
    file.write_bytes(archive([*files, ("lab.mf", wrong)]))
    with pytest.raises(ChecksumMismatchError, match=DISK_NAME):
        if of_fetched_file:
            async with incoming() as place:
                fetched = shutil.copyfile(file, place / "download")
                checksum = sha256(file)
                await keep_file(fetched, "1.34.2", sha256=checksum, image_checksum=checksum)
        else:
            await import_image(file, "1.34.2")
    assert await nothing_is_left()


def damaged_vmdk(folder: Path) -> bytes:
    """A VMDK whose header is good, and the compressed data behind it is not."""
    raw = bytearray(real_vmdk(folder))
    raw[66_000:70_000] = b"\xff" * 4000
    return bytes(raw)


@pytest.mark.parametrize(
    ("make", "kind"),
    [
        (lambda folder: b"", ImageFormatError),
        (lambda folder: b"#!/bin/sh\n" * 200, ImageFormatError),
        (lambda folder: b"\x1f\x8b\x08" + bytes(600), ImageFormatError),
        (lambda folder: vmdk_head(), ImageFormatError),  # no data behind the header
        (lambda folder: ova(vmdk_head()), ImageFormatError),
        (lambda folder: ova(damaged_vmdk(folder)), ImageFormatError),
        (lambda folder: b"# Disk DescriptorFile\n" + bytes(600), UnsafeImageError),
        (lambda folder: archive([("../lab.ovf", b"")]), UnsafeImageError),
        (lambda folder: ova(real_vmdk(folder))[:-20_000], ImageFormatError),
    ],
)
async def test_what_is_refused_leaves_nothing(
    make: Callable[[Path], bytes], kind: type[KuttiError], tmp_path: Path
) -> None:
    file = tmp_path / "file"
    file.write_bytes(make(tmp_path))
    with pytest.raises(kind):
        await import_image(file, "1.34.2")
    assert await nothing_is_left()


async def test_a_disk_that_does_not_fit_is_refused_before_it_is_converted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = real_disk(tmp_path, "vdi")
    full = shutil.disk_usage(tmp_path)._replace(free=1000)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: full)
    with pytest.raises(NotEnoughDiskError):
        await import_image(disk, "1.34.2")
    assert await nothing_is_left()


def slow_program(folder: Path, script: str) -> Path:
    """A qemu-img that does something else."""
    program = folder / "qemu-img"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    return program


async def test_a_disk_that_becomes_full_meanwhile_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = real_disk(tmp_path, "vdi")
    slow_program(tmp_path, "echo 'error while writing: No space left on device' >&2; exit 1")
    monkeypatch.setenv("KUTTI_QEMU_DIR", str(tmp_path))
    with pytest.raises(NotEnoughDiskError, match="does not fit"):
        await import_image(disk, "1.34.2")
    assert await nothing_is_left()


async def test_calling_it_off_kills_the_conversion_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = real_disk(tmp_path, "vdi")
    pid = tmp_path / "pid"
    slow_program(tmp_path, f"echo $$ > {pid}; echo '    (1.00/100%)'; exec sleep 1000")
    monkeypatch.setenv("KUTTI_QEMU_DIR", str(tmp_path))
    with anyio.CancelScope() as scope:

        def call_off(event: ProgressEvent) -> None:
            if event.fraction == 0.01:
                scope.cancel()

        with observe(call_off):
            await import_image(disk, "1.34.2")
    assert scope.cancelled_caught
    assert not Path("/proc", pid.read_text().strip()).exists()
    assert await nothing_is_left()


async def test_calling_off_a_copy_leaves_nothing(tmp_path: Path) -> None:
    disk = tmp_path / "disk.qcow2"
    disk.write_bytes(qcow2_disk() + bytes(8 * MIB))
    with anyio.CancelScope() as scope, observe(lambda event: scope.cancel()):
        await import_image(disk, "1.34.2")
    assert scope.cancelled_caught
    assert await nothing_is_left()


async def test_a_file_that_is_written_to_meanwhile_is_not_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = real_disk(tmp_path, "vdi")

    def write(event: ProgressEvent) -> None:
        if event.fraction == 1.0:
            with disk.open("ab") as file:
                file.write(b"more")

    with observe(write), pytest.raises(ImageFormatError, match="was changed"):
        await import_image(disk, "1.34.2")
    assert await nothing_is_left()


async def test_a_copy_is_not_the_users_file(tmp_path: Path) -> None:
    disk = real_disk(tmp_path, "qcow2")
    image = await import_image(disk, "1.34.2")
    assert image.disk.stat().st_ino != disk.stat().st_ino
    assert not stat.S_ISLNK(image.disk.lstat().st_mode)


async def test_without_qemu_img_the_hint_says_how_to_get_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = real_disk(tmp_path, "vdi")
    monkeypatch.setenv("KUTTI_QEMU_DIR", str(tmp_path))
    with pytest.raises(DriverUnavailableError) as caught:
        await import_image(disk, "1.34.2")
    assert "install" in str(caught.value.hint)
    assert await nothing_is_left()
