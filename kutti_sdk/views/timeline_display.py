"""Follows operations on a timeline that grows below the cell while they run."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock
from typing import Any

import anyio

from kutti_sdk.core.events import observe
from kutti_sdk.runtime.island import start_on_island
from kutti_sdk.views.notebook import in_a_notebook
from kutti_sdk.views.timeline_record import Timeline

_SHORTEST_PAUSE = 0.25  # seconds between two pictures: four a second are enough to see
_LONGEST_PAUSE = 1.0  # seconds after which bars grow although nothing was told


@contextmanager
def timeline() -> Iterator[Timeline]:
    """Show what goes on in the block as a timeline, one lane for each node.

    In a notebook the timeline is shown below the cell and grows at most four times a
    second; at the end it stays there as a picture. Elsewhere it only takes notes.

    ```python
    with kutti.timeline():
        cluster = await spec.ensure()
    ```

    Yields:
        The timeline.
    """
    record = Timeline()
    with _grow(record), observe(record.add):
        try:
            yield record
        except BaseException as error:
            record.finish(time.time(), f"ended early by {type(error).__name__}")
            raise
        record.finish(time.time())


@contextmanager
def _grow(record: Timeline) -> Iterator[None]:
    if not in_a_notebook():
        yield
        return
    from IPython.display import display

    canvas = _Canvas(display(record, display_id=True), record)  # type: ignore[no-untyped-call]
    # On the island, where it goes on while the cell computes or runs trio.
    growing = start_on_island(canvas.grow)
    try:
        yield
    finally:
        growing.cancel()
        canvas.finish()


class _Canvas:
    """The place below the cell; nothing is drawn there after the last picture."""

    def __init__(self, place: Any, record: Timeline) -> None:
        self._place = place
        self._record = record
        self._lock = Lock()
        self._finished = False

    async def grow(self) -> None:
        seen, drawn = self._record.lanes, time.monotonic()
        while True:
            # The steps of a film, not a wait for something: what is told in between
            # is told by the next picture.
            await anyio.sleep(_SHORTEST_PAUSE)
            lanes = self._record.lanes
            if lanes != seen or time.monotonic() - drawn >= _LONGEST_PAUSE:
                seen, drawn = lanes, time.monotonic()
                with self._lock:
                    if not self._finished:
                        self._place.update(self._record)

    def finish(self) -> None:
        with self._lock:
            self._finished = True
            self._place.update(self._record)
