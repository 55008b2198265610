"""The tutorial's notebooks say what its pages say, and run in a real kernel."""

from __future__ import annotations

from pathlib import Path

import nbformat
import pytest
from docs_examples import ROOT
from docs_notebook import PAIRS, Pair, as_text
from nbclient import NotebookClient

_PREPARATION = """\
import os
import kutti_sdk
from kutti_sdk.drivers.simulated import SimulatedDriver

driver = SimulatedDriver(name="qemu")
driver.commands.answer("ping *", stdout="64 bytes from node2")
kutti_sdk.register_driver("qemu", driver)
kutti_sdk.set_workspace({workspace!r})
os.chdir({workspace!r})
"""

_EXPECTED = {
    "01-first-cluster.ipynb": ("2 of 2 running", "['node1', 'node2', 'node3']"),
    "02-images.ipynb": ("there is no image of Kubernetes 1.99", "Delete these hosts first"),
    "03-ssh-and-ports.ipynb": ("good morning", "ended with 0"),
    "04-break-and-mend.ipynb": ("node2 Stopped", "Cluster mend: 3 of 3 running"),
    "05-many-at-once.ipynb": ("most of it for", "node2"),
    "07-checkpoints.ipynb": ("before exercise 3", "student1 192.168.125.11"),
    "06-kubernetes.ipynb": ("[addons]", "node2   NotReady", "2 of 2 running, 2 Ready"),
}

pairs = pytest.mark.parametrize("pair", PAIRS, ids=lambda pair: pair.notebook)


@pairs
def test_a_notebook_is_its_page(pair: Pair) -> None:
    assert pair.file.read_text() == as_text(pair), "run python tests/unit/docs/docs_notebook.py"


def test_every_page_of_the_tutorial_has_a_notebook() -> None:
    pages = {page.name for page in (ROOT / "docs" / "tutorial").glob("*.md")} - {"index.md"}
    assert pages == {pair.page for pair in PAIRS}


@pairs
@pytest.mark.notebook
@pytest.mark.timeout(120)
def test_a_notebook_runs_on_the_simulated_driver(pair: Pair, tmp_path: Path) -> None:
    notebook = nbformat.read(pair.file, as_version=4)
    preparation = _PREPARATION.format(workspace=str(tmp_path))
    notebook.cells.insert(0, nbformat.v4.new_code_cell(preparation))
    left = "print(len(await driver.list_hosts()), 'hosts are left')"
    notebook.cells.append(nbformat.v4.new_code_cell(left))

    NotebookClient(notebook, timeout=60, kernel_name="python3").execute()

    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    shown = "".join(
        output.get("text", "") + output.get("data", {}).get("text/plain", "") for output in outputs
    )
    for words in _EXPECTED[pair.notebook]:
        assert words in shown
    assert shown.endswith("0 hosts are left\n")
