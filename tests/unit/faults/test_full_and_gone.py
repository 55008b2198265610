"""A full or read-only disk, no file handles: told, and nothing is lost."""

from __future__ import annotations

from pathlib import Path

import pytest
from lean_machine import run_on_small_disk

each_backend = pytest.mark.parametrize("backend", ["asyncio", "trio"])


@each_backend
def test_a_full_disk_is_told_and_loses_nothing(backend: str, workspace: Path) -> None:
    run_on_small_disk("disk_full", backend, workspace)


@each_backend
def test_a_read_only_disk_is_told_and_loses_nothing(backend: str, workspace: Path) -> None:
    run_on_small_disk("read_only", backend, workspace)


@each_backend
def test_too_many_open_files_are_told_and_lose_nothing(backend: str, workspace: Path) -> None:
    run_on_small_disk("out_of_file_handles", backend, workspace)
