"""The tutorial's notebook says what the tutorial says, and runs in a real kernel."""

from __future__ import annotations

from pathlib import Path

import nbformat
import pytest
from docs_notebook import NOTEBOOK, as_text
from nbclient import NotebookClient

_PREPARATION = """\
import kutti_sdk
from kutti_sdk.drivers.simulated import SimulatedDriver

driver = SimulatedDriver(name="qemu")
driver.commands.answer("ping *", stdout="64 bytes from node2")
kutti_sdk.register_driver("qemu", driver)
kutti_sdk.set_workspace({workspace!r})
"""


def test_the_notebook_is_the_tutorial() -> None:
    assert NOTEBOOK.read_text() == as_text(), "run python tests/unit/docs/docs_notebook.py"


@pytest.mark.notebook
@pytest.mark.timeout(120)
def test_the_notebook_runs_on_the_simulated_driver(tmp_path: Path) -> None:
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    preparation = _PREPARATION.format(workspace=str(tmp_path))
    notebook.cells.insert(0, nbformat.v4.new_code_cell(preparation))

    NotebookClient(notebook, timeout=60, kernel_name="python3").execute()

    printed = "".join(
        output.get("text", "") for cell in notebook.cells for output in cell.get("outputs", [])
    )
    assert "2 of 2 running" in printed
    assert "['node1', 'node2', 'node3']" in printed
    assert printed.rstrip().endswith("[]"), "the cluster is deleted at the end"
