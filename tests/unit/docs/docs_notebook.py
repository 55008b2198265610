"""The pages of the tutorial as notebooks: ``python tests/unit/docs/docs_notebook.py`` writes them.

A page and its notebook are a pair with one source, which is the page: it reads well, it
differs well, and its examples are run as those of every page.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from docs_examples import ROOT

_INTRODUCTION = """\
The cells of the page [{title}](../docs/tutorial/{page}) of the tutorial, on the QEMU driver. An
image must be there: {image}

Without QEMU, run this first. Then nothing that is started is real, and all the rest is:

```
from kutti_sdk.drivers.simulated import SimulatedDriver
import kutti_sdk as kutti
kutti.register_driver("qemu", SimulatedDriver(name="qemu"))
```
"""


@dataclass(frozen=True)
class Pair:
    """A page and its notebook."""

    page: str
    notebook: str
    begin: str
    image: str = "`make quickstart` brings one, and so does `python -m kutti_sdk image build`."

    @property
    def file(self) -> Path:
        """Where the notebook is."""
        return ROOT / "notebooks" / self.notebook


PAIRS = (
    Pair("first-cluster.md", "01-first-cluster.ipynb", "## Describe a cluster"),
    Pair("images.md", "02-images.ipynb", "## Which there are"),
    Pair("ssh-and-ports.md", "03-ssh-and-ports.ipynb", "## A cluster to try it on"),
    Pair("break-and-mend.md", "04-break-and-mend.ipynb", "## Something to break"),
    Pair("many-at-once.md", "05-many-at-once.ipynb", "## Clusters side by side"),
    Pair("checkpoints.md", "07-checkpoints.ipynb", "## Something worth keeping"),
    Pair(
        "kubernetes.md",
        "06-kubernetes.ipynb",
        "## Nodes with nothing initialised",
        "one with Kubernetes, as `python -m kutti_sdk image build --kubernetes 1.34` makes it.",
    ),
)

_END = "## Where to go on"


def notebook(pair: Pair) -> dict[str, Any]:
    """The notebook, without outputs, in the format of nbformat 4.5."""
    text = (ROOT / "docs" / "tutorial" / pair.page).read_text()
    title = text.partition("\n")[0].removeprefix("# ")
    introduction = (
        f"# {title}\n\n{_INTRODUCTION.format(title=title, page=pair.page, image=pair.image)}"
    )
    text = text[text.index(pair.begin) : text.index(_END)]
    text = re.sub(r"```text\n.*?```\n", "", text, flags=re.DOTALL)
    # Prose and code take turns; the first piece is prose.
    pieces = [introduction, "", *re.split(r"```python\n(.*?)```\n", text, flags=re.DOTALL)]
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


def as_text(pair: Pair) -> str:
    """The notebook as it is in its file."""
    return json.dumps(notebook(pair), indent=1, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    for each in PAIRS:
        each.file.write_text(as_text(each))
