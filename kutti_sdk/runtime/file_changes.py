"""Waiting until something changes in folders, without reading them again and again.

Linux tells, by inotify(7). Elsewhere, and where its limits are reached, nobody does:
then it is time to look again every tenth of a second.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import anyio
import anyio.to_thread

if TYPE_CHECKING:
    from inotify_simple import INotify

_STEP = 0.1  # seconds, where nobody tells


class FileChanges:
    """Tells when names come and go in folders, and when files are written to.

    Name the places, look at them, and only then wait: so nothing falls in between.

    Args:
        notifier: Where the system tells; None when it does not.
    """

    def __init__(self, notifier: INotify | None) -> None:
        self._notifier = notifier

    def follow(self, folders: Iterable[str | Path], files: Iterable[str | Path]) -> None:
        """Name places, also again. Asks the file system: call it in a thread.

        Args:
            folders: In which names come and go; one that is missing is left out.
            files: That are written to; the same.
        """
        if self._notifier is None:
            return
        from inotify_simple import flags

        names = flags.CREATE | flags.DELETE | flags.MOVED_FROM | flags.MOVED_TO
        try:
            for paths, mask in ((folders, names | flags.ONLYDIR), (files, flags.MODIFY)):
                for path in paths:
                    self._follow(path, mask)
        except OSError:  # too many places are followed on this machine
            self.close()

    def _follow(self, path: str | Path, mask: int) -> None:
        assert self._notifier is not None
        try:
            self._notifier.add_watch(path, mask)
        except (FileNotFoundError, NotADirectoryError, PermissionError):
            pass

    async def wait(self) -> None:
        """Wait until it is time to look again."""
        if self._notifier is None:
            await anyio.sleep(_STEP)
        else:
            await anyio.wait_readable(self._notifier)
            self._notifier.read(timeout=0)

    def close(self) -> None:
        """Follow nothing any more; whoever waits looks again now and then."""
        if self._notifier is not None:
            self._notifier.close()
            self._notifier = None


@asynccontextmanager
async def file_changes() -> AsyncIterator[FileChanges]:
    """Follow places for as long as the block lasts.

    Yields:
        What tells; it follows nothing yet.
    """
    changes = FileChanges(await anyio.to_thread.run_sync(_notifier))
    try:
        yield changes
    finally:
        changes.close()


def _notifier() -> INotify | None:
    try:
        from inotify_simple import INotify

        return INotify(nonblocking=True)
    except (ImportError, OSError):  # another system, or one that has given out too many
        return None
