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

import ipywidgets

from kutti_sdk.core.events import ProgressEvent, observe
from kutti_sdk.runtime.island import start_on_island
from kutti_sdk.views.elements import Element, element
from kutti_sdk.views.error_face import error_face
from kutti_sdk.views.live.controls import Controls
from kutti_sdk.views.live.painter import Painter
from kutti_sdk.views.tables import face_of, mark

Operation = Callable[[], Coroutine[Any, Any, None]]


class TaskPanel:
    """One thing at a time: what it is, how far it is, how it ended.

    Args:
        controls: Makes its button.
        when_done: Called on the island when something ended, however it did.
        watch_progress: Called on the island with each event of what runs.
    """

    def __init__(
        self,
        controls: Controls,
        when_done: Callable[[], None],
        watch_progress: Callable[[ProgressEvent], None] = lambda _: None,
    ) -> None:
        self._when_done = when_done
        self._watch_progress = watch_progress
        self._lock = Lock()
        self._running: Future[None] | None = None
        self._closed = False
        self._doing = ""
        self._progress = ""
        self._painter = Painter(self._show_progress)
        self._buttons: list[Any] = []
        self._message = controls.html()
        self._cancel = controls.button("Cancel", "End what is going on")
        self._cancel.disabled = True
        self._cancel.on_click(lambda _: self.cancel())
        self.widget = ipywidgets.VBox([controls.row(self._cancel), self._message])

    def bind(self, button: Any, describe: Callable[[], str], operation: Operation) -> None:
        """Let a button begin something.

        Args:
            button: The button.
            describe: Says what it begins, at the moment of the click.
            operation: What it begins.
        """
        self._buttons.append(button)
        button.on_click(lambda _: self.begin(describe(), operation))

    def begin(self, doing: str, operation: Operation) -> None:
        """Begin something, unless something else is going on; may be called in any thread.

        Args:
            doing: What it is, for a person: ``starting node1``.
            operation: A coroutine function.
        """
        with self._lock:
            if self._running is not None or self._closed:
                return
            self._doing, self._progress = doing, ""
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
        about = event.host or event.image
        self._progress = f"{about}: {event.message}" if about else event.message
        self._painter.request()
        self._watch_progress(event)

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
            if self._running is not None and not self._closed:
                doing = mark("◐", "quiet", self._doing)
                self._show(element("p", doing, f": {self._progress}"))

    def _show(self, message: Element) -> None:
        self._message.value = str(face_of(message))

    def _switch(self, *, running: bool) -> None:
        for button in self._buttons:
            button.disabled = running
        self._cancel.disabled = not running


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
