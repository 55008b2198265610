"""Bytes on their way to the disk: hashed and written in a thread, while more arrive.

Whatever arrived while the thread was at work makes the next block. On a slow line
each piece is on the disk at once; on a fast one the blocks grow until the thread
keeps up, or until the reader has to wait.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from io import FileIO
from pathlib import Path

import anyio
import anyio.to_thread

from kutti_sdk.runtime.state import sync_folder
from kutti_sdk.runtime.tasks import task_group

_MOST_WAITING = 4 * 1024 * 1024  # bytes; as many again are in the thread
_BLOCK = 4 * 1024 * 1024  # bytes, of what is hashed again
_LAST_WRITE = 5.0  # seconds for what had arrived when the download was cancelled


class PartWriter:
    """The end of a file that grows, and the checksum of all of it.

    Args:
        path: The file; made when it is missing.
        written: Called with the size of the file whenever more of it is written.
    """

    def __init__(self, path: Path, written: Callable[[int], None]) -> None:
        self._path = path
        self._written = written
        self._file: FileIO | None = None
        self._digest = hashlib.sha256()
        self._hashed = 0
        self._size = 0
        self._waiting: list[bytes] = []
        self._taken = b""  # of what waited; kept until it is written, for a cancellation
        self._amount = 0
        self._wake = anyio.Event()
        self._changed = anyio.Event()
        self._busy = False
        self._broken = False

    @property
    def size(self) -> int:
        """Bytes in the file."""
        return self._size

    async def put(self, block: bytes) -> None:
        """Add bytes to the end; waits while too many are on their way.

        Args:
            block: The bytes.
        """
        self._waiting.append(block)
        self._amount += len(block)
        self._wake.set()
        while self._amount >= _MOST_WAITING:
            await self._changed.wait()

    async def settle(self) -> None:
        """Wait until all bytes are hashed and written."""
        while self._busy or self._taken or self._waiting or self._hashed < self._size:
            await self._changed.wait()

    async def checksum(self) -> str:
        """Tell the SHA-256 of the file, once all bytes are in it.

        Returns:
            The checksum in hexadecimal.
        """
        await self.settle()
        return self._digest.copy().hexdigest()

    async def begin_again(self) -> None:
        """Drop all bytes.

        The file is not cut but replaced: a complete one may have a second name.
        """
        self._size = 0  # so that nothing more of it is hashed
        await self.settle()
        await anyio.to_thread.run_sync(self._replace)
        self._digest, self._hashed = hashlib.sha256(), 0

    async def sync(self) -> None:
        """Bring the file to the disk."""
        await self.settle()
        await anyio.to_thread.run_sync(os.fsync, self._opened.fileno())
        await anyio.to_thread.run_sync(sync_folder, self._path.parent)

    def _open(self) -> None:
        self._path.touch(mode=0o600)
        self._file = FileIO(self._path, "r+")
        self._size = self._file.seek(0, os.SEEK_END)

    def _replace(self) -> None:
        self._close()
        self._path.unlink(missing_ok=True)
        self._open()

    def _close(self) -> None:
        if self._file is not None:
            self._file.close()

    @property
    def _opened(self) -> FileIO:
        assert self._file is not None
        return self._file

    async def _work(self) -> None:
        while True:
            if self._hashed < self._size:
                await self._in_thread(self._hash_more)
            elif self._taken or self._waiting:
                self._take()
                await self._in_thread(self._absorb)
                self._written(self._size)
            else:
                self._wake = anyio.Event()
                await self._wake.wait()

    async def _in_thread(self, function: Callable[[], None]) -> None:
        self._busy = True
        try:
            await anyio.to_thread.run_sync(function)
        except OSError:
            self._broken = True
            raise
        finally:
            self._busy = False
            self._tell()

    def _take(self) -> None:
        if not self._taken:
            self._taken = b"".join(self._waiting)
            self._waiting, self._amount = [], 0
            self._tell()

    def _tell(self) -> None:
        self._changed.set()
        self._changed = anyio.Event()

    def _hash_more(self) -> None:
        """Hash what an earlier process left: the state of a hash cannot be kept."""
        rest = self._size - self._hashed
        if rest <= 0:  # it was decided to begin again
            return
        self._opened.seek(self._hashed)
        block = self._opened.read(min(_BLOCK, rest))
        if not block:
            raise OSError(f"{self._path} became shorter")
        self._digest.update(block)
        self._hashed += len(block)

    def _absorb(self) -> None:
        begin = self._opened.seek(self._size)
        rest = memoryview(self._taken)
        while rest:
            number = self._opened.write(rest)
            self._digest.update(rest[:number])
            self._size += number
            self._hashed += number
            rest = rest[number:]
        _write_back(self._opened.fileno(), begin, len(self._taken))
        self._taken = b""

    async def _save_what_arrived(self) -> None:
        with anyio.move_on_after(_LAST_WRITE, shield=True):
            # After a write that failed there is a gap, and nothing may follow it.
            while (self._taken or self._waiting) and not self._broken:
                self._take()
                await anyio.to_thread.run_sync(self._absorb)
            copy = os.dup(self._opened.fileno())
            await anyio.to_thread.run_sync(_sync_and_close, copy, abandon_on_cancel=True)


@asynccontextmanager
async def writing(path: Path, written: Callable[[int], None]) -> AsyncIterator[PartWriter]:
    """Write to the end of a file for the length of a block.

    When the block is left early, what has arrived is written nevertheless.

    Args:
        path: The file; made when it is missing.
        written: Called with the size of the file whenever more of it is written.

    Yields:
        The writer.

    Raises:
        OSError: When the disk fails or is full.
    """
    writer = PartWriter(path, written)
    try:
        await anyio.to_thread.run_sync(writer._open)
        async with task_group() as group:
            group.start_soon(writer._work)
            yield writer
            group.cancel_scope.cancel()
    except BaseException:
        if writer._file is not None:
            await writer._save_what_arrived()
        raise
    finally:
        writer._close()


def _write_back(descriptor: int, begin: int, length: int) -> None:
    """Let the disk begin at once, so that there is little to wait for in the end.

    On Linux this advice begins to write dirty pages, and drops only clean ones: see
    generic_fadvise in mm/fadvise.c.
    """
    if hasattr(os, "posix_fadvise"):
        os.posix_fadvise(descriptor, begin, length, os.POSIX_FADV_DONTNEED)


def _sync_and_close(descriptor: int) -> None:
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
