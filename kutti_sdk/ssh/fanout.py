"""The same thing on many hosts: a limited number at once, results as they come."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Coroutine, Generator, Mapping
from concurrent.futures import Future
from types import TracebackType
from typing import Any, Generic, Self, TypeVar

import anyio

from kutti_sdk.core.display import Listing
from kutti_sdk.core.events import ProgressEvent, observe, relay
from kutti_sdk.runtime.island import CLEAN_UP_TIME, on_island, start_on_island
from kutti_sdk.runtime.tasks import interruptible

T = TypeVar("T")

DEFAULT_LIMIT = 32
"""Jobs that run at once."""


class FanOut(Generic[T]):
    """Jobs that run side by side; await all results, or iterate over them as they come.

    ```python
    results = await fan                  # in the order of the jobs
    async for result in fan: ...         # in the order in which they end
    async with fan: ...                  # ends what still runs
    ```

    Nothing starts before the first of these. When a job raises an error the
    others go on; the first error is raised when all have ended, and with
    iteration after all results.

    The jobs run on the asyncio island, not in a task group of the caller. A task
    group must be closed by the task that opened it, and an async generator that
    yields from inside of one breaks when the caller leaves its loop early: nobody
    closes it then, or the garbage collector does, elsewhere. Here the object owns
    the jobs, and whatever happens to it ends them: leaving the loop, `aclose`,
    cancellation of the task that waits, or its disappearance.

    Args:
        jobs: What to run, by name of the host; coroutine functions without arguments.
        limit: How many may run at once.
    """

    def __init__(
        self,
        jobs: Mapping[str, Callable[[], Coroutine[Any, Any, T]]],
        *,
        limit: int = DEFAULT_LIMIT,
    ) -> None:
        self._work = _Work(jobs, limit)
        self._running: Future[None] | None = None

    def __await__(self) -> Generator[Any, None, list[T]]:
        """Wait for all results.

        Returns:
            The results in the order of the jobs.

        Raises:
            Exception: The first that a job raised; the others are its notes.
        """
        return self._all().__await__()

    def __aiter__(self) -> AsyncIterator[T]:
        """Iterate over the results as they come."""
        return _Results(self)

    async def __aenter__(self) -> Self:
        """Own the jobs for the length of a block."""
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """End what still runs."""
        await self.aclose()

    async def aclose(self) -> None:
        """End what still runs, and wait until it is cleaned up there."""
        if self._running is not None and self._running.cancel():
            with anyio.move_on_after(CLEAN_UP_TIME, shield=True):
                await on_island(self._work.end)

    def cancel(self) -> None:
        """End what still runs, without waiting; may be called from any thread."""
        if self._running is not None:
            self._running.cancel()

    def __del__(self) -> None:
        self.cancel()

    @interruptible
    async def _all(self) -> list[T]:
        seen = 0
        while await self._wait_beyond(seen):
            seen = len(self._work.finished)
        results = dict(self._work.finished)
        return Listing(results[name] for name in self._work.jobs)

    @interruptible
    async def _wait_beyond(self, seen: int) -> bool:
        """Wait until there are more results than were seen; False when there will be none."""
        work = self._work
        if self._running is None:
            self._running = start_on_island(work.run)
        try:
            while len(work.finished) <= seen:
                while work.events:
                    relay(work.events.popleft())
                if work.over:
                    work.raise_first_error()
                    return False
                await on_island(work.news, seen)
        except GeneratorExit:  # thrown away, and may not wait any more
            self.cancel()
            raise
        except BaseException:
            await self.aclose()
            raise
        return True


class _Results(AsyncIterator[T]):
    """One loop over the results; it disappears when the loop is left."""

    def __init__(self, fan: FanOut[T]) -> None:
        self._fan = fan
        self._seen = 0

    async def __anext__(self) -> T:
        if not await self._fan._wait_beyond(self._seen):
            raise StopAsyncIteration
        self._seen += 1
        return self._fan._work.finished[self._seen - 1][1]

    def __del__(self) -> None:
        self._fan.cancel()


class _Work(Generic[T]):
    """The part that lives on the island and knows nothing of its owner, who may disappear."""

    def __init__(
        self, jobs: Mapping[str, Callable[[], Coroutine[Any, Any, T]]], limit: int
    ) -> None:
        self.jobs = jobs
        self.finished: list[tuple[str, T]] = []
        self.events: deque[ProgressEvent] = deque()
        self.over = False
        self._limit = asyncio.Semaphore(limit)
        self._errors: list[Exception] = []
        self._change = asyncio.Event()

    async def run(self) -> None:
        try:
            async with asyncio.TaskGroup() as group:
                for name, job in self.jobs.items():
                    group.create_task(self._do(name, job))
        finally:
            self.over = True
            self._change.set()

    async def news(self, seen: int) -> None:
        """Wait for more results than were seen, for events, or for the end."""
        while len(self.finished) <= seen and not self.events and not self.over:
            self._change.clear()
            await self._change.wait()

    async def end(self) -> None:
        """Wait for the end."""
        while not self.over:
            self._change.clear()
            await self._change.wait()

    def raise_first_error(self) -> None:
        """Raise what went wrong, if anything did."""
        if self._errors:
            first, *others = self._errors
            for other in others:
                first.add_note(f"At the same time: {type(other).__name__}: {other}")
            raise first
        if len(self.finished) < len(self.jobs):
            raise RuntimeError("the fan-out was ended before its jobs were")

    async def _do(self, name: str, job: Callable[[], Coroutine[Any, Any, T]]) -> None:
        async with self._limit:
            try:
                with observe(self._pass_on):
                    result = await job()
            except Exception as error:  # noqa: BLE001 - raised where it is waited for
                self._errors.append(error)
            else:
                self.finished.append((name, result))
                self._change.set()

    def _pass_on(self, event: ProgressEvent) -> None:
        self.events.append(event)
        self._change.set()
