"""Reading the members of a bundle one after the other, each as it must be."""

from __future__ import annotations

from typing import IO

from kutti_sdk.core.errors import ImageFormatError
from kutti_sdk.core.sizes import MiB, format_size
from kutti_sdk.images.bundle.archive import (
    BLOCK,
    END,
    LARGEST_ENDING,
    filler,
    read_member_header,
)

_LARGEST_TEXT = 4 * MiB  # of manifests and of the list entry; they have a few KiB


class MemberReader:
    """Goes through a bundle from its beginning; use it in a thread.

    Every method raises an `ImageFormatError` when something else comes next.

    Args:
        file: The bundle, open for reading.
    """

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._length = file.seek(0, 2)
        self.position = 0
        """Where the next header, or the content after a header, begins."""

    def header(self, name: str) -> int:
        """Read the header of a file.

        Args:
            name: The name that it must have.

        Returns:
            Bytes of its content.
        """
        return read_member_header(self._read(BLOCK, name), name)

    def text(self, name: str) -> bytes:
        """Read a small file as a whole.

        Args:
            name: The name that it must have.

        Returns:
            Its content.
        """
        size = self.header(name)
        if size > _LARGEST_TEXT:
            raise damaged(f"{name} has {format_size(size)}")
        text = self._read(size, name)
        self._read_zeros(filler(size), name)
        return text

    def skip(self, size: int) -> None:
        """Leave out the content of a file.

        Args:
            size: Its bytes.
        """
        if self.position + size + filler(size) + len(END) > self._length:
            raise damaged(f"it ends early, after {format_size(self._length)}")
        self.position += size
        self._read_zeros(filler(size), "a file in it")

    def end(self) -> None:
        """Make sure that nothing follows."""
        rest = self._length - self.position
        if rest > LARGEST_ENDING:
            raise damaged(f"{format_size(rest)} follow after its end")
        self._read_zeros(max(rest, len(END)), "the end")

    def _read_zeros(self, size: int, after: str) -> None:
        if self._read(size, after).strip(b"\0"):
            raise damaged(f"something follows after {after}")

    def _read(self, size: int, what: str) -> bytes:
        self._file.seek(self.position)
        raw = self._file.read(size)
        if len(raw) < size:
            raise damaged(f"it ends early, in {what}, after {format_size(self._length)}")
        self.position += size
        return raw


def damaged(what: str) -> ImageFormatError:
    """Make the error for a bundle that is not as bundles are.

    Args:
        what: What is wrong with it.

    Returns:
        The error, to be raised.
    """
    return ImageFormatError(f"the bundle is damaged: {what}", hint="Export or get it again.")
