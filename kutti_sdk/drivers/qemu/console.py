"""What a host wrote to its serial console.

The guest writes there whatever it likes. Sequences that would move the cursor or
change the colours of the terminal or page that shows the text are left out.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import BinaryIO

from kutti_sdk.core.plain_text import decoded

_TAIL = 256 * 1024  # bytes that are read of a console, however long it has become
_LINE = 512  # bytes for a line and its colours; more are read when that was not enough


def read_console(path: Path, lines: int) -> str:
    """Read the end of a console. Reads a file: call it in a thread.

    Args:
        path: The file that QEMU writes it to.
        lines: How many lines; empty ones do not count.

    Returns:
        The lines; empty when there is no such file yet.
    """
    if lines <= 0:
        return ""
    try:
        with path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            wanted = min(lines * _LINE, _TAIL)
            # One more than wanted: the first may lack its beginning.
            while len(kept := _end_of(file, size, wanted)) <= lines and wanted < min(size, _TAIL):
                wanted = min(4 * wanted, _TAIL)
    except FileNotFoundError:
        return ""
    return "\n".join(kept[-lines:])


def _end_of(file: BinaryIO, size: int, wanted: int) -> list[str]:
    file.seek(max(0, size - wanted))
    written = (line.rstrip() for line in decoded(file.read(wanted)).splitlines())
    return [line for line in written if line]
