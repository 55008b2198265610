"""A machine that sleeps, as a laptop does whose lid is closed, and its programs with it.

For programs the time of a sleep is gone all at once: the clock that time limits are measured by
has jumped when they go on. So it takes no time to try. On Linux that clock stands still while the
machine is suspended; it runs on for programs that are stopped by ``SIGSTOP``, by Ctrl-Z or with
their container, and on other systems. What bears the second bears the first.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
import pytest

HOURS = 2 * 3600.0
"""Seconds of a sleep: longer than any time limit."""


@contextmanager
def sleeping_machine(folder: Path) -> Iterator[SleepingMachine]:
    """Have a machine that can be sent to sleep, for the length of a block.

    Args:
        folder: The workspace, whose processes sleep as well.

    Yields:
        The machine.
    """
    machine = SleepingMachine(folder)
    asyncios, trios = time.monotonic, time.perf_counter
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(time, "monotonic", lambda: asyncios() + machine.slept)
        patch.setattr("trio._core._run.perf_counter", lambda: trios() + machine.slept)
        yield machine


class SleepingMachine:
    """This machine, as the processes of a workspace see it.

    Args:
        folder: The workspace.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.slept = 0.0
        """Seconds it has slept in all."""

    def sleep(self) -> None:
        """Sleep for hours; the next moment is the one after them."""
        others = processes_below(self._folder)
        send(others, signal.SIGSTOP)
        self.slept += HOURS
        send(others, signal.SIGCONT)


def processes_below(folder: Path) -> list[psutil.Process]:
    """List the processes that name a folder on their command lines.

    Args:
        folder: The folder, of which nobody else knows.

    Returns:
        All but this process itself.
    """
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):  # it has just ended
            if process.pid != os.getpid() and str(folder) in " ".join(process.cmdline()):
                found.append(process)
    return found


def send(processes: list[psutil.Process], number: signal.Signals) -> None:
    """Send a signal to processes, as far as they are still there."""
    for process in processes:
        with suppress(psutil.Error):
            process.send_signal(number)
