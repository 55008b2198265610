"""Disks of other formats are judged by their headers, before QEMU sees them."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from image_samples import MIB, qcow2_disk
from ova_samples import raw_disk, real_disk, vdi_head, vmdk_head

from kutti_sdk.core.errors import ImageFormatError, UnsafeImageError
from kutti_sdk.images import vdi, vmdk
from kutti_sdk.images.disk_source import judge_disk, judge_file
from kutti_sdk.images.file_kind import FileKind, kind_of_bytes

needs_qemu_img = pytest.mark.skipif(shutil.which("qemu-img") is None, reason="needs qemu-img")

_PARENT = 'parentCID=ffffffff\nparentFileNameHint="/etc/shadow"\n'


@pytest.mark.parametrize(
    ("head", "kind"),
    [
        (qcow2_disk(), FileKind.QCOW2),
        (vmdk_head(), FileKind.VMDK),
        (b"# Disk DescriptorFile\nversion=1\n", FileKind.VMDK),
        (vdi_head(), FileKind.VDI),
        (raw_disk(), FileKind.RAW),
    ],
)
def test_the_kind_is_told_by_the_content(head: bytes, kind: FileKind) -> None:
    assert kind_of_bytes(head[:1024], "misleading.iso") is kind


@pytest.mark.parametrize(
    ("head", "unpack"),
    [
        (b"\x1f\x8b\x08", "gunzip"),
        (b"\xfd7zXZ\0", "unxz"),
        (b"\x28\xb5\x2f\xfd", "unzstd"),
        (b"BZh9", "bunzip2"),
        (b"PK\x03\x04", "unzip"),
    ],
)
def test_a_compressed_file_is_refused_with_the_command_to_unpack_it(
    head: bytes, unpack: str
) -> None:
    with pytest.raises(ImageFormatError) as caught:
        kind_of_bytes(head.ljust(1024, b"\0"), "lab.img")
    assert f"{unpack} lab.img" in str(caught.value)


@pytest.mark.parametrize("head", [b"", bytes(1024), b"<html>".ljust(1024), b"\x7fELF".ljust(1024)])
def test_what_does_not_boot_is_no_disk(head: bytes) -> None:
    with pytest.raises(ImageFormatError, match="not a disk"):
        kind_of_bytes(head, "lab.img")


@given(st.binary(max_size=1024))
def test_any_beginning_of_a_file_is_judged(head: bytes) -> None:
    try:
        kind_of_bytes(head, "any")
    except ImageFormatError:
        pass


def test_the_size_of_a_vmdk_is_read() -> None:
    assert vmdk.parse_header(vmdk_head(capacity=7 * MIB)) == 7 * MIB


@pytest.mark.parametrize(
    "raw",
    [
        b'# Disk DescriptorFile\nRW 2048 FLAT "/etc/shadow" 0\n',
        vmdk_head(capacity=0),  # QEMU would open the files that the descriptor names
        vmdk_head(descriptor=_PARENT),
        vmdk_head(descriptor=_PARENT.upper()),
        vmdk_head(descriptor="parentCID=00000001\n"),
        # A harmless descriptor where the header says, the other one where QEMU looks.
        vmdk_head(descriptor=_PARENT, descriptor_at=30) + bytes(40 * 512),
    ],
)
def test_a_vmdk_that_names_other_files_is_unsafe(raw: bytes) -> None:
    with pytest.raises(UnsafeImageError):
        vmdk.parse_header(raw)


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"KDMV",
        vmdk_head(magic=b"COWD"),
        vmdk_head(version=4),
        vmdk_head(capacity=1 << 60),
        vmdk_head()[:4096],
        vmdk_head(descriptor_at=1 << 40),
    ],
)
def test_a_damaged_vmdk_is_refused(raw: bytes) -> None:
    with pytest.raises(ImageFormatError):
        vmdk.parse_header(raw)


@given(st.binary(max_size=12 * 1024), st.booleans())
def test_any_vmdk_header_is_judged(raw: bytes, as_vmdk: bool) -> None:
    try:
        assert vmdk.parse_header(b"KDMV\3\0\0\0" + raw if as_vmdk else raw) > 0
    except (ImageFormatError, UnsafeImageError):
        pass


def test_the_size_of_a_vdi_is_read() -> None:
    assert vdi.parse_header(vdi_head(size=7 * MIB)) == 7 * MIB


@pytest.mark.parametrize("raw", [vdi_head(kind=4), vdi_head(parent=b"\1" * 16)])
def test_a_vdi_with_a_parent_is_unsafe(raw: bytes) -> None:
    with pytest.raises(UnsafeImageError, match="parent"):
        vdi.parse_header(raw)


@pytest.mark.parametrize(
    "raw",
    [b"", vdi_head()[:511], bytes(512), vdi_head(version=2), vdi_head(size=0)],
)
def test_a_damaged_vdi_is_refused(raw: bytes) -> None:
    with pytest.raises(ImageFormatError):
        vdi.parse_header(raw)


@given(st.binary(min_size=512, max_size=512))
def test_any_vdi_header_is_judged(raw: bytes) -> None:
    signed = raw[: vdi.SIGNATURE_OFFSET] + vdi.SIGNATURE + raw[vdi.SIGNATURE_OFFSET + 4 :]
    try:
        assert vdi.parse_header(signed) > 0
    except (ImageFormatError, UnsafeImageError):
        pass


@needs_qemu_img
@pytest.mark.parametrize("kind", ["qcow2", "vmdk", "vdi", "raw"])
def test_disks_that_qemu_makes_are_understood(kind: str, tmp_path: Path) -> None:
    disk = judge_file(real_disk(tmp_path, kind))
    assert (disk.kind, disk.virtual_size) == (kind, MIB)


def test_a_disk_inside_of_a_file_is_judged_where_it_is(tmp_path: Path) -> None:
    place = tmp_path / "around"
    place.write_bytes(b"x" * 512 + vmdk_head())
    assert judge_disk(place, 512, len(vmdk_head()), "inner").virtual_size == MIB
    with pytest.raises(ImageFormatError):  # what lies behind it does not belong to it
        judge_disk(place, 512, 1024, "inner")


def test_commas_in_a_path_do_not_end_it(tmp_path: Path) -> None:
    disk = tmp_path / "a,file.driver=nbd"
    disk.write_bytes(vmdk_head())
    assert judge_file(disk).image_options.endswith("/a,,file.driver=nbd")
