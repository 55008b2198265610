"""One download for everybody who wants the same file, in one process or in several.

Whoever holds the file's lock downloads. The others watch the partial file grow and
report it as their own progress. When the lock is free, the next one looks: the
image is there, or it goes on with what the one before left, or it fails for the
same reason as the one before, so that thirty who wait do not fail one after the
other.
"""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import anyio

from kutti_sdk.core import errors
from kutti_sdk.core.errors import CorruptStateError, DownloadError, KuttiError, LockTimeoutError
from kutti_sdk.core.events import report
from kutti_sdk.images.catalogue import CatalogueEntry
from kutti_sdk.images.download.meter import Meter
from kutti_sdk.images.download.partial import bytes_here, failure_of, load_origin, lock_of
from kutti_sdk.runtime.locks import locked
from kutti_sdk.runtime.state import load, save

_STEP = 0.1  # seconds; nobody tells when a lock of another process is released


@dataclass(frozen=True, slots=True)
class _Failure:
    """Why a download failed, for those who were waiting for it.

    Attributes:
        token: Tells it from all other failures.
        source_url: What was downloaded.
        kind: Name of the error's class.
        message: Its message.
        hint: Its hint.
    """

    token: str
    source_url: str
    kind: str
    message: str
    hint: str | None


@asynccontextmanager
async def taking_turns(entry: CatalogueEntry) -> AsyncIterator[None]:
    """Have the turn to download a file for the length of a block.

    The caller looks first whether the image is there by now. Being cancelled gives the
    turn to the next one; failing makes those fail who were waiting.

    Args:
        entry: Which file.

    Yields:
        Nothing.

    Raises:
        KuttiError: What another one failed with while this one waited.
    """
    before = await _last_failure(entry)
    lock = lock_of(entry.checksum)
    watch = _Watch(entry)
    async with AsyncExitStack() as turn:
        while not await _entered(turn, lock):
            await watch.look()
            await anyio.sleep(_STEP)
        try:
            failure = await _last_failure(entry) if watch.looked else None
            if failure is not None and failure != before:
                raise _as_error(failure, entry)
            try:
                yield
            except KuttiError as error:
                await _leave_word(entry, error)
                raise
            _forget(failure_of(entry.checksum))
        finally:
            _forget(lock)  # the last thing that is done with it


class _Watch:
    """Reports the progress of a download that another one makes."""

    def __init__(self, entry: CatalogueEntry) -> None:
        self._entry = entry
        self._meter: Meter | None = None
        self.looked = False

    async def look(self) -> None:
        self.looked = True
        done = await bytes_here(self._entry.checksum)
        origin = await load_origin(self._entry.checksum)
        total = origin.total if origin is not None else None
        if done is None:
            return
        if done == total:
            report("import", "another one is importing it", image=self._entry.k8s_version)
        elif self._meter is None:
            self._meter = Meter(self._entry.k8s_version)
            self._meter.begin(done, total)
        else:
            self._meter.advance(done)


async def _entered(turn: AsyncExitStack, lock: Path) -> bool:
    try:
        await turn.enter_async_context(locked(lock, timeout=0))
    except LockTimeoutError:
        return False
    return True


async def _last_failure(entry: CatalogueEntry) -> _Failure | None:
    try:
        failure = await load(failure_of(entry.checksum), _Failure)
    except CorruptStateError:
        return None
    return failure if failure is not None and failure.source_url == entry.source_url else None


async def _leave_word(entry: CatalogueEntry, error: KuttiError) -> None:
    token, kind = secrets.token_hex(8), type(error).__name__
    failure = _Failure(token, entry.source_url, kind, error.message, error.hint)
    try:
        await save(failure_of(entry.checksum), failure)
    except KuttiError:  # a full disk: they will find out by themselves
        return


def _as_error(failure: _Failure, entry: CatalogueEntry) -> KuttiError:
    kind = getattr(errors, failure.kind, None)
    if not isinstance(kind, type) or not issubclass(kind, KuttiError):
        kind = DownloadError
    error = kind(failure.message, hint=failure.hint, image=entry.k8s_version)
    error.add_note("Another one who downloaded the same image failed with this.")
    return error


def _forget(path: Path) -> None:
    path.unlink(missing_ok=True)
