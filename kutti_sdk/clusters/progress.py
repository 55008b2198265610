"""A cluster on its way to what it shall be, to be followed event by event."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Self

import anyio

from kutti_sdk.core.errors import ConflictError
from kutti_sdk.core.events import ProgressEvent, observe
from kutti_sdk.runtime.tasks import task_group

if TYPE_CHECKING:
    from kutti_sdk.clusters.cluster import Cluster


class ClusterRun:
    """The work of one `ClusterSpec.apply`: iterate over it for its progress.

    The iteration ends when the work is done, and raises what the work raised.
    """

    def __init__(self) -> None:
        self._send, self._receive = anyio.create_memory_object_stream[ProgressEvent](math.inf)
        self._cluster: Cluster | None = None
        self._failure: Exception | None = None

    @property
    def cluster(self) -> Cluster:
        """The cluster, once the work is done.

        Raises:
            ConflictError: When it is not.
        """
        if self._cluster is None:
            raise ConflictError(
                "the cluster is not ready yet", hint="Iterate over the run to its end first."
            )
        return self._cluster

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> ProgressEvent:
        try:
            return await self._receive.receive()
        except anyio.EndOfStream:
            raise (self._failure or StopAsyncIteration()) from None

    async def _work(self, ensure: Callable[[], Awaitable[Cluster]]) -> None:
        with self._send, observe(self._send.send_nowait):
            try:
                self._cluster = await ensure()
            except Exception as error:  # noqa: BLE001 - raised where the run is iterated over
                self._failure = error


@asynccontextmanager
async def following(ensure: Callable[[], Awaitable[Cluster]]) -> AsyncIterator[ClusterRun]:
    """Do the work in a task beside the block; leaving the block early cancels it.

    Args:
        ensure: The work.

    Yields:
        The run.
    """
    run = ClusterRun()
    with run._receive:
        async with task_group() as group:
            group.start_soon(run._work, ensure)
            try:
                yield run
            finally:
                group.cancel_scope.cancel()
