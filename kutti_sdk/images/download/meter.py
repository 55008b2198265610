"""Bytes that arrive, as events: how many, how fast, how long it will take yet."""

from __future__ import annotations

import time
from collections import deque

from kutti_sdk.core.events import report
from kutti_sdk.core.sizes import format_size

_WINDOW = 5.0  # seconds that the rate is of
_STEP = 0.1  # seconds between two events


class Meter:
    """Counts the bytes of one download for those who watch it.

    Args:
        image: Kubernetes version of the image.
    """

    def __init__(self, image: str) -> None:
        self._image = image
        self._total: int | None = None
        self._samples: deque[tuple[float, int]] = deque()
        self._told: tuple[float, int] | None = None

    def begin(self, done: int, total: int | None) -> None:
        """Tell where a transfer begins; the rate is of what comes from here on.

        Args:
            done: Bytes that are here.
            total: Bytes of the file; None when unknown.
        """
        self._total = total
        self._samples.clear()
        self._tell(done, time.monotonic())

    def advance(self, done: int) -> None:
        """Tell how many bytes are here, at most ten times per second.

        Args:
            done: Bytes that are here.
        """
        now = time.monotonic()
        if self._told is None or now - self._told[0] >= _STEP or done == self._total:
            self._tell(done, now)

    def finish(self, done: int) -> None:
        """Tell that the file is complete.

        Args:
            done: Its bytes.
        """
        if self._told is None or self._told[1] != done or self._total != done:
            self._total = done
            self._tell(done, time.monotonic())

    def _tell(self, done: int, now: float) -> None:
        self._told = now, done
        self._samples.append((now, done))
        while now - self._samples[0][0] > _WINDOW:
            self._samples.popleft()
        rate = self._rate()
        remaining = (self._total - done) / rate if self._total is not None and rate else None
        report(
            "download",
            f"downloading, {_describe(done, self._total, rate, remaining)}",
            image=self._image,
            fraction=min(1.0, done / self._total) if self._total else None,
            bytes_done=done,
            bytes_total=self._total,
            rate=rate,
            remaining=remaining,
        )

    def _rate(self) -> float | None:
        (begun, before), (now, done) = self._samples[0], self._samples[-1]
        return max(0, done - before) / (now - begun) if now > begun else None


def _describe(done: int, total: int | None, rate: float | None, remaining: float | None) -> str:
    words = format_size(done) if total is None else f"{format_size(done)} of {format_size(total)}"
    if rate is not None:
        words += f", {format_size(rate)}/s"
    if remaining:
        minutes, seconds = divmod(round(remaining), 60)
        words += f", {minutes}:{seconds:02} left"
    return words
