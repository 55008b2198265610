"""A workspace of which no process outlives the test, whatever became of it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest


@pytest.fixture
def broken_workspace(workspace: Path) -> Iterator[Path]:
    """A workspace whose processes are killed at the end."""
    yield workspace
    for process in psutil.process_iter(["cmdline"]):
        if any(str(workspace) in argument for argument in process.info["cmdline"] or ()):
            process.kill()
