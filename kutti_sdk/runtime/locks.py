"""Locks between processes, released by the kernel when their holder dies."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import anyio
import psutil

from kutti_sdk.core.errors import LockTimeoutError, StateError
from kutti_sdk.core.plain_text import decoded
from kutti_sdk.core.system_errors import advice
from kutti_sdk.runtime.awake import rest

if TYPE_CHECKING:
    from filelock import BaseFileLock

DEFAULT_LOCK_TIMEOUT = 60.0
"""Seconds to wait for a lock; they are held for milliseconds, but for creates and starts."""

_STEP = 0.05  # seconds; there is no event for a released file lock


@asynccontextmanager
async def locked(path: Path, *, timeout: float = DEFAULT_LOCK_TIMEOUT) -> AsyncIterator[None]:
    """Hold a lock file for the length of a block.

    Two tasks of one process exclude each other just as two processes do. It is
    not re-entrant. Whoever holds it may remove the file as the last thing in the
    block: from then on the next one may have it.

    Args:
        path: The lock file; made when it is missing, as is its folder.
        timeout: Seconds to wait, without those that this process sleeps.

    Yields:
        Nothing.

    Raises:
        LockTimeoutError: When somebody else kept it that long; names the process.
        StateError: When the file cannot be made or locked.
    """
    from filelock import FileLock

    # With a hook, filelock refuses file systems whose locks outlive their holder.
    lock = FileLock(path, mode=0o600, thread_local=False, on_acquired=_sign)
    deadline = anyio.current_time() + timeout
    try:
        while not _take(lock, path):
            if anyio.current_time() >= deadline:
                raise LockTimeoutError(
                    f"{path.name} was locked for {timeout:g} s by {_describe_holder(path)}",
                    hint="Wait until that has ended what it does, or end it.",
                )
            deadline += await rest(_STEP)
        yield
    finally:
        lock.release()  # does nothing when it was not taken


def holder(path: Path) -> str | None:
    """Tell who holds a lock, without waiting for it. Looks at a file.

    Args:
        path: The lock file.

    Returns:
        The process in words; None when nobody holds it, or there is no such file.

    Raises:
        StateError: When it cannot be looked at.
    """
    from filelock import FileLock

    if not path.exists():
        return None
    lock = FileLock(path, mode=0o600, thread_local=False)  # unsigned: held for no time at all
    try:
        return None if _take(lock, path) else _describe_holder(path)
    finally:
        lock.release()


def _take(lock: BaseFileLock, path: Path) -> bool:
    # Without waiting, on the loop itself: a thread could take it after the caller
    # was cancelled, and nobody would be left to give it back.
    from filelock import Timeout

    try:
        lock.acquire(blocking=False)
    except Timeout:
        return False
    except OSError as error:
        raise StateError(
            f"{path} cannot be locked: {error.strerror}",
            hint=advice(error, "Its folder must be writable, and on a file system that has locks."),
        ) from error
    return True


def _sign(descriptor: int) -> None:
    with suppress(OSError):  # on a full disk the lock stays nameless, but holds
        os.ftruncate(descriptor, 0)
        os.write(descriptor, str(os.getpid()).encode())


def _describe_holder(path: Path) -> str:
    try:
        process = psutil.Process(int(path.read_bytes()))
        command = decoded(os.fsencode(" ".join(process.cmdline()[:4])))
        stopped = process.status() == psutil.STATUS_STOPPED
    except (OSError, ValueError, psutil.Error):
        return "another process"
    if process.pid == os.getpid():
        return "another task of this process"
    words = f"process {process.pid} ({command})"
    if stopped:  # by Ctrl-Z, say; it has the lock all the same, in the midst of what it does
        words += f", which is stopped and goes on with `kill -CONT {process.pid}`"
    return words
