"""A real JupyterLab, and a page of it in a real browser."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Locator, Page, expect

SECONDS = 1000.0
"""Playwright counts milliseconds."""

_STARTING = 180.0  # seconds that JupyterLab may take on a busy machine
_STEP = 0.1


@contextmanager
def jupyterlab(folder: Path) -> Iterator[str]:
    """Run a JupyterLab on a folder.

    Args:
        folder: Where notebooks are, and all that JupyterLab writes.

    Yields:
        Its URL.
    """
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    own = {
        f"JUPYTER_{name}_DIR": str(folder / ".jupyter" / name.lower())
        for name in ("CONFIG", "DATA", "RUNTIME")
    }
    own["JUPYTERLAB_SETTINGS_DIR"] = str(folder / ".jupyter" / "settings")
    own["JUPYTERLAB_WORKSPACES_DIR"] = str(folder / ".jupyter" / "workspaces")
    own["IPYTHONDIR"] = str(folder / ".ipython")
    _write_settings(folder / ".jupyter" / "settings")
    command = [
        *(sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root"),
        *("--ip=127.0.0.1", f"--port={port}", "--ServerApp.port_retries=0"),
        *(f"--ServerApp.root_dir={folder}", "--IdentityProvider.token="),
        *("--LabApp.expose_app_in_browser=True",),
    ]
    with (folder / ".jupyterlab.log").open("wb") as log:
        server = subprocess.Popen(command, env=os.environ | own, stdout=log, stderr=log, cwd=folder)
        try:
            url = f"http://127.0.0.1:{port}"
            _wait_for(url, server, folder / ".jupyterlab.log")
            yield url
        finally:
            server.terminate()
            server.wait(30)


def chromium() -> str:
    """Where the system's browser is."""
    found = shutil.which("chromium") or shutil.which("chromium-browser")
    assert found, "no Chromium: run tests/install-system-packages"
    return found


class Notebook:
    """A notebook in a page of the browser."""

    def __init__(self, page: Page) -> None:
        self.page = page

    @classmethod
    def open(cls, browser: Browser, url: str, folder: Path, cells: Sequence[str]) -> Notebook:
        """Make a notebook and open it in a page of its own, its kernel running."""
        name = f"notebook-{time.monotonic_ns()}.ipynb"
        (folder / name).write_text(json.dumps(_notebook(cells)))
        page = browser.new_page(viewport={"width": 1280, "height": 1000})
        page.goto(f"{url}/lab/tree/{name}?reset")
        notebook = cls(page)
        expect(page.locator(".jp-Notebook .jp-Cell")).to_have_count(
            len(cells), timeout=60 * SECONDS
        )
        page.evaluate("async () => { await window.jupyterapp.restored }")
        notebook.command("application:toggle-left-area")
        notebook.wait_until_idle()
        return notebook

    def cell(self, number: int) -> Locator:
        """A cell, from 0."""
        return self.page.locator(".jp-Notebook .jp-Cell").nth(number)

    def output(self, number: int) -> Locator:
        """What is below a cell."""
        return self.cell(number).locator(".jp-OutputArea-output").last

    def begin(self, number: int) -> None:
        """Begin to run a cell."""
        self.cell(number).locator(".jp-InputArea").click()
        self.command("notebook:run-cell")

    def run(self, number: int, timeout: float = 60) -> None:
        """Run a cell to its end."""
        prompt = self.cell(number).locator(".jp-InputPrompt")
        before = re.escape(prompt.inner_text())
        self.begin(number)
        ended = re.compile(rf"^(?!{before}$)\[\d+\]:$")
        expect(prompt).to_have_text(ended, timeout=timeout * SECONDS)

    def scroll_to(self, number: int) -> None:
        """Bring a cell to the top of the page."""
        self.cell(number).evaluate("it => it.scrollIntoView({block: 'start'})")

    def command(self, name: str, **arguments: Any) -> None:
        """Do what a menu does, without waiting for its end."""
        self.page.evaluate(
            "([name, args]) => { void window.jupyterapp.commands.execute(name, args) }",
            [name, arguments],
        )

    def restart_kernel(self) -> None:
        """Restart the kernel and clear all outputs, as a menu does that asks first."""
        self.command("notebook:clear-all-cell-outputs")
        self.page.evaluate(
            "() => window.jupyterapp.shell.currentWidget.sessionContext.session.kernel.restart()"
        )
        self.wait_until_idle()

    def close(self) -> None:
        """End the kernel and close the page."""
        self.page.evaluate(
            "() => window.jupyterapp.shell.currentWidget?.sessionContext?.shutdown()"
        )
        self.page.close()

    def wait_until_idle(self) -> None:
        """Wait until the kernel can take a cell."""
        self.page.wait_for_function(
            "() => window.jupyterapp.shell.currentWidget?.sessionContext"
            "?.session?.kernel?.status === 'idle'",
            timeout=60 * SECONDS,
        )

    def theme(self, name: str) -> None:
        """Switch to another theme: ``JupyterLab Light`` or ``JupyterLab Dark``."""
        self.command("apputils:change-theme", theme=name)
        light = "true" if "Light" in name else "false"
        self.page.locator(f"body[data-jp-theme-light={light}]").wait_for(state="attached")
        self.page.wait_for_load_state("networkidle")


def _write_settings(folder: Path) -> None:
    notification = (
        folder / "@jupyterlab" / "apputils-extension" / "notification.jupyterlab-settings"
    )
    notification.parent.mkdir(parents=True)
    notification.write_text(json.dumps({"fetchNews": "false", "checkForUpdates": False}))


def _notebook(cells: Sequence[str]) -> dict[str, Any]:
    return {
        "nbformat": 4,
        "nbformat_minor": 5,
        "metadata": {
            "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}
        },
        "cells": [
            {
                "cell_type": "code",
                "id": f"cell-{number}",
                "source": source,
                "metadata": {},
                "outputs": [],
                "execution_count": None,
            }
            for number, source in enumerate(cells)
        ],
    }


def _wait_for(url: str, server: subprocess.Popen[bytes], log: Path) -> None:
    ends = time.monotonic() + _STARTING
    while time.monotonic() < ends and server.poll() is None:
        try:
            with urllib.request.urlopen(f"{url}/api", timeout=5):
                return
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            time.sleep(_STEP)
    raise RuntimeError(f"JupyterLab does not start: {log.read_text()[-2000:]}")
