"""Who else may read or change a file: nobody, where it holds a secret or leads to one."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable
from pathlib import Path

READ_OR_CHANGE = 0o077
"""Permissions that nobody else has to a secret."""

CHANGE = 0o022
"""Permissions that nobody else has to what we run or believe."""


def open_to_others(paths: Iterable[Path], *, rights: int = READ_OR_CHANGE) -> list[Path]:
    """Find files and folders that others may use.

    Args:
        paths: Files and folders of this user; what is missing, somebody else's or a
            symbolic link is passed over.
        rights: Which permissions others must not have.

    Returns:
        Those that give others one of these permissions; none on systems without them.
    """
    return [path for path in paths if _mode_to_mend(path, rights) is not None]


def close_to_others(paths: Iterable[Path], *, rights: int = READ_OR_CHANGE) -> list[Path]:
    """Take permissions of others away.

    Args:
        paths: As for `open_to_others`.
        rights: Which permissions to take away.

    Returns:
        Those that were changed.
    """
    changed = []
    for path in paths:
        mode = _mode_to_mend(path, rights)
        if mode is not None:
            path.chmod(mode & ~rights)
            changed.append(path)
    return changed


def _mode_to_mend(path: Path, rights: int) -> int | None:
    if not hasattr(os, "getuid"):
        return None
    try:
        status = path.lstat()
    except OSError:
        return None
    if stat.S_ISLNK(status.st_mode) or status.st_uid != os.getuid():
        return None
    mode = stat.S_IMODE(status.st_mode)
    return mode if mode & rights else None
