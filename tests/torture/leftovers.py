"""What an operation must not leave: files, open files, processes."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import psutil

_SOON = 5.0  # seconds that something may take to vanish: a process that was told to end
_STEP = 0.02


def files_below(folder: Path) -> list[str]:
    """List what is in a folder and its folders, without those that are empty.

    Args:
        folder: The folder.

    Returns:
        Relative paths, sorted.
    """
    return sorted(
        str(Path(root, name).relative_to(folder))
        for root, _, names in os.walk(folder)
        for name in names
    )


def open_files() -> list[str]:
    """List what this process has open: files, sockets, pipes."""
    found = []
    for entry in Path("/proc/self/fd").iterdir():
        try:
            found.append(str(entry.readlink()))
        except FileNotFoundError:  # the folder itself, while it was listed
            pass
    return sorted(found)


def more_than(before: list[str], now: list[str]) -> list[str]:
    """Tell what there is now and was not before, counted by name.

    Args:
        before: Names of what there was.
        now: Names of what there is.

    Returns:
        Names of what came.
    """
    return sorted((Counter(now) - Counter(before)).elements())


def processes_of(folder: Path) -> list[str]:
    """List the processes that name a folder on their command lines.

    Args:
        folder: The folder, of which nobody else knows.

    Returns:
        Their command lines.
    """
    found = []
    for process in psutil.process_iter():
        try:
            words = process.cmdline()
        except psutil.Error:  # it has just ended
            continue
        if process.pid != os.getpid() and str(folder) in " ".join(words):
            found.append(f"{process.pid}: {' '.join(words)[:200]}")
    return found


def assert_soon_none(look: Callable[[], list[str]], what: str) -> None:
    """Wait until nothing is left; what a thread or a process has begun may still end.

    Args:
        look: Lists what is left.
        what: What it is.

    Raises:
        AssertionError: When something is left after all; names it.
    """
    deadline = time.monotonic() + _SOON
    while left := look():
        assert time.monotonic() < deadline, f"{what} were left: {left}"
        time.sleep(_STEP)


def assert_clean(folder: Path, before: list[str]) -> None:
    """See that no process and no file of a workspace is left that was not there before.

    Args:
        folder: The workspace.
        before: What `files_below` listed before.
    """
    assert_soon_none(lambda: processes_of(folder), "processes")
    assert_soon_none(lambda: more_than(before, files_below(folder)), "files")
