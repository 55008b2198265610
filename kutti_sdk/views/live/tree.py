"""Closes a widget with all models that it is made of.

`Widget.close` closes one model. Its layout, its style and its children stay in the
kernel and in the page until those end.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ipywidgets import Widget


def close_tree(root: Widget) -> None:
    """Close a widget, and all widgets that its traits lead to.

    Args:
        root: The widget; one that is closed already is no error.
    """
    for widget in list(_tree(root, set())):
        widget.close()


def _tree(widget: Widget, seen: set[int]) -> Iterator[Widget]:
    if id(widget) in seen:
        return
    seen.add(id(widget))
    yield widget
    for name in widget.keys:
        for value in _flat(getattr(widget, name)):
            yield from _tree(value, seen)


def _flat(value: Any) -> list[Widget]:
    if isinstance(value, Widget):
        return [value]
    return [it for it in value if isinstance(it, Widget)] if isinstance(value, tuple) else []
