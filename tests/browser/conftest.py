"""One JupyterLab and one browser for all tests; a notebook and a kernel for each."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from lab_page import SECONDS, Notebook, chromium, jupyterlab
from playwright.sync_api import Browser, expect, sync_playwright

expect.set_options(timeout=20 * SECONDS)  # for machines that have other things to do, too

PREPARATION = """
import kutti_sdk as kutti
from kutti_sdk.drivers.simulated import SimulatedClock, SimulatedDriver

driver = SimulatedDriver(clock=SimulatedClock(speed=10))
kutti.register_driver("simulated", driver)
spec = kutti.cluster("lab").using("simulated").nodes(3).forward(8080, to=80, node="node1")
"""

OpenNotebook = Callable[..., Notebook]


@pytest.fixture(scope="session")
def lab_folder() -> Iterator[Path]:
    with TemporaryDirectory(prefix="kutti-lab-") as folder:
        yield Path(folder)


@pytest.fixture(scope="session")
def lab_url(lab_folder: Path) -> Iterator[str]:
    with jupyterlab(lab_folder) as url:
        yield url


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        # Its sandbox needs rights that containers do not give; pages are our own.
        browser = playwright.chromium.launch(executable_path=chromium(), args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def open_notebook(browser: Browser, lab_url: str, lab_folder: Path) -> Iterator[OpenNotebook]:
    """Open a notebook whose first cell makes a simulated driver and a spec of three nodes."""
    opened: list[Notebook] = []

    def open_one(
        *cells: str, preparation: str = PREPARATION, workspace: Path | None = None
    ) -> Notebook:
        folder = workspace or lab_folder / f"workspace-{len(list(lab_folder.iterdir()))}"
        first = f"{preparation}\nkutti.set_workspace({str(folder)!r})"
        sources: Sequence[str] = (first, *cells)
        notebook = Notebook.open(browser, lab_url, lab_folder, sources)
        opened.append(notebook)
        notebook.run(0)
        return notebook

    yield open_one
    for notebook in opened:
        notebook.close()


@pytest.fixture
def screenshot() -> Callable[[Notebook, str], None]:
    """Take pictures for the documentation, if a folder for them is named."""
    folder = os.environ.get("KUTTI_SCREENSHOTS")

    def take(notebook: Notebook, name: str) -> None:
        if folder:
            notebook.page.mouse.move(0, 0)
            notebook.page.screenshot(path=Path(folder) / f"{name}.png")

    return take
