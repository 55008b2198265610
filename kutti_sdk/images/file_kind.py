"""What kind of file it is, told by its content; names can lie."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path

from kutti_sdk.core.errors import ImageFormatError
from kutti_sdk.images import vdi, vmdk
from kutti_sdk.images.manifest import MANIFEST_NAME

_SECTOR = 512
_TAR_MAGIC_OFFSET, _TAR_MAGIC = 257, b"ustar"
_TAR_NAME_SIZE = 100

_PACKED = {
    b"\x1f\x8b": ("gzip", "gunzip"),
    b"\xfd7zXZ\0": ("xz", "unxz"),
    b"\x28\xb5\x2f\xfd": ("zstd", "unzstd"),
    b"BZh": ("bzip2", "bunzip2"),
    b"PK\x03\x04": ("zip", "unzip"),
}


class FileKind(StrEnum):
    """A kind of file that an image can come as."""

    QCOW2 = "qcow2"
    VMDK = "vmdk"
    VDI = "vdi"
    RAW = "raw"
    OVA = "ova"
    BUNDLE = "bundle"


DISK_KINDS = frozenset({FileKind.QCOW2, FileKind.VMDK, FileKind.VDI, FileKind.RAW})
"""Kinds that are a disk, and have the name that QEMU has for the format."""


def kind_of(path: Path) -> FileKind:
    """Look at a file. Reads its first bytes: call it in a thread.

    Args:
        path: The file.

    Returns:
        Its kind.

    Raises:
        ImageFormatError: When it is none that is known; the hint tells how to unpack
            a compressed one.
    """
    with path.open("rb") as file:
        return kind_of_bytes(file.read(2 * _SECTOR), path.name)


def kind_of_bytes(head: bytes, name: str) -> FileKind:
    """Tell the kind of a file from its first bytes.

    Args:
        head: The first 1024 bytes, or all there are.
        name: What the file is called, for the error.

    Returns:
        The kind.

    Raises:
        ImageFormatError: As `kind_of` does.
    """
    for magic, (packing, unpack) in _PACKED.items():
        if head.startswith(magic):
            raise ImageFormatError(
                f"{name} is compressed with {packing}", hint=f"Unpack it first: {unpack} {name}"
            )
    if head.startswith(b"QFI\xfb"):
        return FileKind.QCOW2
    if head.startswith((vmdk.MAGIC, vmdk.DESCRIPTOR_MAGIC)):
        return FileKind.VMDK
    if head.startswith(vdi.SIGNATURE, vdi.SIGNATURE_OFFSET):
        return FileKind.VDI
    if head.startswith(_TAR_MAGIC, _TAR_MAGIC_OFFSET):
        first = head[:_TAR_NAME_SIZE].rstrip(b"\0")
        return FileKind.BUNDLE if first == MANIFEST_NAME.encode() else FileKind.OVA
    # A disk that firmware boots from has a boot sector; a GPT disk has a protective one.
    if head[_SECTOR - 2 : _SECTOR] == b"\x55\xaa":
        return FileKind.RAW
    raise ImageFormatError(
        f"{name} is not a disk, an .ova or a bundle",
        hint="Known are qcow2, VMDK and VDI disks, raw disks with a boot sector, .ova files, "
        "bundles, and image folders.",
    )
