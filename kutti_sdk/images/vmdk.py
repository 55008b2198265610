"""Judging a VMDK disk before QEMU opens it.

Only sparse extents that stand alone are taken: one file with its own tables, as
VirtualBox and VMware export them (streamOptimized). A VMDK may as well be a text
that names other files, or name a parent disk; QEMU would open whatever it names.
Source: VMware's "Virtual Disk Format 5.0", SparseExtentHeader and Descriptor File.
"""

from __future__ import annotations

import struct

from kutti_sdk.core.errors import ImageFormatError, UnsafeImageError

MAGIC = b"KDMV"
"""How a sparse extent begins."""

DESCRIPTOR_MAGIC = b"# Disk Descriptor"
"""How a text that names the files of a disk begins."""

HEAD_SIZE = 32 * 1024
"""Bytes that are judged: the header, and the descriptor behind it."""

_SECTOR = 512
# magic, version, flags, capacity, grain size, descriptor offset and size, in sectors
_HEADER = struct.Struct("<4sIIQQQQ")
_VERSIONS = (1, 2, 3)
_LARGEST_CAPACITY = (1 << 50) // _SECTOR  # 1 PiB
_NO_PARENT = b"parentcid=ffffffff"


def parse_header(raw: bytes) -> int:
    """Judge the first bytes of a disk.

    Args:
        raw: The first `HEAD_SIZE` bytes, or all there are.

    Returns:
        Bytes that a guest sees.

    Raises:
        ImageFormatError: When they are no such disk, or of one that cannot be used.
        UnsafeImageError: When they name other files.
    """
    if raw.startswith(DESCRIPTOR_MAGIC):
        raise UnsafeImageError("the VMDK is a text that names other files", hint=_CONVERT)
    if len(raw) < _HEADER.size or not raw.startswith(MAGIC):
        raise ImageFormatError("the file is not a VMDK disk image")
    _, version, _, capacity, _, descriptor_at, descriptor_size = _HEADER.unpack_from(raw)
    if version not in _VERSIONS:
        raise ImageFormatError(f"VMDK version {version} is not known")
    if capacity == 0:  # QEMU then opens the files that the descriptor names
        raise UnsafeImageError("the VMDK has no data and names other files", hint=_CONVERT)
    if capacity > _LARGEST_CAPACITY:
        raise ImageFormatError(f"the VMDK claims a size of {capacity * _SECTOR} bytes")
    end = (descriptor_at + descriptor_size) * _SECTOR
    if end > len(raw):
        raise ImageFormatError("the VMDK ends within its header, or has its descriptor elsewhere")
    # All of the head, and not only where the header says that the descriptor is:
    # QEMU looks for the parent in the second sector whatever the header says.
    text = raw.lower()
    if b"parentfilenamehint" in text or (b"parentcid" in text and _NO_PARENT not in text):
        raise UnsafeImageError("the VMDK names a parent disk", hint=_CONVERT)
    return int(capacity * _SECTOR)


_CONVERT = "Make a disk that stands alone, where it was made: qemu-img convert -O qcow2 OLD NEW"
