from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from kutti_sdk.images.builder.bootstrap import BootstrapProgress

OUTPUT = [
    "I: running apt-get update...",
    "Get:1 http://example.org bookworm InRelease [151 kB]",
    "I: downloading packages with apt...",
    "0 upgraded, 69 newly installed, 0 to remove and 0 not upgraded.",
    "I: extracting archives...",
    "I: installing essential packages...",
    "Setting up base-files (12.4) ...",
    "I: installing remaining packages inside the chroot...",
    "0 upgraded, 2 newly installed, 0 to remove and 0 not upgraded.",
    *(f"{step} {name}" for step in ("Get:1", "Unpacking", "Setting up") for name in "ab"),
    "I: creating tarball...",
]


def fractions(lines: list[str]) -> list[float]:
    told: list[float] = []
    progress = BootstrapProgress(lambda message, fraction: told.append(fraction))
    for line in lines:
        progress.feed(line)
    return told


def test_it_goes_forward_from_stage_to_stage() -> None:
    told = fractions(OUTPUT)
    assert told == sorted(told)
    assert told[-1] == 0.95


def test_every_package_counts_three_times() -> None:
    told = fractions(OUTPUT)
    assert len([fraction for fraction in told if 0.3 < fraction < 0.95]) == 5


@given(st.lists(st.sampled_from([*OUTPUT[7:16], "Unpacking c", "anything"])))
def test_more_lines_than_packages_do_not_go_beyond_the_stage(lines: list[str]) -> None:
    assert all(0.0 <= fraction <= 0.95 for fraction in fractions([OUTPUT[7], *lines]))
