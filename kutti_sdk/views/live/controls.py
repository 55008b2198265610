"""Buttons and fields that look alike and share their layouts.

Each widget is a model in the kernel and one in the page; a layout of its own for each
would double them.
"""

from __future__ import annotations

from typing import Any

import ipywidgets

from kutti_sdk.views.elements import Element


class Controls:
    """Makes the controls of one view."""

    def __init__(self) -> None:
        self._narrow = ipywidgets.Layout(width="auto")
        self._field = ipywidgets.Layout(width="auto", max_width="24em")
        self._wide = ipywidgets.Layout(width="40em", max_width="95%")
        self._row = _row()
        self._as_long_as_needed = {"description_width": "initial"}

    def passing_button(self, text: str, tooltip: str) -> Any:
        """Make a button that `show` takes away and brings back."""
        own = ipywidgets.Layout(width="auto")
        return ipywidgets.Button(description=text, tooltip=tooltip, layout=own)

    def button(self, text: str, tooltip: str) -> Any:
        """Make a button."""
        return ipywidgets.Button(description=text, tooltip=tooltip, layout=self._narrow)

    def toggle(self, text: str, tooltip: str) -> Any:
        """Make a button that stays pressed."""
        return ipywidgets.ToggleButton(description=text, tooltip=tooltip, layout=self._narrow)

    def choice(self, text: str, options: list[str]) -> Any:
        """Make a list to choose one from."""
        return ipywidgets.Dropdown(
            description=text,
            options=options,
            layout=self._field,
            style=self._as_long_as_needed,
        )

    def choices(self, text: str, options: list[str]) -> Any:
        """Make a list to choose several from; all are chosen."""
        return ipywidgets.SelectMultiple(
            description=text,
            options=options,
            value=options,
            layout=self._field,
            style=self._as_long_as_needed,
        )

    def number(self, text: str, value: int) -> Any:
        """Make a field for a port."""
        return ipywidgets.BoundedIntText(
            description=text,
            value=value,
            min=0,
            max=65535,
            layout=self._field,
            style=self._as_long_as_needed,
        )

    def text(self, text: str, placeholder: str = "") -> Any:
        """Make a field for a line of text."""
        return ipywidgets.Text(
            description=text,
            placeholder=placeholder,
            layout=self._wide,
            style=self._as_long_as_needed,
        )

    def bar(self) -> Any:
        """Make a bar for how much is done, 0.0 to 1.0."""
        return ipywidgets.FloatProgress(max=1.0, layout=ipywidgets.Layout(width="24em"))

    def row(self, *children: Any) -> Any:
        """Put controls side by side."""
        return ipywidgets.Box(children, layout=self._row)

    def passing_row(self, *children: Any) -> Any:
        """Put controls side by side that `show` takes away and brings back together."""
        return ipywidgets.Box(children, layout=_row())

    def html(self, shown: Element | None = None) -> Any:
        """Make a place for something to read."""
        return ipywidgets.HTML(str(shown or ""))


def show(widget: Any, *, shown: bool) -> None:
    """Bring a control back or take it away.

    Args:
        widget: The control, with a layout of its own.
        shown: Whether it is to be seen.
    """
    widget.layout.display = None if shown else "none"


def _row() -> Any:
    return ipywidgets.Layout(flex_flow="row wrap", align_items="center")
