"""The tutorial's notebooks are pairs of jupytext, and run in a real kernel."""

from __future__ import annotations

from pathlib import Path

import jupytext
import nbformat
import pytest
from docs_examples import ROOT
from jupytext.config import load_jupytext_config
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
    "06-kubernetes.ipynb": ("[addons]", "node2   NotReady", "2 of 2 running, 2 Ready"),
    "07-checkpoints.ipynb": ("before exercise 3", "student1 192.168.125.11"),
}

_FOLDER = ROOT / "notebooks"

each_notebook = pytest.mark.parametrize("name", _EXPECTED)


@each_notebook
def test_a_notebook_says_what_its_text_says(name: str) -> None:
    text = (_FOLDER / name).with_suffix(".md")
    config = load_jupytext_config(str(text))
    written = jupytext.writes(jupytext.read(_FOLDER / name), "md", config=config)
    assert written == text.read_text(), "run jupytext --sync notebooks/*.md"


@each_notebook
def test_a_notebook_is_kept_without_what_it_gave_when_it_was_run(name: str) -> None:
    for cell in nbformat.read(_FOLDER / name, as_version=4).cells:
        assert not cell.get("outputs")
        assert cell.get("execution_count") is None


def test_every_notebook_is_a_page_of_the_tutorial() -> None:
    notebooks = {path.name for path in _FOLDER.glob("*.ipynb")}
    assert notebooks == {path.with_suffix(".ipynb").name for path in _FOLDER.glob("*.md")}
    assert notebooks == set(_EXPECTED)
    pages = [page.read_text() for page in (ROOT / "docs" / "tutorial").glob("*.md")]
    for path in _FOLDER.glob("*.md"):
        assert sum(f"notebooks/{path.name}" in page for page in pages) == 1, path.name


@each_notebook
@pytest.mark.notebook
@pytest.mark.timeout(120)
def test_a_notebook_runs_on_the_simulated_driver(name: str, tmp_path: Path) -> None:
    notebook = nbformat.read(_FOLDER / name, as_version=4)
    preparation = _PREPARATION.format(workspace=str(tmp_path))
    notebook.cells.insert(0, nbformat.v4.new_code_cell(preparation))
    left = "print(len(await driver.list_hosts()), 'hosts are left')"
    notebook.cells.append(nbformat.v4.new_code_cell(left))

    NotebookClient(notebook, timeout=60, kernel_name="python3").execute()

    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    shown = "".join(
        output.get("text", "") + output.get("data", {}).get("text/plain", "") for output in outputs
    )
    for words in _EXPECTED[name]:
        assert words in shown
    assert shown.endswith("0 hosts are left\n")
