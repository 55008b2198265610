"""A disk from elsewhere: judged, and where QEMU finds it.

It may be a file of its own or a stretch of a larger one, so that the disk of an
archive is read in its place and never unpacked.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from kutti_sdk.core.errors import ImageFormatError
from kutti_sdk.images import qcow2, vdi, vmdk
from kutti_sdk.images.file_kind import DISK_KINDS, FileKind, kind_of_bytes

_HEAD = max(vmdk.HEAD_SIZE, vdi.HEAD_SIZE)
_SECTOR = 512


@dataclass(frozen=True, slots=True)
class DiskSource:
    """A disk that may be given to QEMU.

    Attributes:
        path: The file that it is, or is in.
        offset: Where it begins in the file, in bytes.
        size: How many bytes of the file it has.
        kind: Its format.
        virtual_size: Bytes that a guest sees.
    """

    path: Path
    offset: int
    size: int
    kind: FileKind
    virtual_size: int

    @property
    def image_options(self) -> str:
        """What ``qemu-img --image-opts`` is told: every layer by name, nothing to be probed."""
        place = f"file.driver=raw,file.offset={self.offset},file.size={self.size}"
        name = str(self.path).replace(",", ",,")
        return f"driver={self.kind},{place},file.file.driver=file,file.file.filename={name}"


def judge_file(path: Path) -> DiskSource:
    """Judge a disk that is a file of its own. Reads its head: call it in a thread.

    Args:
        path: The file.

    Returns:
        The disk.

    Raises:
        ImageFormatError: When it is none that can be used.
        UnsafeImageError: When it names other files.
    """
    return judge_disk(path, 0, path.stat().st_size, path.name)


def judge_disk(path: Path, offset: int, size: int, name: str) -> DiskSource:
    """Judge a disk that is a stretch of a file. Reads its head: call it in a thread.

    Args:
        path: The file.
        offset: Where the disk begins, in bytes.
        size: How many bytes it has.
        name: What it is called, for errors.

    Returns:
        The disk.

    Raises:
        ImageFormatError: When it is none that can be used.
        UnsafeImageError: When it names other files.
    """
    with path.open("rb") as file:
        file.seek(offset)
        head = file.read(min(_HEAD, size))
    kind = kind_of_bytes(head[: 2 * _SECTOR], name)
    match kind:
        case FileKind.QCOW2:
            virtual_size = qcow2.parse_header(head).virtual_size
        case FileKind.VMDK:
            virtual_size = vmdk.parse_header(head)
        case FileKind.VDI:
            virtual_size = vdi.parse_header(head)
        case _:
            virtual_size = size
    if kind not in DISK_KINDS:
        raise ImageFormatError(f"{name} is an archive where a disk should be")
    return DiskSource(path, offset, size, kind, virtual_size)
