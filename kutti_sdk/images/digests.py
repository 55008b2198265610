"""Several checksums of one file, taken while it is read once."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import anyio.from_thread
import anyio.to_thread

_BLOCK = 2 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of a file whose checksum is wanted.

    Attributes:
        algorithm: Name of the checksum: ``sha256``.
        start: Where it begins, in bytes.
        size: How many bytes it has.
    """

    algorithm: str
    start: int
    size: int


async def digests_of(path: Path, spans: Sequence[Span]) -> list[str]:
    """Take checksums of stretches of a file; may be cancelled in the middle.

    It is done in a thread that reads each byte once, so that the loop and a program
    that works on the same file go on meanwhile.

    Args:
        path: The file.
        spans: Which stretches; they may overlap.

    Returns:
        The checksums in hexadecimal, in the order of the spans. A stretch that
        reaches beyond the end of the file is taken as far as there are bytes.
    """
    return await anyio.to_thread.run_sync(_read, path, spans)


def _read(path: Path, spans: Sequence[Span]) -> list[str]:
    digests = [hashlib.new(span.algorithm, usedforsecurity=False) for span in spans]
    position = min((span.start for span in spans), default=0)
    end = max((span.start + span.size for span in spans), default=0)
    buffer = memoryview(bytearray(_BLOCK))
    with path.open("rb", buffering=0) as file:
        file.seek(position)
        while position < end and (count := file.readinto(buffer[: end - position])):
            anyio.from_thread.check_cancelled()
            for span, digest in zip(spans, digests, strict=True):
                first = max(span.start - position, 0)
                last = min(span.start + span.size - position, count)
                if first < last:
                    digest.update(buffer[first:last])
            position += count
    return [digest.hexdigest() for digest in digests]
