"""Text from elsewhere, made harmless for terminals.

What hosts, servers and files say ends up in errors and on terminals. Sequences in it would
move the cursor, change colours and titles, or have some terminals type commands.
"""

from __future__ import annotations

import re

# ECMA-48: control sequences, other escape sequences, and control characters
# except tab and line feed.
_CONTROL = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b[ -/]*[0-~]?|[\x00-\x08\x0b-\x1f\x7f-\x9f]")


def plain_text(text: str) -> str:
    """Leave out what is not to be read but obeyed.

    Args:
        text: Any text.

    Returns:
        The text with tabs and line feeds and no other control characters.
    """
    return _CONTROL.sub("", text)


def decoded(raw: bytes) -> str:
    """Make plain text of bytes, as a guest's console or a log has them.

    Args:
        raw: Bytes in no certain encoding.

    Returns:
        Text with tabs and line feeds and no other control characters.
    """
    text = raw.decode(errors="replace").replace("\r\n", "\n").replace("\r", "\n")
    return plain_text(text)
