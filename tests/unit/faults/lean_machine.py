"""A disk of a few hundred KiB that nobody else has, full or read-only as a test wants it.

It is a tmpfs in a mount namespace of a process of its own, for which an ordinary user
needs no rights where user namespaces are allowed. ``run_on_small_disk`` runs a scenario of
`scenarios` there.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

_MOUNT = 'mount -t tmpfs -o size=512k none "$1" && shift && exec "$@"'
_HERE = Path(__file__).parent


def run_on_small_disk(scenario: str, backend: str, folder: Path) -> None:
    namespace = ["unshare", "--user", "--map-root-user", "--mount", "--"]
    if subprocess.run([*namespace, "true"], check=False).returncode != 0:
        pytest.skip("user namespaces are not allowed here")
    program = [sys.executable, str(_HERE / "scenarios.py"), scenario, backend, str(folder)]
    done = subprocess.run(
        [*namespace, "sh", "-c", _MOUNT, "sh", str(folder), *program],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": str(_HERE.parents[2])},
    )
    assert done.returncode == 0, done.stderr


@contextmanager
def full_disk(folder: Path) -> Iterator[None]:
    filler = folder / "filler"
    with filler.open("wb", buffering=0) as file:
        for size in (4096, 1):
            try:
                while True:
                    file.write(b"x" * size)
            except OSError:
                continue
    yield
    filler.unlink()


@contextmanager
def read_only_disk(folder: Path) -> Iterator[None]:
    subprocess.run(["mount", "-o", "remount,ro", str(folder)], check=True)
    yield
    subprocess.run(["mount", "-o", "remount,rw", str(folder)], check=True)


@contextmanager
def no_file_handles() -> Iterator[None]:
    held = []
    try:
        while True:
            held.append(os.open(os.devnull, os.O_RDONLY))
    except OSError:
        pass
    yield
    for descriptor in held:
        os.close(descriptor)
