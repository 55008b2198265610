"""An .ova as a whole: its parts found, judged, and held against its manifest."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from kutti_sdk.core.errors import ChecksumMismatchError, ImageFormatError
from kutti_sdk.images.digests import Span
from kutti_sdk.images.disk_source import DiskSource, judge_disk
from kutti_sdk.images.ova.archive import Member, read_members, read_text
from kutti_sdk.images.ova.checksum_list import LARGEST_LIST, parse_checksums
from kutti_sdk.images.ova.descriptor import LARGEST_DESCRIPTOR, OvfMachine, parse_descriptor


@dataclass(frozen=True, slots=True)
class PromisedChecksum:
    """What the manifest says of a file.

    Attributes:
        name: The file.
        span: Where it is in the archive, and which checksum is meant.
        checksum: The checksum in hexadecimal.
    """

    name: str
    span: Span
    checksum: str

    def verify(self, found: str) -> None:
        """Hold it against the checksum that the file has.

        Args:
            found: That checksum.

        Raises:
            ChecksumMismatchError: When it is another.
        """
        if found != self.checksum:
            raise ChecksumMismatchError(
                f"{self.name} in the .ova is not what its manifest says: expected "
                f"{self.span.algorithm.upper()} {self.checksum}, found {found}",
                hint="Get the file again; it was not used.",
            )


@dataclass(frozen=True, slots=True)
class OvaPackage:
    """An .ova that was judged.

    Attributes:
        machine: The machine that it describes.
        disk: Its disk, in its place in the archive.
        promised: The checksums that its manifest promises; empty when it has none.
    """

    machine: OvfMachine
    disk: DiskSource
    promised: tuple[PromisedChecksum, ...]


def open_ova(path: Path) -> OvaPackage:
    """Find and judge the parts of an .ova. Reads headers and texts: call it in a thread.

    Args:
        path: The file.

    Returns:
        What is in it. No checksum has been looked at yet.

    Raises:
        ImageFormatError: When it is damaged, or not one machine with one disk.
        UnsafeImageError: When it names files outside of itself.
    """
    members = read_members(path)
    descriptor = _only(members.values(), ".ovf", "description of a machine (.ovf)")
    if descriptor is None:
        raise ImageFormatError("the archive has no description of a machine (.ovf)")
    machine = parse_descriptor(read_text(path, descriptor, limit=LARGEST_DESCRIPTOR))
    member = members.get(machine.disk)
    if member is None:
        raise ImageFormatError(f"the disk {machine.disk!r} is not in the .ova")
    if machine.disk_size not in (None, member.size):
        raise ImageFormatError(
            f"{member.name} has {member.size} bytes, and should have {machine.disk_size}"
        )
    disk = judge_disk(path, member.offset, member.size, member.name)
    if disk.virtual_size > machine.capacity:
        raise ImageFormatError(
            f"{member.name} is a disk of {disk.virtual_size} bytes, "
            f"and the .ova describes one of {machine.capacity}"
        )
    return OvaPackage(machine, disk, _promised(path, members, (descriptor, member)))


def _promised(
    path: Path, members: dict[str, Member], used: Iterable[Member]
) -> tuple[PromisedChecksum, ...]:
    manifest = _only(members.values(), ".mf", "manifest (.mf)")
    if manifest is None:
        return ()  # DSP0243 leaves it out where nobody cares
    checksums = parse_checksums(read_text(path, manifest, limit=LARGEST_LIST))
    for name in checksums:
        if name not in members:
            raise ImageFormatError(f"the .ova's manifest names {name!r}, which is not there")
    for member in used:
        if member.name not in checksums:
            raise ImageFormatError(f"the .ova's manifest says nothing of {member.name!r}")
    return tuple(
        PromisedChecksum(name, Span(algorithm, members[name].offset, members[name].size), checksum)
        for name, (algorithm, checksum) in checksums.items()
    )


def _only(members: Iterable[Member], ending: str, what: str) -> Member | None:
    found = [member for member in members if member.name.lower().endswith(ending)]
    if len(found) > 1:
        raise ImageFormatError(f"the archive has more than one {what}")
    return found[0] if found else None
