"""The manifest of an .ova (.mf): the checksums of the files beside it (DMTF DSP0243, 5.1)."""

from __future__ import annotations

import re

from kutti_sdk.core.errors import ImageFormatError

LARGEST_LIST = 64 * 1024
"""Bytes that a manifest may have; real ones have a few hundred."""

_LINE = re.compile(r"(SHA1|SHA256|SHA512)\s*\((.+)\)\s*=\s*([0-9a-fA-F]+)\s*")
_DIGITS = {"SHA1": 40, "SHA256": 64, "SHA512": 128}


def parse_checksums(raw: bytes) -> dict[str, tuple[str, str]]:
    """Read a manifest.

    Args:
        raw: The content of the .mf file.

    Returns:
        By file name: the algorithm, as hashlib calls it, and the checksum.

    Raises:
        ImageFormatError: When a line is none, or a file has two.
    """
    checksums: dict[str, tuple[str, str]] = {}
    for line in raw.decode(errors="replace").splitlines():
        if not line.strip():
            continue
        match = _LINE.fullmatch(line)
        if match is None or len(match[3]) != _DIGITS[match[1]]:
            raise ImageFormatError(f"the .ova's manifest has the line {line[:100]!r}")
        if match[2] in checksums:
            raise ImageFormatError(f"the .ova's manifest names {match[2]!r} twice")
        checksums[match[2]] = (match[1].lower(), match[3].lower())
    return checksums
