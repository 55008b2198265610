"""Judging a bundle before anything of it is used.

A bundle is a stream of known members in a known order, so the manifest, which
comes first, tells where every other byte must be. All headers are looked at and
the length is compared before the first byte is copied.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import msgspec

from kutti_sdk.images.bundle.layout import LIST_NAME
from kutti_sdk.images.bundle.member_reader import MemberReader, damaged
from kutti_sdk.images.list_format import CONTENT_CHECKSUM
from kutti_sdk.images.manifest import (
    MANIFEST_NAME,
    ImageFile,
    ImageManifest,
    decode_manifest,
    image_checksum,
)


@dataclass(frozen=True, slots=True)
class Member:
    """A file of the image in a bundle.

    Attributes:
        file: What the manifest says of it.
        offset: Where its content begins.
    """

    file: ImageFile
    offset: int


@dataclass(frozen=True, slots=True)
class Contents:
    """What is in a bundle.

    Attributes:
        raw_manifest: The bytes of its manifest.
        manifest: What the image is.
        checksum: The checksum that the image is known by.
        deprecated: Whether it was not for new hosts when the bundle was made.
        members: The files of the image.
    """

    raw_manifest: bytes
    manifest: ImageManifest
    checksum: str
    deprecated: bool
    members: tuple[Member, ...]

    @property
    def size(self) -> int:
        """Bytes of the files of the image."""
        return sum(member.file.size for member in self.members)


def read_manifest(path: Path) -> ImageManifest:
    """Read only the manifest of a bundle. Reads the file: call it in a thread.

    Args:
        path: The bundle.

    Returns:
        What the image in it is.

    Raises:
        ImageFormatError: When the file does not begin as bundles do.
    """
    with path.open("rb") as file:
        return decode_manifest(MemberReader(file).text(MANIFEST_NAME))


def judge(file: IO[bytes]) -> Contents:
    """Look at everything in a bundle but the contents of the image's files.

    Args:
        file: The bundle, open for reading in a thread.

    Returns:
        What is in it.

    Raises:
        ImageFormatError: When it is damaged, cut off, or has anything in it that bundles
            do not have: other files, links, folders, bytes after the end.
    """
    reader = MemberReader(file)
    raw = reader.text(MANIFEST_NAME)
    manifest, checksum = decode_manifest(raw), image_checksum(raw)
    deprecated = _judge_entry(reader.text(LIST_NAME), manifest.k8s_version, checksum)
    members = []
    for expected in manifest.files:
        size = reader.header(expected.name)
        if size != expected.size:
            raise damaged(
                f"{expected.name} has {size} bytes in it, and {expected.size} in its manifest"
            )
        members.append(Member(expected, reader.position))
        reader.skip(size)
    reader.end()
    return Contents(raw, manifest, checksum, deprecated, tuple(members))


def _judge_entry(raw: bytes, k8s_version: str, checksum: str) -> bool:
    try:
        listed = msgspec.json.decode(raw, type=dict[str, dict[str, Any]])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise damaged(f"{LIST_NAME} does not parse: {error}") from error
    if list(listed) != [k8s_version] or listed[k8s_version].get(CONTENT_CHECKSUM) != checksum:
        raise damaged(f"{LIST_NAME} is about another image than {MANIFEST_NAME}")
    return listed[k8s_version].get("ImageDeprecated") is True
