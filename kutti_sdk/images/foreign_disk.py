"""A disk of another format, and what the file around it says of it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from kutti_sdk.core.sizes import format_size
from kutti_sdk.images.disk_source import DiskSource, judge_file
from kutti_sdk.images.file_kind import FileKind, kind_of
from kutti_sdk.images.manifest import Firmware
from kutti_sdk.images.ova import OvaPackage, open_ova
from kutti_sdk.images.ova.package import PromisedChecksum


@dataclass(frozen=True, slots=True)
class ForeignDisk:
    """A disk that was judged and can be converted.

    Attributes:
        disk: Where it is.
        description: What it is, in one line.
        os: The operating system inside, for people.
        firmware: What it boots by.
        promised: Checksums that the file around it promises of its parts.
    """

    disk: DiskSource
    description: str
    os: str = "unknown"
    firmware: Firmware = "bios"
    promised: tuple[PromisedChecksum, ...] = ()


def open_foreign_disk(path: Path) -> ForeignDisk:
    """Find and judge the disk in a file. Reads headers and texts: call it in a thread.

    Args:
        path: A disk, or an .ova.

    Returns:
        The disk.

    Raises:
        ImageFormatError: When there is none that can be used.
        UnsafeImageError: When it names files outside of itself.
    """
    if kind_of(path) is FileKind.OVA:
        return _in_package(open_ova(path))
    disk = judge_file(path)
    return ForeignDisk(disk, f"a {disk.kind} disk of {format_size(disk.virtual_size)}")


def _in_package(package: OvaPackage) -> ForeignDisk:
    machine = package.machine
    wishes = [
        *([f"{machine.cpus} CPUs"] if machine.cpus else []),
        *([f"{format_size(machine.memory)} memory"] if machine.memory else []),
        f"a disk of {format_size(package.disk.virtual_size)}",
        f"{machine.firmware.upper()} firmware",
        *([] if package.promised else ["no manifest"]),
    ]
    return ForeignDisk(
        package.disk,
        f"{machine.name}: {machine.os}, {', '.join(wishes)}",
        os=machine.os,
        firmware=machine.firmware,
        promised=package.promised,
    )
