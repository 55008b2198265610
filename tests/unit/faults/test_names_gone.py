"""Servers whose names cannot be found, or are looked for without end: told, in bounded time."""

from __future__ import annotations

from pathlib import Path

import pytest
from nameless_machine import run_without_names

each_backend = pytest.mark.parametrize("backend", ["asyncio", "trio"])


@each_backend
def test_a_machine_without_name_servers_is_told(backend: str, workspace: Path) -> None:
    run_without_names("nobody_is_asked", backend, workspace)


@each_backend
def test_a_name_server_that_never_answers_is_not_waited_for(backend: str, workspace: Path) -> None:
    run_without_names("nobody_answers", backend, workspace)
