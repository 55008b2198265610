"""No parser of outside data does anything but read or refuse: kept inputs, and a few new ones."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from targets import CORPUS, TARGETS

KEPT = sorted(path for path in CORPUS.rglob("*") if path.is_file())
LARGEST = 64 * 1024  # bytes of a kept input


@pytest.mark.parametrize("path", KEPT, ids=lambda path: f"{path.parent.name}-{path.name}")
@pytest.mark.timeout(20)
def test_a_kept_input_is_read_or_refused(path: Path) -> None:
    assert path.stat().st_size <= LARGEST
    TARGETS[path.parent.name](path.read_bytes())


def test_every_target_has_samples() -> None:
    assert {path.parent.name for path in KEPT} == set(TARGETS)


@pytest.mark.parametrize("name", TARGETS)
@pytest.mark.timeout(60)
@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_damaged_samples_are_read_or_refused(name: str, data: st.DataObject) -> None:
    samples = [path.read_bytes() for path in KEPT if path.parent.name == name]
    sample = bytearray(data.draw(st.sampled_from(samples)))
    chance = random.Random(data.draw(st.integers(0, 2**32)))
    for _ in range(data.draw(st.integers(1, 8))):
        start = chance.randrange(len(sample) + 1)
        end = min(len(sample), start + chance.choice([0, 1, 1, 2, 4, 40]))
        sample[start:end] = chance.choice(
            [
                b"",
                chance.randbytes(1),
                chance.randbytes(end - start),
                b"9" * 30,
                sample[start:end] * 2,
            ]
        )
    TARGETS[name](bytes(sample))


@pytest.mark.parametrize("name", TARGETS)
@pytest.mark.timeout(60)
@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.binary(max_size=2000))
def test_any_bytes_are_read_or_refused(name: str, data: bytes) -> None:
    TARGETS[name](data)
