"""Sizes of memory and disks."""

from __future__ import annotations

import re

from kutti_sdk.core.errors import InvalidSizeError

KiB = 1024
MiB = 1024 * KiB
GiB = 1024 * MiB

_UNITS = {
    "": 1,
    "b": 1,
    "k": KiB,
    "ki": KiB,
    "kib": KiB,
    "kb": 1000,
    "m": MiB,
    "mi": MiB,
    "mib": MiB,
    "mb": 1000**2,
    "g": GiB,
    "gi": GiB,
    "gib": GiB,
    "gb": 1000**3,
    "t": 1024 * GiB,
    "ti": 1024 * GiB,
    "tib": 1024 * GiB,
    "tb": 1000**4,
}

_SIZE = re.compile(r"\s*(\d{1,15}(?:\.\d{1,6})?)\s*([A-Za-z]{0,3})\s*", re.ASCII)


def parse_size(size: int | str, what: str = "size") -> int:
    """Read a size in bytes.

    Args:
        size: A number of bytes, or a text such as ``"2GiB"``, ``"512MiB"``, ``"1.5G"``.
            Units without ``B`` are binary, as QEMU and Kubernetes take them; ``MB`` and
            ``GB`` are decimal.
        what: What the size is of, as the error should call it.

    Returns:
        The size in bytes, at least 1.

    Raises:
        InvalidSizeError: When it is not a positive size.
    """
    if isinstance(size, int) and not isinstance(size, bool):
        number = size
    else:
        match = _SIZE.fullmatch(size) if isinstance(size, str) else None
        unit = _UNITS.get(match[2].lower()) if match else None
        if match is None or unit is None:
            raise InvalidSizeError(
                f"{what} {size!r} is not a size", hint='Write it like "2GiB" or "512MiB".'
            )
        number = int(float(match[1]) * unit)
    if number <= 0:
        raise InvalidSizeError(f"{what} {size!r} is not positive", hint='Write it like "2GiB".')
    return number


def format_size(size: float) -> str:
    """Write a size for a person.

    Args:
        size: Bytes.

    Returns:
        The size with a binary unit and at most one decimal: ``1.5 GiB``.
    """
    for unit, name in ((1024 * GiB, "TiB"), (GiB, "GiB"), (MiB, "MiB"), (KiB, "KiB")):
        if size >= unit:
            return f"{size / unit:.1f}".removesuffix(".0") + f" {name}"
    return f"{size:.0f} B"
