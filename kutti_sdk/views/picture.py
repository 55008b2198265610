"""What all pictures share: the frame, fonts and colours, text that fits.

A picture is drawn inside of a page, where it takes the page's colours, and as an image
of its own, where it has a white ground and black lines.
"""

from __future__ import annotations

from kutti_sdk.views.elements import Element, element

TEXT = "var(--kutti-text,#1f1f1f)"
LINE = "var(--kutti-line,#bdbdbd)"
ACCENT = "var(--kutti-accent,#0b57a4)"
GROUND = "var(--kutti-page,#fff)"


def picture(width: float, height: float, description: str, *shapes: Element | None) -> Element:
    """Make an SVG.

    Args:
        width: Pixels.
        height: Pixels.
        description: What it shows, for who cannot see it.
        *shapes: What is in it; None is left out.

    Returns:
        The SVG, complete as a file of its own.
    """
    return Element(
        "svg",
        (
            element("title", description),
            element("rect", width=width, height=height, style=f"fill:{GROUND}"),
            *(shape for shape in shapes if shape is not None),
        ),
        (
            ("xmlns", "http://www.w3.org/2000/svg"),
            ("role", "img"),
            ("viewBox", f"0 0 {width:g} {height:g}"),
            ("width", f"{width:g}"),
            ("height", f"{height:g}"),
            ("style", f"font:12px system-ui,sans-serif;fill:{TEXT}"),
        ),
    )


def label(x: float, y: float, text: str, **attributes: str) -> Element:
    """Write a line of text.

    Args:
        x: Left end, in pixels.
        y: Base line, in pixels.
        text: The text.
        **attributes: What is not as with all text of the picture.

    Returns:
        The text.
    """
    return element("text", text, x=round(x, 1), y=round(y, 1), **attributes)


def clipped(text: str, characters: float) -> str:
    """Shorten a text.

    Args:
        text: The text.
        characters: How long it may be.

    Returns:
        The text, or its beginning and three dots.
    """
    return text if len(text) <= characters else text[: max(0, int(characters) - 1)] + "…"
