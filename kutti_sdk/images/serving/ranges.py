"""Byte ranges of HTTP requests. Source: RFC 9110, section 14."""

from __future__ import annotations

import re

_ONE_RANGE = re.compile(r"bytes=[ \t]*(\d{0,19})-(\d{0,19})[ \t]*", re.ASCII | re.IGNORECASE)


class UnsatisfiableRangeError(ValueError):
    """A range begins after the last byte of what it is asked of."""


def parse_range(header: str, size: int) -> tuple[int, int] | None:
    """Read the header `Range`.

    Args:
        header: Its value.
        size: Bytes of what is asked for.

    Returns:
        The first byte, and the byte after the last one; None when the header is to be
        ignored: another unit than bytes, several ranges, or nonsense.

    Raises:
        UnsatisfiableRangeError: When there is no such byte.
    """
    match = _ONE_RANGE.fullmatch(header)
    if match is None or match[1] == match[2] == "":
        return None
    first, last = match[1], match[2]
    if not first:  # the last so many bytes
        start, end = max(0, size - int(last)), size
    else:
        start, end = int(first), min(size, int(last) + 1 if last else size)
        if last and int(last) < start:
            return None
    if start >= size:
        raise UnsatisfiableRangeError(header)
    return start, end
