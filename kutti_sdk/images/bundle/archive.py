"""The headers of a bundle's members, as tar archives have them.

Source: POSIX.1-1988 "ustar"; sizes of 8 GiB and more in GNU's base-256 form.
"""

from __future__ import annotations

import tarfile

from kutti_sdk.core.errors import ImageFormatError

BLOCK = 512
"""Bytes of a tar block: headers have one, contents are filled up to whole ones."""

END = bytes(2 * BLOCK)
"""What ends an archive."""

LARGEST_ENDING = 20 * BLOCK
"""Bytes of zeros that other programs may end an archive with: one record of tar."""


def member_header(name: str, size: int) -> bytes:
    """Make the header of a plain file that tells nothing but its name and size.

    Args:
        name: Its name in the archive.
        size: Bytes of its content.

    Returns:
        One block.
    """
    member = tarfile.TarInfo(name)  # mode 0644, time 0 and owner 0 unless told otherwise
    member.size = size
    return member.tobuf(tarfile.GNU_FORMAT)


def filler(size: int) -> int:
    """Tell how many zeros follow a content.

    Args:
        size: Bytes of the content.

    Returns:
        Bytes up to the next whole block.
    """
    return -size % BLOCK


def read_member_header(raw: bytes, name: str) -> int:
    """Judge the header of the member that must come next.

    Args:
        raw: One block.
        name: The name that the member must have.

    Returns:
        The size of its content in bytes.

    Raises:
        ImageFormatError: When it is no header, of another file, or not of a plain one.
    """
    try:
        member = tarfile.TarInfo.frombuf(raw, "ascii", "strict")
    except (tarfile.HeaderError, ValueError) as error:
        raise _refused(f"where {name} should begin is no tar header ({error})") from error
    if member.name != name:
        raise _refused(f"{member.name[:100]!r} is where {name} should be")
    if member.type not in (tarfile.REGTYPE, tarfile.AREGTYPE) or member.size < 0:
        raise _refused(f"{name} is not a plain file in it")
    return member.size


def _refused(what: str) -> ImageFormatError:
    return ImageFormatError(
        f"the bundle is damaged or of another kind: {what}", hint="Export or get it again."
    )
