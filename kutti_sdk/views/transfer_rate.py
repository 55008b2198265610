"""How fast bytes arrive, and how long the rest will take."""

from __future__ import annotations

from collections import deque

from kutti_sdk.core.sizes import format_size
from kutti_sdk.views.elements import Element, element
from kutti_sdk.views.words import duration_words

_WINDOW = 5.0  # seconds over which the rate is taken


class TransferRate:
    """A transfer, as far as it is."""

    def __init__(self) -> None:
        self._looks: deque[tuple[float, int]] = deque()
        self._total: int | None = None

    def add(self, time: float, done: int, total: int | None) -> None:
        """Take in how far it is.

        Args:
            time: When that was, in seconds of any clock.
            done: Bytes that have arrived.
            total: Bytes in all; None when that is not known.
        """
        self._total = total
        self._looks.append((time, done))
        while self._looks[0][0] < time - _WINDOW and len(self._looks) > 2:
            self._looks.popleft()

    @property
    def fraction(self) -> float | None:
        """How much has arrived, 0.0 to 1.0; None when that is not known."""
        if not self._looks or not self._total:
            return None
        return min(1.0, self._looks[-1][1] / self._total)

    @property
    def rate(self) -> float | None:
        """Bytes in a second, lately; None when that is not known yet."""
        if len(self._looks) < 2:
            return None
        (since, before), (now, done) = self._looks[0], self._looks[-1]
        return (done - before) / (now - since) if now > since else None

    def as_element(self) -> Element | None:
        """Say how far it is, how fast it goes and how long the rest will take.

        Returns:
            The text, or None before anything is known.
        """
        if not self._looks:
            return None
        done = self._looks[-1][1]
        of = f" of {format_size(self._total)}" if self._total else ""
        words = [f"{format_size(done)}{of}"]
        if self.rate:
            words.append(f"{format_size(self.rate)}/s")
            if self._total:
                words.append(f"{duration_words((self._total - done) / self.rate)} left")
        return element("span", ", ".join(words))
