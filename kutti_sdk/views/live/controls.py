"""Buttons and fields that look alike and share their layouts and styles.

Each widget is a model in the kernel and one in the page, and so are its layout and its
style: with their own for each, a page would have three times as much to make.
"""

from __future__ import annotations

from typing import Any

import ipywidgets
from ipywidgets.widgets.widget_description import DescriptionStyle
from ipywidgets.widgets.widget_string import HTMLStyle, TextStyle

from kutti_sdk.views.elements import Element


class Controls:
    """Makes the controls of one view."""

    def __init__(self) -> None:
        self._narrow = ipywidgets.Layout(width="auto")
        self._field = ipywidgets.Layout(width="auto", max_width="24em")
        self._wide = ipywidgets.Layout(width="40em", max_width="95%")
        self._plain = ipywidgets.Layout()
        self._row = _row()
        as_long_as_needed = {"description_width": "initial"}
        self._of_fields = DescriptionStyle(**as_long_as_needed)
        self._of_texts = TextStyle(**as_long_as_needed)
        self._of_html = HTMLStyle()
        self._of_buttons = ipywidgets.ButtonStyle()

    def passing_button(self, text: str, tooltip: str) -> Any:
        """Make a button that `show` takes away and brings back."""
        return self._button(text, tooltip, ipywidgets.Layout(width="auto"))

    def button(self, text: str, tooltip: str) -> Any:
        """Make a button."""
        return self._button(text, tooltip, self._narrow)

    def toggle(self, text: str, tooltip: str) -> Any:
        """Make a button that stays pressed."""
        return ipywidgets.ToggleButton(description=text, tooltip=tooltip, layout=self._narrow)

    def choice(self, text: str, options: list[str]) -> Any:
        """Make a list to choose one from."""
        return ipywidgets.Dropdown(
            description=text,
            options=options,
            layout=self._field,
            style=self._of_fields,
        )

    def choices(self, text: str, options: list[str]) -> Any:
        """Make a list to choose several from; all are chosen."""
        return ipywidgets.SelectMultiple(
            description=text,
            options=options,
            value=options,
            layout=self._field,
            style=self._of_fields,
        )

    def number(self, text: str, value: int) -> Any:
        """Make a field for a port."""
        return ipywidgets.BoundedIntText(
            description=text,
            value=value,
            min=0,
            max=65535,
            layout=self._field,
            style=self._of_fields,
        )

    def text(self, text: str, placeholder: str = "") -> Any:
        """Make a field for a line of text."""
        return ipywidgets.Text(
            description=text,
            placeholder=placeholder,
            layout=self._wide,
            style=self._of_texts,
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

    def column(self, *children: Any) -> Any:
        """Put things below each other."""
        return ipywidgets.VBox(children, layout=self._plain)

    def html(self, shown: Element | None = None) -> Any:
        """Make a place for something to read."""
        return ipywidgets.HTML(str(shown or ""), layout=self._plain, style=self._of_html)

    def _button(self, text: str, tooltip: str, layout: Any) -> Any:
        return ipywidgets.Button(
            description=text, tooltip=tooltip, layout=layout, style=self._of_buttons
        )


def show(widget: Any, *, shown: bool) -> None:
    """Bring a control back or take it away.

    Args:
        widget: The control, with a layout of its own.
        shown: Whether it is to be seen.
    """
    widget.layout.display = None if shown else "none"


def _row() -> Any:
    return ipywidgets.Layout(flex_flow="row wrap", align_items="center")
