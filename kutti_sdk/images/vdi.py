"""Judging a VDI disk, VirtualBox's own format, before QEMU opens it.

Source: the header as QEMU's ``block/vdi.c`` describes it.
"""

from __future__ import annotations

import struct

from kutti_sdk.core.errors import ImageFormatError, UnsafeImageError

SIGNATURE = b"\x7f\x10\xda\xbe"
SIGNATURE_OFFSET = 0x40
"""Where the signature is; before it is a text for people."""

HEAD_SIZE = 512

_VERSION = struct.Struct("<I")
_VERSION_OFFSET, _TYPE_OFFSET, _SIZE_OFFSET, _PARENT_OFFSET = 0x44, 0x4C, 0x170, 0x1A8
_KNOWN_VERSION = 0x00010001
_DYNAMIC, _FIXED = 1, 2
_SIZE = struct.Struct("<Q")
_UUIDS = 32  # bytes: of the parent's last change, and of the parent
_LARGEST_SIZE = 1 << 50  # 1 PiB


def parse_header(raw: bytes) -> int:
    """Judge the first bytes of a disk.

    Args:
        raw: The first `HEAD_SIZE` bytes, or all there are.

    Returns:
        Bytes that a guest sees.

    Raises:
        ImageFormatError: When they are no such disk, or of one that cannot be used.
        UnsafeImageError: When they name a parent disk.
    """
    if len(raw) < HEAD_SIZE or not raw.startswith(SIGNATURE, SIGNATURE_OFFSET):
        raise ImageFormatError("the file is not a VDI disk image")
    (version,) = _VERSION.unpack_from(raw, _VERSION_OFFSET)
    if version != _KNOWN_VERSION:
        raise ImageFormatError(f"VDI version {version >> 16}.{version & 0xFFFF} is not known")
    (kind,) = _VERSION.unpack_from(raw, _TYPE_OFFSET)
    if kind not in (_DYNAMIC, _FIXED) or any(raw[_PARENT_OFFSET : _PARENT_OFFSET + _UUIDS]):
        raise UnsafeImageError(
            "the VDI names a parent disk",
            hint="Make a disk that stands alone, where it was made: VBoxManage clonemedium",
        )
    (size,) = _SIZE.unpack_from(raw, _SIZE_OFFSET)
    if not 0 < size <= _LARGEST_SIZE:
        raise ImageFormatError(f"the VDI claims a size of {size} bytes")
    return int(size)
