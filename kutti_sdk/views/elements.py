"""HTML and SVG as trees: the one place where text is escaped.

Nothing else in the views writes markup, so that a name, a console or an error may
hold whatever it likes.
"""

from __future__ import annotations

import html
import re
from dataclasses import dataclass

# XML 1.0, 2.2: characters that no escape makes legal. SVG is XML.
_ILLEGAL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")


@dataclass(frozen=True, slots=True)
class Element:
    """An element of HTML or SVG.

    Attributes:
        tag: Its name.
        children: What is inside, in order.
        attributes: Names and values.
    """

    tag: str
    children: tuple[Element | str, ...] = ()
    attributes: tuple[tuple[str, str], ...] = ()

    def __str__(self) -> str:
        """The markup."""
        pieces: list[str] = []
        self._write(pieces)
        return "".join(pieces)

    def _write(self, pieces: list[str]) -> None:
        attributes = "".join(f' {name}="{escape(value)}"' for name, value in self.attributes)
        pieces.append(f"<{self.tag}{attributes}>")
        for child in self.children:
            if isinstance(child, Element):
                child._write(pieces)
            else:
                pieces.append(escape(child))
        pieces.append(f"</{self.tag}>")


@dataclass(frozen=True, slots=True)
class StyleSheet(Element):
    """A style sheet: HTML takes what is inside of it as it is, so it must be a constant."""

    def _write(self, pieces: list[str]) -> None:
        pieces.extend(("<style>", *map(str, self.children), "</style>"))


def element(tag: str, *children: Element | str | None, **attributes: str | float | None) -> Element:
    """Make an element.

    Args:
        tag: Its name.
        *children: What is inside; None is left out.
        **attributes: Its attributes; None is left out. ``class_`` stands for ``class``,
            and underscores for hyphens.

    Returns:
        The element.
    """
    return Element(
        tag,
        tuple(child for child in children if child is not None),
        tuple(
            (name.rstrip("_").replace("_", "-"), _text(value))
            for name, value in attributes.items()
            if value is not None
        ),
    )


def escape(text: str) -> str:
    """Make text harmless inside of HTML, SVG and their attributes.

    Args:
        text: Any text.

    Returns:
        Markup that shows it; characters that cannot be shown are replaced.
    """
    return html.escape(_ILLEGAL.sub("\ufffd", text), quote=True)


def _text(value: str | float) -> str:
    return value if isinstance(value, str) else f"{value:g}"
