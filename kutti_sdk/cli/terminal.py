"""What the terminal shows: tables, and the progress of what runs."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from rich.console import Console, ConsoleOptions, RenderableType
from rich.markup import escape
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn
from rich.segment import Segment

from kutti_sdk.core.events import WARNING, ProgressEvent, observe
from kutti_sdk.core.plain_text import plain_text


class PlainConsole(Console):
    """A console that no text can tell what to do: sequences in it are left out, Rich's own stay."""

    def render(
        self, renderable: RenderableType, options: ConsoleOptions | None = None
    ) -> Iterable[Segment]:
        """Render something, with all text in it plain."""
        for segment in super().render(renderable, options):
            yield segment if segment.control else segment._replace(text=plain_text(segment.text))


output = PlainConsole(highlight=False)
"""What was asked for."""

errors = PlainConsole(stderr=True, highlight=False)
"""What went wrong."""


@contextmanager
def live_progress() -> Iterator[None]:
    """Show the progress of everything inside the block: one line per node or image.

    In a terminal the lines change in place; elsewhere each new phase is a line of
    its own, so that logs can be read.

    Yields:
        Nothing.
    """
    if not output.is_terminal:
        with observe(_LineByLine()):
            yield
        return
    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(bar_width=20))
    with (
        Progress(*columns, console=output, transient=True) as progress,
        observe(_InPlace(progress)),
    ):
        yield


class _InPlace:
    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._lines: dict[str, TaskID] = {}

    def __call__(self, event: ProgressEvent) -> None:
        if event.phase == WARNING:
            _warn(event)
            return
        subject = _subject(event)
        if subject not in self._lines:
            self._lines[subject] = self._progress.add_task("")
        self._progress.update(
            self._lines[subject],
            description=f"[bold]{escape(subject)}[/] {escape(_message(event, subject))}",
            completed=event.fraction or 0.0,
            total=None if event.fraction is None else 1.0,
        )


class _LineByLine:
    def __init__(self) -> None:
        self._begun = time.monotonic()
        self._last: dict[str, str] = {}

    def __call__(self, event: ProgressEvent) -> None:
        if event.phase == WARNING:
            _warn(event)
            return
        subject, step = _subject(event), _step(event)
        if self._last.get(subject) == step:
            return
        self._last[subject] = step
        seconds = time.monotonic() - self._begun
        message = escape(_message(event, subject))
        if event.bytes_done is not None and event.fraction is not None:
            message += f" ({event.fraction:.0%})"
        output.print(f"{seconds:6.1f} s  {escape(subject)}: {message}", soft_wrap=True)


def _step(event: ProgressEvent) -> str:
    """Tell what is worth a line of its own: of bytes that move, every tenth."""
    if event.bytes_done is None:
        return event.message
    if event.fraction is None:
        return event.phase
    return f"{event.phase} {int(event.fraction * 10)}"


def _warn(event: ProgressEvent) -> None:
    errors.print(f"[yellow]Warning:[/] {escape(event.message)}", soft_wrap=True)


def _message(event: ProgressEvent, subject: str) -> str:
    return event.message.removeprefix(subject).removeprefix(":").lstrip()


def _subject(event: ProgressEvent) -> str:
    if event.image and not event.host:
        return f"image {event.image}"
    return event.host or event.cluster or event.phase
