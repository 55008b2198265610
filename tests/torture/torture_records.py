"""What the tests of faults write down, for the table of `docs/explanation/reliability.md`.

One line of JSON for each row, appended to the file that `KUTTI_TORTURE_RECORDS` names;
nothing is written without it.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

import msgspec

VARIABLE = "KUTTI_TORTURE_RECORDS"
"""Environment variable with the file to append to."""


class Record(msgspec.Struct):
    """What became of one kind of fault.

    Attributes:
        fault: What was done.
        operation: While what was going on.
        driver: On which driver.
        backend: ``asyncio`` or ``trio``; empty where both or neither matter.
        tried: Points at which the fault was tried.
        survived: Points after which everything was as promised.
        every: 1 when all points were tried, else how many there are for each that was;
            0 when they were chosen at random.
        commit: What was tested.
        date: When.
    """

    fault: str
    operation: str
    driver: str
    backend: str = ""
    tried: int = 0
    survived: int = 0
    every: int = 1
    commit: str = ""
    date: str = ""

    @property
    def lost(self) -> int:
        """Points after which something was not as promised."""
        return self.tried - self.survived

    @contextmanager
    def trial(self, point: object) -> Iterator[None]:
        """Try a point; it is survived when the block ends without an error.

        Args:
            point: What an error names it by.

        Yields:
            Nothing.
        """
        self.tried += 1
        try:
            yield
        except BaseException as error:
            error.add_note(f"{self.operation} on {self.driver}: {self.fault}, {point}")
            raise
        self.survived += 1


@contextmanager
def recorded(record: Record) -> Iterator[Record]:
    """Write a record down at the end of a block, however it ends.

    Args:
        record: The record, to be filled in the block.

    Yields:
        The record.
    """
    try:
        yield record
    finally:
        path = os.environ.get(VARIABLE)
        if path:
            record.commit, record.date = _commit(), datetime.now(UTC).date().isoformat()
            with Path(path).open("ab") as file:
                file.write(msgspec.json.encode(record) + b"\n")


def read(path: Path) -> list[Record]:
    """Read a file of records.

    Args:
        path: The file.

    Returns:
        The records, in the order in which they were written.
    """
    return [msgspec.json.decode(line, type=Record) for line in path.read_bytes().splitlines()]


@cache
def _commit() -> str:
    asked = ["git", "describe", "--always", "--dirty", "--exclude=*"]
    folder = Path(__file__).parent
    return subprocess.run(
        asked, cwd=folder, capture_output=True, text=True, check=False
    ).stdout.strip()
