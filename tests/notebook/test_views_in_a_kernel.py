"""What a real kernel sends to the page that shows a cluster."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

pytestmark = [pytest.mark.notebook, pytest.mark.timeout(120)]

WIDGET = "application/vnd.jupyter.widget-view+json"

PREPARATION = """
import kutti_sdk as kutti
from kutti_sdk.drivers.simulated import SimulatedDriver

kutti.set_workspace({workspace!r})
kutti.register_driver("simulated", SimulatedDriver())
spec = kutti.cluster("lab").using("simulated").nodes(2)
"""


def run(workspace: Path, *cells: str) -> list[list[dict[str, Any]]]:
    """Run cells in a kernel of their own; give the outputs of each."""
    sources = [PREPARATION.format(workspace=str(workspace)), *cells]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(it) for it in sources])
    NotebookClient(notebook, timeout=60, kernel_name="python3").execute()
    return [cell["outputs"] for cell in notebook.cells[1:]]


def test_a_cluster_is_sent_as_widget_html_and_text(tmp_path: Path) -> None:
    ensured, first, again = run(tmp_path, "c = await spec.ensure()", "c", "c")
    assert ensured == []
    data = first[0]["data"]
    assert set(data) == {WIDGET, "text/html", "text/plain"}
    assert "● Running" not in data["text/plain"]
    assert "Running" in data["text/html"]
    assert data[WIDGET]["model_id"] == again[0]["data"][WIDGET]["model_id"]


def test_without_ipywidgets_it_is_a_table_with_a_hint_once(tmp_path: Path) -> None:
    _, _, first, again = run(
        tmp_path,
        "import sys; sys.modules['ipywidgets'] = None",
        "c = await spec.ensure()",
        "c",
        "c",
    )
    assert WIDGET not in first[0]["data"]
    assert "kutti_sdk[notebook]" in first[0]["data"]["text/html"]
    assert "kutti_sdk[notebook]" not in again[0]["data"]["text/html"]
    assert "Running" in again[0]["data"]["text/html"]


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_a_timeline_stays_in_the_notebook_as_a_picture(tmp_path: Path, backend: str) -> None:
    _, shown = run(
        tmp_path, f"%autoawait {backend}", "with kutti.timeline():\n    await spec.ensure()"
    )
    (output,) = shown
    assert output["output_type"] == "display_data"
    picture = output["data"]["image/svg+xml"]
    assert picture.startswith("<svg ")
    assert picture.count("✔ ready") == 3
    assert "still going on" not in output["data"]["text/html"]


def test_a_face_is_drawn_under_trio_too(tmp_path: Path) -> None:
    *_, shown = run(tmp_path, "%autoawait trio", "c = await spec.ensure()", "c")
    assert "Running" in shown[0]["data"]["text/html"]
