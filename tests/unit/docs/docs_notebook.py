"""The tutorial as a notebook: ``python tests/unit/docs/docs_notebook.py`` writes it anew."""

from __future__ import annotations

import json
import re
from typing import Any

from docs_examples import ROOT

TUTORIAL = ROOT / "docs" / "tutorial" / "first-cluster.md"
NOTEBOOK = ROOT / "notebooks" / "01-first-cluster.ipynb"

_BEGIN, _END = "## Describe a cluster", "## Where to go on"
_INTRODUCTION = """\
# Your first cluster

The cells of the [tutorial](../docs/tutorial/first-cluster.md), on the QEMU driver. An image must be
there: `make quickstart` brings one, and so does `python -m kutti_sdk image build`.
"""


def notebook() -> dict[str, Any]:
    """The notebook, without outputs, in the format of nbformat 4.5."""
    text = TUTORIAL.read_text()
    text = text[text.index(_BEGIN) : text.index(_END)]
    text = re.sub(r"```text\n.*?```\n", "", text, flags=re.DOTALL)
    # Prose and code take turns; the first piece is prose.
    pieces = [_INTRODUCTION, "", *re.split(r"```python\n(.*?)```\n", text, flags=re.DOTALL)]
    cells = [
        _cell(number, piece.strip(), is_code=number % 2 == 1)
        for number, piece in enumerate(pieces)
        if piece.strip()
    ]
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    return {
        "cells": cells,
        "metadata": {"kernelspec": kernel, "language_info": {"name": "python"}},
        "nbformat": 4,
        "nbformat_minor": 5,
    }


def _cell(number: int, source: str, *, is_code: bool) -> dict[str, Any]:
    cell = {"id": f"cell-{number}", "metadata": {}, "source": source.splitlines(keepends=True)}
    if is_code:
        return {"cell_type": "code", "execution_count": None, "outputs": [], **cell}
    return {"cell_type": "markdown", **cell}


def as_text() -> str:
    """The notebook as it is in its file."""
    return json.dumps(notebook(), indent=1, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    NOTEBOOK.write_text(as_text())
