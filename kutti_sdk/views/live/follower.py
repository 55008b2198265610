"""Keeps a view fresh while somebody looks at it."""

from __future__ import annotations

import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import Future
from threading import Lock
from typing import Any

import anyio

from kutti_sdk.runtime.island import start_on_island
from kutti_sdk.runtime.tasks import rest_after, task_group
from kutti_sdk.views.live.painter import SHORTEST_PAUSE

_log = logging.getLogger(__name__)

_PAUSE = 5.0  # seconds, at least; nobody tells of load, memory and console lines
_FIRST_RETRY = 1.0  # seconds before a watch that failed is tried again, then twice as many
_LAST_RETRY = 30.0


class Follower:
    """Looks again whenever something changes, at most four times a second.

    Nothing runs before `start` and after `stop`, which may be called in any thread and
    any number of times.

    Args:
        watch: Gives an iterator over changes.
        look: Asks how things are, and shows it.
        complain: Shows what went wrong with watching; None when it goes well again.
    """

    def __init__(
        self,
        watch: Callable[[], AsyncIterator[object]],
        look: Callable[[], Awaitable[None]],
        complain: Callable[[Exception | None], None],
    ) -> None:
        self._watch = watch
        self._look = look
        self._complain = complain
        self._lock = Lock()
        self._running: Future[None] | None = None
        self._news: anyio.Event | None = None

    @property
    def running(self) -> bool:
        """Whether it follows."""
        return self._running is not None

    def start(self) -> None:
        """Begin to follow, unless it does."""
        with self._lock:
            if self._running is None:
                self._running = start_on_island(self._follow)
                self._running.add_done_callback(_tell_of_mistakes)

    def stop(self) -> None:
        """Follow no more."""
        with self._lock:
            if self._running is not None:
                self._running.cancel()
                self._running = None

    def poke(self) -> None:
        """Look soon; called on the island."""
        if self._news is not None:
            self._news.set()

    async def _follow(self) -> None:
        async with task_group() as group:
            self._news = anyio.Event()
            group.start_soon(self._listen)
            while True:
                begun = time.thread_time()
                await self._look()
                pause = rest_after(time.thread_time() - begun, shortest=_PAUSE)
                await anyio.sleep(SHORTEST_PAUSE)
                with anyio.move_on_after(pause):
                    await self._news.wait()
                self._news = anyio.Event()

    async def _listen(self) -> None:
        pause = _FIRST_RETRY
        while True:
            try:
                async for _ in self._watch():
                    self._complain(None)
                    pause = _FIRST_RETRY
                    self.poke()
            except Exception as error:  # noqa: BLE001 - drivers of others may raise anything
                self._complain(error)
            await anyio.sleep(pause)
            pause = min(2 * pause, _LAST_RETRY)


def _tell_of_mistakes(ended: Future[None]) -> None:
    if not ended.cancelled() and (error := ended.exception()) is not None:
        _log.error("a view is not kept fresh any more", exc_info=error)


def follow_while_viewed(root: Any, follower: Follower) -> None:
    """Follow as long as a page shows a widget.

    Args:
        root: The widget, of which front ends count the views (`Widget._view_count`).
        follower: What to start and stop.
    """

    def count(change: dict[str, Any]) -> None:
        if change["new"]:
            follower.start()
        else:
            follower.stop()

    root._view_count = 0
    root.observe(count, "_view_count")
