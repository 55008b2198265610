"""Pieces that faces are put together from: statuses, tables, lists of forwards."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from kutti_sdk.core.ports import PortForward
from kutti_sdk.core.status import DriverStatus, HostStatus, ImageStatus
from kutti_sdk.views.elements import Element, element
from kutti_sdk.views.style import STYLE
from kutti_sdk.views.words import Tone, forward_words, status_words

Cell = Element | str


def face_of(*pieces: Element | None) -> Element:
    """Put pieces together to a face.

    Args:
        *pieces: The pieces; None is left out.

    Returns:
        The face, with its style.
    """
    return element("div", STYLE, *pieces, class_="kutti")


def table(caption: str, columns: Sequence[str], rows: Iterable[Sequence[Cell]]) -> Element:
    """Make a table with headers that a screen reader can tell; none of empty columns.

    Args:
        caption: What it is about.
        columns: Headings of its columns.
        rows: As many cells as there are columns, each; the first one names the row.

    Returns:
        The table.
    """
    lines = [list(row) for row in rows]
    shown = [
        number
        for number in range(len(columns))
        if number == 0 or not lines or any(line[number] != "" for line in lines)
    ]
    return element(
        "table",
        element("caption", caption),
        element(
            "thead",
            element("tr", *(element("th", columns[number], scope="col") for number in shown)),
        ),
        element("tbody", *(_row([line[number] for number in shown]) for line in lines)),
    )


def status_mark(status: HostStatus | DriverStatus | ImageStatus | None) -> Element:
    """Show a status as an icon and a word, in a colour.

    Args:
        status: The status; None for a host that does not exist.

    Returns:
        The mark.
    """
    return mark(*status_words(status))


def mark(icon: str, tone: Tone, word: str) -> Element:
    """Show anything as an icon and a word, in a colour.

    Args:
        icon: One character, which screen readers leave out.
        tone: The colour.
        word: The word.

    Returns:
        The mark.
    """
    return element(
        "span", element("span", icon, aria_hidden="true"), f" {word}", class_=f"status {tone}"
    )


def problem_note(problem: str) -> Element | None:
    """Show what went wrong with asking.

    Args:
        problem: What went wrong; empty for nothing.

    Returns:
        The note, or None.
    """
    return (
        element("p", mark("✖", "bad", "Problem"), f": {problem}", class_="error")
        if problem
        else None
    )


def forward_list(forwards: Iterable[PortForward]) -> str:
    """Say which ports lead to a host.

    Args:
        forwards: The forwards.

    Returns:
        A text such as ``127.0.0.1:8080 to 80``, separated by commas.
    """
    return ", ".join(map(forward_words, forwards))


def _row(cells: Sequence[Cell]) -> Element:
    first, *others = cells
    return element("tr", element("th", first, scope="row"), *(element("td", it) for it in others))
