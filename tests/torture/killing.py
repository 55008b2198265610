"""Runs operations in processes that are killed, from the process of the test."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from signal import SIGKILL

import msgspec
from killed_process import Order
from pretended_agent import environment

_PROGRAM = Path(__file__).with_name("killed_process.py")


class Victims:
    """Processes that perform an operation each, and are killed at a point of it.

    Args:
        process: A running `killed_process`.
    """

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process

    def was_killed(self, order: Order) -> bool:
        """Have an operation performed.

        Args:
            order: What to do, and where to be killed.

        Returns:
            False when the operation had ended before.

        Raises:
            AssertionError: When it failed.
        """
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(msgspec.json.encode(order) + b"\n")
        self._process.stdin.flush()
        status = int(self._process.stdout.readline())
        assert status in (0, -SIGKILL), f"the operation failed, {status}; see its traceback"
        return status != 0


@contextmanager
def victims() -> Iterator[Victims]:
    """Have processes at hand that may be killed, for the length of a block.

    Yields:
        What runs them.
    """
    with subprocess.Popen(
        [sys.executable, _PROGRAM],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=environment(),
    ) as process:
        try:
            yield Victims(process)
        finally:
            assert process.stdin is not None
            process.stdin.close()
