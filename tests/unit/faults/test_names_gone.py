"""Servers whose names cannot be found, or are looked for without end: told, in bounded time."""

from __future__ import annotations

from pathlib import Path

import pytest
from nameless_machine import run_without_names


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_names_that_nobody_knows_are_told_and_not_waited_for(backend: str, workspace: Path) -> None:
    run_without_names(backend, workspace)
