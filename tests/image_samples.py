"""Small images and disks to test with, and what tests ask about them."""

from __future__ import annotations

import hashlib
import struct
from pathlib import Path

from kutti_sdk.images.manifest import (
    MANIFEST_NAME,
    DirectBoot,
    ImageFile,
    ImageManifest,
    encode_manifest,
)

MIB = 1024 * 1024
VERSION = "1.34.2"


def qcow2_disk(*, size: int = MIB, marker: int = 0) -> bytes:
    """A valid, empty qcow2 version 3 disk; disks with different markers differ."""
    cluster = 65536
    header = struct.pack(
        ">4sIQIIQIIQQIIQQQQII",
        *(b"QFI\xfb", 3, 0, 0, 16, size, 0, 1, 3 * cluster, cluster, 1, 0, 0),
        *(0, 0, 0, 4, 104),
    )
    # Header extension: unknown type, ignored by everybody, then the end mark.
    header += struct.pack(">IIQ", 0x6B757474, 8, marker) + struct.pack(">II", 0, 0)
    refcount_table = struct.pack(">Q", 2 * cluster)
    refcounts = struct.pack(">4H", 1, 1, 1, 1)
    l1_table = struct.pack(">Q", 0)
    parts = (header, refcount_table, refcounts, l1_table)
    return b"".join(part.ljust(cluster, b"\0") for part in parts)


def image_file(name: str, content: bytes) -> ImageFile:
    return ImageFile(name=name, size=len(content), sha256=hashlib.sha256(content).hexdigest())


def make_image_folder(
    folder: Path, *, k8s_version: str = "none", created: str = "2025-01-01T00:00:00+00:00"
) -> Path:
    """An image folder in our own format, with a kernel and initrd that are mere text."""
    files = {"disk.qcow2": qcow2_disk(), "vmlinux": b"kernel", "initrd.img": b"initrd"}
    folder.mkdir(parents=True)
    for name, content in files.items():
        (folder / name).write_bytes(content)
    disk, kernel, initrd = (image_file(name, content) for name, content in files.items())
    manifest = ImageManifest(
        k8s_version=k8s_version,
        architecture="x86_64",
        os="Debian test",
        created=created,
        disk=disk,
        boot=DirectBoot(kernel=kernel, initrd=initrd, cmdline="root=/dev/vda"),
        credentials=True,
    )
    (folder / MANIFEST_NAME).write_bytes(encode_manifest(manifest))
    return folder


async def nobody(checksum: str) -> list[str]:
    """The clusters that use an image: none."""
    return []


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir()) if folder.exists() else []
