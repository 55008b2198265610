"""The tutorials' notebooks say what the tutorials say, and run in a real kernel."""

from __future__ import annotations

from pathlib import Path

import nbformat
import pytest
from docs_notebook import TUTORIALS, Tutorial, as_text
from nbclient import NotebookClient

_PREPARATION = """\
import kutti_sdk
from kutti_sdk.drivers.simulated import SimulatedDriver

driver = SimulatedDriver(name="qemu")
driver.commands.answer("ping *", stdout="64 bytes from node2")
kutti_sdk.register_driver("qemu", driver)
kutti_sdk.set_workspace({workspace!r})
"""


PRINTED = {
    "first-cluster.md": ["2 of 2 running", "['node1', 'node2', 'node3']"],
    "kubernetes.md": ["[addons]", "node2   NotReady", "node2   Ready", "2 of 2 running, 2 Ready"],
}


@pytest.mark.parametrize("tutorial", TUTORIALS, ids=lambda it: it.page)
def test_the_notebook_is_the_tutorial(tutorial: Tutorial) -> None:
    assert tutorial.path.read_text() == as_text(tutorial), (
        "run python tests/unit/docs/docs_notebook.py"
    )


@pytest.mark.notebook
@pytest.mark.timeout(120)
@pytest.mark.parametrize("tutorial", TUTORIALS, ids=lambda it: it.page)
def test_the_notebook_runs_on_the_simulated_driver(tutorial: Tutorial, tmp_path: Path) -> None:
    notebook = nbformat.read(tutorial.path, as_version=4)
    preparation = _PREPARATION.format(workspace=str(tmp_path))
    notebook.cells.insert(0, nbformat.v4.new_code_cell(preparation))
    ending = "print(await kutti_sdk.list_clusters())"
    notebook.cells.append(nbformat.v4.new_code_cell(ending))

    NotebookClient(notebook, timeout=60, kernel_name="python3").execute()

    printed = "".join(
        output.get("text", "") for cell in notebook.cells for output in cell.get("outputs", [])
    )
    for text in PRINTED[tutorial.page]:
        assert text in printed
    assert printed.rstrip().endswith("[]"), "the clusters are deleted at the end"
