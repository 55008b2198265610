"""Reading the bundle of an image once, from its first byte to its last."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import IO

import anyio.to_thread

from kutti_sdk.core.errors import ChecksumMismatchError
from kutti_sdk.core.sizes import MiB
from kutti_sdk.images.bundle.layout import Bundle, FilePart, gone

_BLOCK = 4 * MiB


async def read_through(
    bundle: Bundle, take: Callable[[bytes], object], advance: Callable[[int], None]
) -> None:
    """Read all of a bundle, and verify every file of it on the way.

    Args:
        bundle: The bundle.
        take: Called with the bytes in their order, in a thread.
        advance: Called with the number of bytes read so far, in the caller's task.

    Raises:
        ChecksumMismatchError: When a file is not what the manifest says.
        ImageNotDownloadedError: When the image was removed meanwhile.
    """
    done = 0
    for part in bundle.parts:
        if isinstance(part, bytes):
            await anyio.to_thread.run_sync(take, part)
            done += len(part)
            advance(done)
            continue
        try:
            file = await anyio.to_thread.run_sync(_open, part.path)
        except FileNotFoundError as error:
            raise gone(bundle.image) from error
        digest = hashlib.sha256()
        with file:
            while size := await anyio.to_thread.run_sync(_pass_on, file, digest.update, take):
                done += size
                advance(done)
        if digest.hexdigest() != part.file.sha256:
            raise _damaged(bundle, part)


def _open(path: Path) -> IO[bytes]:
    return path.open("rb", buffering=0)


def _pass_on(file: IO[bytes], *takers: Callable[[bytes], object]) -> int:
    block = file.read(_BLOCK)
    for take in takers:
        take(block)
    return len(block)


def _damaged(bundle: Bundle, part: FilePart) -> ChecksumMismatchError:
    return ChecksumMismatchError(
        f"{part.path} is damaged: it does not have the SHA-256 that its manifest says, "
        f"{part.file.sha256}",
        hint="Remove the image with `image remove` and get it again.",
        image=bundle.image.manifest.k8s_version,
    )
