"""The Python examples of a page, and running them as the cells of one notebook."""

from __future__ import annotations

import ast
import asyncio
import inspect
import re
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[3]

_BLOCK = re.compile(
    r"(?P<reason><!-- not run: [^\n]+ -->\n)?"
    r"^(?P<indent> *)```python\n(?P<source>.*?)^(?P=indent)```$",
    re.MULTILINE | re.DOTALL,
)


@dataclass(frozen=True)
class Example:
    """A block of Python; it runs unless a comment above it tells why not."""

    source: str
    line: int
    runs: bool


def pages() -> list[Path]:
    """The README, all pages of the documentation, and the texts of the notebooks."""
    texts = [*(ROOT / "docs").rglob("*.md"), *(ROOT / "notebooks").glob("*.md")]
    return [ROOT / "README.md", *sorted(texts)]


def examples(page: Path) -> Iterator[Example]:
    text = page.read_text()
    for block in _BLOCK.finditer(text):
        line = text.count("\n", 0, block.start("source"))
        yield Example(textwrap.dedent(block["source"]), line, block["reason"] is None)


def run(page: Path) -> None:
    """Run a page's examples in order, each as a task of its own, as Jupyter runs cells.

    Tests without arguments that a page defines are run as well.
    """
    names: dict[str, object] = {"__name__": "__main__"}
    with asyncio.Runner() as loop:
        for example in examples(page):
            if not example.runs:
                continue
            source = "\n" * example.line + example.source
            flags = ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
            code = compile(source, str(page), "exec", flags, dont_inherit=True)
            if code.co_flags & inspect.CO_COROUTINE:
                loop.run(eval(code, names))
            else:
                exec(code, names)
        for name, function in names.items():
            if name.startswith("test_") and inspect.iscoroutinefunction(function):
                loop.run(function())
