"""Reads the markup of faces back, strictly."""

from __future__ import annotations

from dataclasses import dataclass, field
from html.parser import HTMLParser


@dataclass
class Found:
    """An element as a browser would see it."""

    tag: str
    attributes: dict[str, str | None]
    children: list[Found] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)

    def all(self, tag: str) -> list[Found]:
        """All elements of a kind below this one."""
        below = [found for child in self.children for found in child.all(tag)]
        return [self, *below] if self.tag == tag else below

    @property
    def text(self) -> str:
        """What a reader sees in it."""
        return "".join(self.texts)


def parse(markup: str) -> Found:
    """Read markup in which every element is closed where it belongs."""
    reader = _Reader()
    reader.feed(markup)
    reader.close()
    assert len(reader.open) == 1, f"<{reader.open[-1].tag}> is never closed"
    return reader.open[0]


def rows(found: Found) -> list[dict[str, str]]:
    """The rows of all tables, by column heading."""
    return [
        dict(
            zip(
                [heading.text for heading in table.all("thead")[0].all("th")],
                [cell.text for cell in row.children],
                strict=True,
            )
        )
        for table in found.all("table")
        for row in table.all("tbody")[0].all("tr")
    ]


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.open = [Found("", {})]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = Found(tag, dict(attrs))
        self.open[-1].children.append(found)
        self.open.append(found)

    def handle_endtag(self, tag: str) -> None:
        assert self.open[-1].tag == tag, f"</{tag}> closes <{self.open[-1].tag}>"
        self.open.pop()

    def handle_data(self, data: str) -> None:
        if self.open[-1].tag != "style":
            for found in self.open:
                found.texts.append(data)
