"""Judging a qcow2 disk before QEMU opens it.

The header alone decides which files QEMU would open: a disk from elsewhere
that names a backing file or an external data file would show the guest any
file that this user may read. Source: QEMU's ``docs/interop/qcow2.txt``.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path

import anyio.to_thread

from kutti_sdk.core.errors import HypervisorError, ImageFormatError, UnsafeImageError
from kutti_sdk.images.qemu_programs import DISK_TOOL, locate
from kutti_sdk.runtime import processes

# magic, version, backing file offset and length, cluster bits, size, encryption
_HEADER = struct.Struct(">4sIQIIQI")
_BACKING = range(8, 20)  # where the backing file's name is, and how long
_INCOMPATIBLE_FEATURES = struct.Struct(">Q")
_INCOMPATIBLE_OFFSET = 72
_MAGIC = b"QFI\xfb"
_EXTERNAL_DATA_FILE = 1 << 2
_CORRUPT = 1 << 1
_LARGEST_SIZE = 1 << 50  # 1 PiB; QEMU itself refuses far above it
_CHECK_TIMEOUT = 600.0  # seconds; reads the disk's tables, not its data


@dataclass(frozen=True, slots=True)
class Qcow2Header:
    """What the header of a safe qcow2 disk says.

    Attributes:
        version: 2 or 3.
        virtual_size: Bytes that a guest sees.
    """

    version: int
    virtual_size: int


def read_header(path: Path) -> Qcow2Header:
    """Read and judge a disk's header. Reads the file: call it in a thread.

    Args:
        path: The disk.

    Returns:
        What it says.

    Raises:
        ImageFormatError: When it is no qcow2 disk, or one that cannot be used.
        UnsafeImageError: When it names another file.
    """
    with path.open("rb") as file:
        return parse_header(file.read(_INCOMPATIBLE_OFFSET + _INCOMPATIBLE_FEATURES.size))


def read_foreign_layer(path: Path) -> Qcow2Header:
    """Read and judge the header of a layer that names the one below it.

    The name is not looked at: give the layer another one before anything opens it.

    Args:
        path: The layer. Reads the file: call it in a thread.

    Returns:
        What it says.

    Raises:
        ImageFormatError: When it is no qcow2 disk, or one that cannot be used.
        UnsafeImageError: When it names an external data file.
    """
    with path.open("rb") as file:
        raw = file.read(_INCOMPATIBLE_OFFSET + _INCOMPATIBLE_FEATURES.size)
    return parse_header(raw[: _BACKING.start] + bytes(len(_BACKING)) + raw[_BACKING.stop :])


def parse_header(raw: bytes) -> Qcow2Header:
    """Judge the first bytes of a disk.

    Args:
        raw: The first 80 bytes, or all there are.

    Returns:
        What they say.

    Raises:
        ImageFormatError: When they are no qcow2 header, or of a disk that cannot be used.
        UnsafeImageError: When they name another file.
    """
    if len(raw) < _HEADER.size or not raw.startswith(_MAGIC):
        raise ImageFormatError("the file is not a qcow2 disk image", hint=_CONVERT)
    _, version, backing, _, _, size, encryption = _HEADER.unpack_from(raw)
    if version not in (2, 3):
        raise ImageFormatError(f"qcow2 version {version} is not known", hint=_CONVERT)
    features = 0
    if version == 3:
        if len(raw) < _INCOMPATIBLE_OFFSET + _INCOMPATIBLE_FEATURES.size:
            raise ImageFormatError("the disk image ends within its header")
        (features,) = _INCOMPATIBLE_FEATURES.unpack_from(raw, _INCOMPATIBLE_OFFSET)
    if backing:
        raise UnsafeImageError("the disk image names a backing file", hint=_CONVERT)
    if features & _EXTERNAL_DATA_FILE:
        raise UnsafeImageError("the disk image names an external data file", hint=_CONVERT)
    if features & _CORRUPT:
        raise ImageFormatError("the disk image is marked as corrupt", hint="Get it again.")
    if encryption:
        raise ImageFormatError("the disk image is encrypted", hint=_CONVERT)
    if not 0 < size <= _LARGEST_SIZE:
        raise ImageFormatError(f"the disk image claims a size of {size} bytes")
    return Qcow2Header(version, size)


async def check_disk(path: Path) -> Qcow2Header:
    """Judge a disk's header, then let qemu-img check its tables.

    Args:
        path: The disk.

    Returns:
        What the header says.

    Raises:
        ImageFormatError: When it is damaged or cannot be used.
        UnsafeImageError: When it names another file.
    """
    header = await anyio.to_thread.run_sync(read_header, path)
    try:
        command = [locate(DISK_TOOL), "check", "-q", "-f", "qcow2", str(path)]
        await processes.run(command, timeout=_CHECK_TIMEOUT)
    except HypervisorError as error:
        raise ImageFormatError(
            f"the disk image is damaged: {error.message}", hint="Get it again."
        ) from error
    return header


_CONVERT = "Make a disk that stands alone: qemu-img convert -O qcow2 OLD NEW"
