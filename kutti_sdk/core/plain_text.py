"""Text that others wrote, in a form that does nothing to the terminal or page that shows it."""

from __future__ import annotations

import re

# ECMA-48: control sequences, other escape sequences, and control characters
# except tab and line feed.
_CONTROL = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b[ -/]*[0-~]?|[\x00-\x08\x0b-\x1f\x7f-\x9f]")


def plain_text(raw: bytes) -> str:
    """Make plain text of what a guest wrote.

    Args:
        raw: Bytes in no certain encoding.

    Returns:
        Text with tabs and line feeds and no other control characters.
    """
    text = raw.decode(errors="replace").replace("\r\n", "\n").replace("\r", "\n")
    return _CONTROL.sub("", text)
