"""The files of an .ova, found without unpacking anything.

An .ova is a tar archive of a few plain files in the ustar format (DSP0243, 6.4;
POSIX pax, "ustar Interchange Format"). Whatever else tar can hold (folders, links,
devices, sparse files, names that replace others) has no place in it and is refused,
so that nothing here depends on how well an unpacker resists it. Nothing is written.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from kutti_sdk.core.errors import ImageFormatError, UnsafeImageError

MOST_MEMBERS = 100
"""Files that an archive may have; real ones have three or four."""

_BLOCK = 512
_NAME, _SIZE, _CHECKSUM = slice(0, 100), slice(124, 136), slice(148, 156)
_TYPE, _MAGIC, _PREFIX = 156, slice(257, 262), slice(345, 500)
_PLAIN = (b"0", b"\0")
_NOTES = (b"x", b"g")  # pax headers: more about the next member, or about all
_LONGEST_NOTE = 64 * 1024
_REPLACING = re.compile(rb"^\d+ (path|linkpath|size|GNU\.sparse[^=]*)=", re.MULTILINE)
_FILE_NAME = re.compile(r"[^/\\\x00-\x1f\x7f]{1,100}")
_BASE_256 = 0x80  # first bit of a size that is too large for octal digits
_REFUSED = {
    b"1": "a hard link",
    b"2": "a symbolic link",
    b"3": "a device",
    b"4": "a device",
    b"5": "a folder",
    b"6": "a pipe",
    b"L": "a name of GNU tar's long kind",
    b"K": "a link of GNU tar's long kind",
    b"S": "a sparse file",
}


@dataclass(frozen=True, slots=True)
class Member:
    """A file in an archive.

    Attributes:
        name: Its name, without any folder.
        offset: Where its content begins in the archive, in bytes.
        size: Bytes that it has.
    """

    name: str
    offset: int
    size: int


def read_members(path: Path) -> dict[str, Member]:
    """List the files of an archive. Reads their headers: call it in a thread.

    Args:
        path: The archive.

    Returns:
        The files by name, in the order in which they stand there.

    Raises:
        ImageFormatError: When the archive is damaged, or holds what is no plain file.
        UnsafeImageError: When a name leads out of the archive's folder, or is a link.
    """
    members: dict[str, Member] = {}
    end = path.stat().st_size
    with path.open("rb") as file:
        while (header := file.read(_BLOCK)) != bytes(_BLOCK):
            if len(header) < _BLOCK:
                raise ImageFormatError(f"{path.name} ends too early", hint="Get it again.")
            if len(members) == MOST_MEMBERS:
                raise ImageFormatError(f"{path.name} has more than {MOST_MEMBERS} files")
            size, kind = _size(header), header[_TYPE : _TYPE + 1]
            begin = file.tell()
            if begin + size > end:
                raise ImageFormatError(f"{path.name} ends too early", hint="Get it again.")
            if kind in _NOTES:
                _judge_notes(file, size)
            else:
                member = Member(_name(header, kind), begin, size)
                if member.name in members:
                    raise UnsafeImageError(f"the archive has two files {member.name!r}")
                members[member.name] = member
            file.seek(begin + size + -size % _BLOCK)
    return members


def read_text(path: Path, member: Member, *, limit: int) -> bytes:
    """Read a small file of an archive. Reads it: call it in a thread.

    Args:
        path: The archive.
        member: The file.
        limit: Bytes that it may have.

    Returns:
        Its content.

    Raises:
        ImageFormatError: When it is larger.
    """
    if member.size > limit:
        raise ImageFormatError(f"{member.name} has {member.size} bytes, more than {limit}")
    with path.open("rb") as file:
        file.seek(member.offset)
        return file.read(member.size)


def _name(header: bytes, kind: bytes) -> str:
    parts = [header[_PREFIX], header[_NAME]]
    text = b"/".join(part.partition(b"\0")[0] for part in parts if part[0])
    name = text.decode(errors="backslashreplace")
    if kind not in _PLAIN:
        what = _REFUSED.get(kind, "of an unknown kind")
        raise UnsafeImageError(f"{name!r} in the archive is {what}, and not a plain file")
    if _FILE_NAME.fullmatch(name) is None or name in (".", ".."):
        raise UnsafeImageError(f"{name!r} in the archive is not the name of a file beside it")
    return name


def _size(header: bytes) -> int:
    counted = header[: _CHECKSUM.start] + b" " * 8 + header[_CHECKSUM.stop :]
    if header[_MAGIC] != b"ustar" or _octal(header[_CHECKSUM]) != sum(counted):
        raise ImageFormatError("the archive is damaged: a header is none", hint="Get it again.")
    field = header[_SIZE]
    if field[0] == _BASE_256:  # GNU tar's way for 8 GiB and more
        return int.from_bytes(field[1:])
    return _octal(field)


def _octal(field: bytes) -> int:
    digits = field.strip(b" \0")
    if re.fullmatch(rb"[0-7]+", digits) is None:
        raise ImageFormatError("the archive is damaged: no number where one should be")
    return int(digits, 8)


def _judge_notes(file: BinaryIO, size: int) -> None:
    """Pass over dates and the like, but not over what replaces names and sizes."""
    if size > _LONGEST_NOTE or _REPLACING.search(file.read(size)):
        raise UnsafeImageError("the archive replaces names or sizes by pax headers")
