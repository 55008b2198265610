"""Keeps guests from filling the disk by what they make the switch write to its log."""

from __future__ import annotations

import logging
import time
from typing import Final

__all__ = ["MOST_LINES", "PERIOD_SECONDS", "LogLimit"]

MOST_LINES: Final = 200
"""Lines that are written in one period; a day of them is about 3 MB."""

PERIOD_SECONDS: Final = 600.0
"""How long a period is."""


class LogLimit(logging.Filter):
    """Lets so many lines pass in each period, and then tells how many it left out."""

    def __init__(self) -> None:
        super().__init__()
        self._begun = time.monotonic()
        self._lines = 0

    def filter(self, record: logging.LogRecord) -> bool:
        """Tell whether a line is written; the first of a period tells of those before it."""
        now = time.monotonic()
        if now - self._begun >= PERIOD_SECONDS:
            left_out = self._lines - MOST_LINES
            self._begun, self._lines = now, 0
            if left_out > 0:
                record.msg = f"{left_out} lines were left out; {record.msg}"
        self._lines += 1
        return self._lines <= MOST_LINES
