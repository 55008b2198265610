"""The pid file: who the switch is, and a lock that only one switch can hold.

The kernel releases the lock when the process ends in whatever way, so that a file that was left
behind by `kill -9` is no obstacle.
"""

from __future__ import annotations

import fcntl
import os
from typing import TYPE_CHECKING

from .errors import AlreadyRunningError

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["PidFile"]


class PidFile:
    """A locked pid file; a child that is forked after this holds the lock as well.

    Raises:
        AlreadyRunningError: Another process holds the lock.
        OSError: The file cannot be made.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        while True:
            self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                pid = os.read(self._file, 32).decode(errors="replace").strip() or "unknown"
                os.close(self._file)
                raise AlreadyRunningError(f"{path}: a switch is running as pid {pid}") from error
            if self._is_current():
                return
            os.close(self._file)  # its owner removed it between our opening and locking it

    def write(self) -> None:
        """Write this process's id."""
        os.ftruncate(self._file, 0)
        os.pwrite(self._file, f"{os.getpid()}\n".encode(), 0)

    def remove(self) -> None:
        """Remove the file; the lock ends with the process."""
        if self._is_current():
            self._path.unlink()

    def _is_current(self) -> bool:
        try:
            return os.path.samestat(os.fstat(self._file), self._path.stat())
        except FileNotFoundError:
            return False
