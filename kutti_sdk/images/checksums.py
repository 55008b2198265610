"""Checksums of files: taking them, and what to say when they differ."""

from __future__ import annotations

import hashlib
from pathlib import Path

import anyio

from kutti_sdk.core.errors import ChecksumMismatchError

_BLOCK = 4 * 1024 * 1024


async def verify(path: Path, sha256: str) -> None:
    """Make sure that a file is the one that was promised.

    Args:
        path: The file.
        sha256: Its checksum in hexadecimal.

    Raises:
        ChecksumMismatchError: When it is another; tells both checksums.
    """
    found = await checksum_of(path)
    if found != sha256:
        raise mismatch(path, sha256, found)


async def checksum_of(path: Path) -> str:
    """Take the SHA-256 of a file; may be cancelled in the middle.

    Args:
        path: The file.

    Returns:
        The checksum in hexadecimal.
    """
    digest = hashlib.sha256()
    async with await anyio.open_file(path, "rb") as file:
        while block := await file.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()


def mismatch(path: Path, expected: str | None, found: str) -> ChecksumMismatchError:
    """Make the error for a file that is not the promised one.

    Args:
        path: The file.
        expected: The promised checksum.
        found: The checksum it has.

    Returns:
        The error, to be raised.
    """
    return ChecksumMismatchError(
        f"{path.name} is not what it should be: expected SHA-256 {expected}, found {found}",
        hint="Get it again; it was not used.",
    )
