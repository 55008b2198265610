"""Which bytes a bundle consists of, without there being a file of it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import anyio.to_thread

from kutti_sdk.core.errors import ImageNotDownloadedError
from kutti_sdk.images.bundle.archive import BLOCK, END, filler, member_header
from kutti_sdk.images.catalogue import CatalogueEntry
from kutti_sdk.images.list_format import encode_list
from kutti_sdk.images.manifest import MANIFEST_NAME, ImageFile
from kutti_sdk.images.store import LocalImage

LIST_NAME = "image-list.json"
"""Name of the list entry in a bundle."""

# Contents that begin at a multiple of this can share their blocks with a copy of
# them, on file systems that can do that (Btrfs, XFS); it is their block size.
_ALIGNMENT = 4096


@dataclass(frozen=True, slots=True)
class FilePart:
    """A file of the store, in the midst of a bundle.

    Attributes:
        path: Where it is.
        file: What the manifest says of it.
    """

    path: Path
    file: ImageFile


@dataclass(frozen=True, slots=True)
class Piece:
    """A stretch of a bundle that has one source.

    Attributes:
        source: The bytes themselves, or the file that holds them.
        start: The first byte of the source that belongs to the stretch.
        length: How many bytes belong to it.
    """

    source: bytes | FilePart
    start: int
    length: int


@dataclass(frozen=True, slots=True)
class Bundle:
    """An image as a stream of bytes.

    Attributes:
        image: The image.
        parts: What it consists of, one after the other.
    """

    image: LocalImage
    parts: tuple[bytes | FilePart, ...]

    @property
    def size(self) -> int:
        """How many bytes it has."""
        return sum(map(_size, self.parts))

    def pieces(self, start: int, end: int) -> Iterator[Piece]:
        """Go through a range of it.

        Args:
            start: The first byte.
            end: The byte after the last one.

        Yields:
            Stretches of one source each, without gaps.
        """
        begins = 0
        for part in self.parts:
            size = _size(part)
            first, last = max(start, begins), min(end, begins + size)
            if first < last:
                yield Piece(part, first - begins, last - first)
            begins += size


async def lay_out(image: LocalImage, entry: CatalogueEntry | None) -> Bundle:
    """Lay out the bundle of an image.

    Args:
        image: The image.
        entry: What an image list says of it; None when none does.

    Returns:
        The bundle.

    Raises:
        ImageNotDownloadedError: When the image is not on this machine any more.
    """
    try:
        manifest = await anyio.Path(image.folder / MANIFEST_NAME).read_bytes()
    except OSError as error:
        raise gone(image) from error
    known = entry or CatalogueEntry(
        image.manifest.k8s_version,
        checksum=image.checksum,
        source_url="",
        image_checksum=image.checksum,
    )
    parts = [
        *text_member(MANIFEST_NAME, manifest),
        *text_member(LIST_NAME, _aligned(encode_list([known]), len(manifest))),
    ]
    for file in image.manifest.files:
        parts += file_member(file.name, image.folder / file.name, file)
    return Bundle(image, joined([*parts, END]))


def text_member(name: str, content: bytes) -> list[bytes | FilePart]:
    """Lay out a file whose bytes are at hand.

    Args:
        name: Its name in the bundle.
        content: Its bytes.

    Returns:
        The parts of the bundle.
    """
    return [member_header(name, len(content)), content, bytes(filler(len(content)))]


def file_member(name: str, path: Path, file: ImageFile) -> list[bytes | FilePart]:
    """Lay out a file of this machine.

    Args:
        name: Its name in the bundle.
        path: Where it is.
        file: Its size and checksum.

    Returns:
        The parts of the bundle.
    """
    return [member_header(name, file.size), FilePart(path, file), bytes(filler(file.size))]


def bundle_member(name: str, bundle: Bundle) -> list[bytes | FilePart]:
    """Lay out a whole bundle as a file of another one.

    Args:
        name: Its name there.
        bundle: The bundle.

    Returns:
        The parts of the other bundle.
    """
    return [member_header(name, bundle.size), *bundle.parts, bytes(filler(bundle.size))]


def joined(parts: list[bytes | FilePart]) -> tuple[bytes | FilePart, ...]:
    """Put neighbouring bytes together.

    Args:
        parts: Parts of a bundle, one after the other.

    Returns:
        The same bytes in fewer parts.
    """
    result: list[bytes | FilePart] = []
    for part in parts:
        if result and isinstance(part, bytes) and isinstance(result[-1], bytes):
            result[-1] += part
        else:
            result.append(part)
    return tuple(result)


def gone(image: LocalImage) -> ImageNotDownloadedError:
    """Make the error for an image that somebody removed meanwhile.

    Args:
        image: The image.

    Returns:
        The error, to be raised.
    """
    return ImageNotDownloadedError(
        f"image {image.manifest.k8s_version!r} is not on this machine any more",
        hint="Somebody removed it; fetch, build or import it again.",
        image=image.manifest.k8s_version,
    )


def identity(bundle: Bundle) -> str:
    """Tell two bundles apart without reading the files of their images.

    Args:
        bundle: A bundle.

    Returns:
        A text that is the same for two bundles whose bytes are.
    """
    digest = hashlib.sha256()
    for part in bundle.parts:
        digest.update(part if isinstance(part, bytes) else part.file.sha256.encode())
    return digest.hexdigest()


def _aligned(content: bytes, manifest_size: int) -> bytes:
    """Fill up the list entry so that the disk, which follows, begins where it should."""
    # Three headers come before the disk's content, and the manifest with its filler.
    before = 3 * BLOCK + manifest_size + filler(manifest_size)
    size = len(content) + -(before + len(content)) % _ALIGNMENT
    return content.rstrip(b"\n").ljust(size - 1) + b"\n"


def _size(part: bytes | FilePart) -> int:
    return len(part) if isinstance(part, bytes) else part.file.size
