"""Keeps guests from filling the disk by what they write to their consoles.

QEMU appends to the files and never looks back. The switch runs as long as hosts do, and
already keeps an eye on what they send.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

__all__ = ["KEPT", "LOOK_SECONDS", "MOST", "shorten"]

MOST: Final = 16 * 1024 * 1024
"""Bytes that a console may have; a boot with all messages of the kernel has about 100 KiB."""

KEPT: Final = 1024 * 1024
"""Bytes at its end that are kept of one that has become longer."""

LOOK_SECONDS: Final = 5.0
"""How long a guest may go on unseen; an emulated serial port takes some MB in that time."""


def shorten(consoles: Iterable[Path]) -> None:
    """Cut off the beginnings of consoles that have become too long.

    What is written in the instant between reading and cutting is lost.

    Args:
        consoles: Files that are written by appending; those that are not there are left out.
    """
    for console in consoles:
        with contextlib.suppress(OSError):
            if console.stat().st_size > MOST:
                _shorten(console)


def _shorten(console: Path) -> None:
    with console.open("rb+", buffering=0) as file:
        file.seek(-KEPT, 2)
        end = file.read(KEPT)
        file.truncate(0)
    with console.open("ab", buffering=0) as file:  # as QEMU does, so that neither overwrites
        file.write(end[end.find(b"\n") + 1 :])
