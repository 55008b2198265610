from __future__ import annotations

import shutil
import struct
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from image_samples import MIB, qcow2_disk

from kutti_sdk.core.errors import ImageFormatError, UnsafeImageError
from kutti_sdk.images.qcow2 import check_disk, parse_header, read_header

needs_qemu_img = pytest.mark.skipif(shutil.which("qemu-img") is None, reason="needs qemu-img")


def with_field(offset: int, layout: str, value: int) -> bytes:
    raw = bytearray(qcow2_disk()[:104])
    struct.pack_into(layout, raw, offset, value)
    return bytes(raw)


def test_the_size_that_a_guest_sees_is_read() -> None:
    assert parse_header(qcow2_disk(size=7 * MIB)).virtual_size == 7 * MIB


def test_version_2_has_no_feature_bits() -> None:
    raw = bytearray(with_field(4, ">I", 2))
    raw[72:80] = b"\xff" * 8  # the first header extension, in version 2
    assert parse_header(bytes(raw)).version == 2


@pytest.mark.parametrize(
    ("raw", "what"),
    [
        (with_field(8, ">Q", 104), "backing file"),
        (with_field(72, ">Q", 1 << 2), "external data file"),
    ],
)
def test_a_disk_that_names_another_file_is_unsafe(raw: bytes, what: str) -> None:
    with pytest.raises(UnsafeImageError, match=what):
        parse_header(raw)


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"QFI\xfb",
        qcow2_disk()[:79],
        b"KDMV" + qcow2_disk()[4:104],
        with_field(4, ">I", 1),
        with_field(4, ">I", 4),
        with_field(32, ">I", 2),  # encrypted
        with_field(72, ">Q", 1 << 1),  # marked as corrupt
        with_field(24, ">Q", 0),
        with_field(24, ">Q", 1 << 60),
    ],
)
def test_what_is_no_usable_qcow2_disk_is_refused(raw: bytes) -> None:
    with pytest.raises(ImageFormatError):
        parse_header(raw)


@given(st.binary(max_size=120), st.booleans())
def test_any_bytes_are_judged(raw: bytes, as_qcow2: bool) -> None:
    if as_qcow2:
        raw = b"QFI\xfb\0\0\0\3" + raw
    try:
        header = parse_header(raw)
    except (ImageFormatError, UnsafeImageError):
        return
    assert header.version in (2, 3)
    assert header.virtual_size > 0


def test_only_the_header_is_read_from_a_file(tmp_path: Path) -> None:
    disk = tmp_path / "disk.qcow2"
    disk.write_bytes(qcow2_disk()[:104])
    assert read_header(disk).virtual_size == MIB


@pytest.mark.anyio
@needs_qemu_img
async def test_a_whole_disk_passes_the_check(tmp_path: Path) -> None:
    disk = tmp_path / "disk.qcow2"
    disk.write_bytes(qcow2_disk())
    assert (await check_disk(disk)).virtual_size == MIB


@pytest.mark.anyio
@needs_qemu_img
async def test_a_disk_with_broken_tables_is_refused(tmp_path: Path) -> None:
    disk = tmp_path / "disk.qcow2"
    raw = bytearray(qcow2_disk())
    raw[3 * 65536 : 3 * 65536 + 8] = struct.pack(">Q", (1 << 63) | 200 * 65536)
    disk.write_bytes(raw)
    with pytest.raises(ImageFormatError, match="damaged"):
        await check_disk(disk)
