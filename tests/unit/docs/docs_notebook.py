"""The tutorials as notebooks: ``python tests/unit/docs/docs_notebook.py`` writes them anew."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from docs_examples import ROOT


@dataclass(frozen=True)
class Tutorial:
    """A page, the notebook made of it, and which part of the page that is."""

    page: str
    notebook: str
    begin: str
    introduction: str

    @property
    def path(self) -> Path:
        return ROOT / "notebooks" / self.notebook


TUTORIALS = (
    Tutorial(
        "first-cluster.md",
        "01-first-cluster.ipynb",
        "## Describe a cluster",
        """\
# Your first cluster

The cells of the [tutorial](../docs/tutorial/first-cluster.md), on the QEMU driver. An image must be
there: `make quickstart` brings one, and so does `python -m kutti_sdk image build`.
""",
    ),
    Tutorial(
        "kubernetes.md",
        "02-kubernetes.ipynb",
        "## Nodes with nothing initialised",
        """\
# Kubernetes, step by step

The cells of the [tutorial](../docs/tutorial/kubernetes.md), on the QEMU driver. An image with
Kubernetes must be there, as `python -m kutti_sdk image build --kubernetes 1.34` makes it.
""",
    ),
)

_END = "## Where to go on"


def notebook(tutorial: Tutorial) -> dict[str, Any]:
    """The notebook, without outputs, in the format of nbformat 4.5."""
    text = (ROOT / "docs" / "tutorial" / tutorial.page).read_text()
    text = text[text.index(tutorial.begin) : text.index(_END)]
    text = re.sub(r"```text\n.*?```\n", "", text, flags=re.DOTALL)
    # Prose and code take turns; the first piece is prose.
    pieces = [tutorial.introduction, "", *re.split(r"```python\n(.*?)```\n", text, flags=re.DOTALL)]
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


def as_text(tutorial: Tutorial) -> str:
    """The notebook as it is in its file."""
    return json.dumps(notebook(tutorial), indent=1, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    for tutorial in TUTORIALS:
        tutorial.path.write_text(as_text(tutorial))
