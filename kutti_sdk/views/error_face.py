"""Errors: what went wrong, what it is about, what to do."""

from __future__ import annotations

from kutti_sdk.core.errors import KuttiError, ReadyTimeoutError
from kutti_sdk.views.elements import Element, element
from kutti_sdk.views.tables import mark


def error_face(error: BaseException) -> Element:
    """Show an error.

    Args:
        error: The error, of kutti_sdk or any other.

    Returns:
        Its kind, its message, what it is about, its hint and the console it quotes.
    """
    kind = mark("✖", "bad", type(error).__name__)
    if not isinstance(error, KuttiError):
        return element("div", element("p", kind, f": {error}"), class_="error", role="alert")
    about = ", ".join(
        f"{name} {value}"
        for name in ("driver", "network", "cluster", "host", "image")
        if (value := getattr(error, name))
    )
    console = error.console if isinstance(error, ReadyTimeoutError) else ""
    return element(
        "div",
        element("p", kind, f": {error.message}"),
        element("p", f"About: {about}") if about else None,
        element("p", element("strong", "Hint: "), error.hint) if error.hint else None,
        *(element("p", note) for note in getattr(error, "__notes__", ())),
        element("pre", console, tabindex="0") if console else None,
        class_="error",
        role="alert",
    )
