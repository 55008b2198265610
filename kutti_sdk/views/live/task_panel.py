"""Buttons that begin something that takes its time.

An ``async def`` callback of a button is never awaited, what it prints lands in another
cell, and its errors get lost. Here a click hands a coroutine to the island. Until it
ends the buttons are off and its progress is shown; then its error is, with a hint and
the trace to be unfolded; and *Cancel* ends it.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from threading import Lock
from typing import Any

from kutti_sdk.core.events import ProgressEvent, observe
from kutti_sdk.runtime.island import start_on_island
from kutti_sdk.views.elements import Element, element
from kutti_sdk.views.error_face import error_face
from kutti_sdk.views.live.controls import Controls, show
from kutti_sdk.views.live.painter import Painter
from kutti_sdk.views.tables import face_of, mark
from kutti_sdk.views.words import progress_words

Operation = Callable[[], Coroutine[Any, Any, None]]


class TaskPanel:
    """One thing at a time: what it is, how far it is, how it ended.

    Args:
        controls: Makes its button.
        when_done: Called on the island when something ended, however it did.
    """

    def __init__(self, controls: Controls, when_done: Callable[[], None]) -> None:
        self._when_done = when_done
        self._lock = Lock()
        self._running: Future[None] | None = None
        self._closed = False
        self._doing = ""
        self._progress: ProgressEvent | None = None
        self._painter = Painter(self._show_progress)
        self._buttons: list[Any] = []
        self._message = controls.html()
        self._cancel = controls.button("Cancel", "End what is going on")
        self._cancel.on_click(lambda _: self.cancel())
        self._bar = controls.bar()
        self._ongoing = controls.passing_row(self._bar, self._cancel)
        self.widget = controls.column(self._message, self._ongoing)
        self._switch(running=False)

    def bind(self, button: Any, describe: Callable[[], str], operation: Operation) -> None:
        """Let a button begin something.

        Args:
            button: The button.
            describe: Says what it begins, at the moment of the click.
            operation: What it begins.
        """
        self.hold_back(button)
        button.on_click(lambda _: self.begin(describe(), operation))

    def hold_back(self, button: Any) -> None:
        """Turn a button off, too, while something goes on.

        Args:
            button: One that begins something by other ways than `bind`.
        """
        self._buttons.append(button)

    def begin(self, doing: str, operation: Operation) -> None:
        """Begin something, unless something else is going on; may be called in any thread.

        Args:
            doing: What it is, for a person: ``starting node1``.
            operation: A coroutine function.
        """
        with self._lock:
            if self._running is not None or self._closed:
                return
            self._doing, self._progress = doing, None
            self._switch(running=True)
            self._show(element("p", mark("◐", "quiet", doing), " …"))
            self._running = start_on_island(self._run, operation)
        self._running.add_done_callback(self._done)

    def cancel(self) -> None:
        """End what is going on, if anything is."""
        with self._lock:
            if self._running is not None:
                self._running.cancel()

    def close(self) -> None:
        """Begin nothing any more, and end what is going on."""
        with self._lock:
            self._closed = True
        self.cancel()

    async def _run(self, operation: Operation) -> None:
        with observe(self._hear):
            await operation()

    def _hear(self, event: ProgressEvent) -> None:
        self._progress = event
        self._painter.request()

    def _done(self, ended: Future[None]) -> None:
        # Called in this thread when it was done before anybody waited for that.
        start_on_island(self._finish, ended)

    async def _finish(self, ended: Future[None]) -> None:
        with self._lock:
            self._running = None
            if self._closed:
                return
            self._show(_ending(ended, self._doing))
            self._switch(running=False)
        self._when_done()

    def _show_progress(self) -> None:
        with self._lock:
            event = self._progress
            if event is None or self._running is None or self._closed:
                return
            words = ": ".join(filter(None, (event.host, progress_words(event))))
            self._show(element("p", mark("◐", "quiet", self._doing), f": {words}"))
            self._bar.value = event.fraction or 0.0
            show(self._bar, shown=event.fraction is not None)

    def _show(self, message: Element) -> None:
        self._message.value = str(face_of(message))

    def _switch(self, *, running: bool) -> None:
        for button in self._buttons:
            button.disabled = running
        show(self._bar, shown=False)
        show(self._ongoing, shown=running)


def _ending(ended: Future[None], doing: str) -> Element:
    if ended.cancelled():
        return element("p", mark("■", "quiet", f"cancelled: {doing}"))
    error = ended.exception()
    if error is None:
        return element("p", mark("✔", "good", f"done: {doing}"))
    trace = "".join(traceback.format_exception(error))
    return element(
        "div",
        error_face(error),
        element("details", element("summary", "Trace"), element("pre", trace, tabindex="0")),
    )
