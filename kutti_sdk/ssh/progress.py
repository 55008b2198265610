"""The progress of a file transfer, from the island to whoever waits for it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import anyio

from kutti_sdk.core.events import report
from kutti_sdk.runtime.tasks import task_group

QUIET = 1.0
"""Seconds that a transfer may take without a word."""

STEP = 0.25
"""Seconds between two reports."""


@dataclass(slots=True)
class Progress:
    """How far a transfer is: written on the island, read where it is waited for.

    Attributes:
        host: Name of the host.
        message: What is going on, for a person.
        done: Bytes copied.
        total: Bytes to copy in all, or None when unknown.
    """

    host: str
    message: str
    done: int = 0
    total: int | None = None


@asynccontextmanager
async def reported(progress: Progress) -> AsyncIterator[None]:
    """Report a transfer for as long as the block lasts.

    Observers belong to the task that waits, so the island does not call them itself.

    Args:
        progress: The transfer.

    Yields:
        Nothing.
    """
    started = anyio.current_time()
    async with task_group() as group:
        group.start_soon(_report_on, progress)
        yield
        group.cancel_scope.cancel()
    if anyio.current_time() - started > QUIET:
        _report(progress)


async def _report_on(progress: Progress) -> None:
    await anyio.sleep(QUIET)
    while True:
        _report(progress)
        await anyio.sleep(STEP)


def _report(progress: Progress) -> None:
    report(
        "copy",
        progress.message,
        host=progress.host,
        fraction=min(1.0, progress.done / progress.total) if progress.total else None,
        bytes_done=progress.done,
        bytes_total=progress.total,
    )
