"""Numbers with units, and statuses in words."""

from __future__ import annotations

import pytest

from kutti_sdk.core.events import ProgressEvent
from kutti_sdk.core.host import HostUsage
from kutti_sdk.core.sizes import MiB
from kutti_sdk.core.status import DriverStatus, HostStatus, ImageStatus
from kutti_sdk.views.facts import HostFacts
from kutti_sdk.views.words import duration_words, progress_words, status_words


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (-1, "0.0 s"),
        (0.44, "0.4 s"),
        (59.4, "59 s"),
        (59.6, "1 min"),
        (185, "3 min 5 s"),
        (7800, "2 h 10 min"),
        (3600, "1 h"),
        (349_200, "4 d 1 h"),
    ],
)
def test_durations_have_two_units_at_most(seconds: float, words: str) -> None:
    assert duration_words(seconds) == words


@pytest.mark.parametrize(
    ("numbers", "words"),
    [
        ({}, "downloading"),
        ({"bytes_done": 3 * MiB}, "3 MiB"),
        ({"bytes_done": 3 * MiB, "bytes_total": 9 * MiB}, "3 MiB of 9 MiB"),
        ({"bytes_done": 0, "bytes_total": 9 * MiB, "rate": 0.0}, "0 B of 9 MiB, 0 B/s"),
        (
            {"bytes_done": 3 * MiB, "bytes_total": 9 * MiB, "rate": MiB / 2, "remaining": 12.0},
            "3 MiB of 9 MiB, 512 KiB/s, 12 s left",
        ),
    ],
)
def test_progress_says_bytes_rate_and_time_left_as_far_as_known(
    numbers: dict[str, int | float], words: str
) -> None:
    event = ProgressEvent(phase="download", message="downloading", **numbers)  # type: ignore[arg-type]
    assert progress_words(event) == words


@pytest.mark.parametrize("status", [*HostStatus, *DriverStatus, *ImageStatus, None])
def test_every_status_has_icon_colour_and_word(status: HostStatus | None) -> None:
    icon, tone, word = status_words(status)
    assert icon
    assert word
    assert tone in ("good", "quiet", "warn", "bad")


def test_the_load_is_told_by_two_looks() -> None:
    first = HostFacts(name="node1", usage=HostUsage(10.0, 5.0, 100))
    second = HostFacts(name="node1", usage=HostUsage(14.0, 7.0, 100))
    assert first.since(None).load is None
    assert second.since(first).load == 0.5


def test_a_host_that_was_started_anew_has_no_load_yet() -> None:
    before = HostFacts(name="node1", usage=HostUsage(100.0, 50.0, 100))
    after = HostFacts(name="node1", usage=HostUsage(1.0, 0.9, 100))
    assert after.since(before).load is None
