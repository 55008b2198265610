"""The clock of emulated guests: the counter of this machine, at its true frequency."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from kutti_sdk.drivers.qemu import tsc

pytestmark = pytest.mark.anyio


@pytest.fixture(autouse=True)
def measured_anew() -> None:
    tsc._frequency.cache_clear()


async def test_other_accelerators_choose_their_own_clock() -> None:
    assert await tsc.clock_arguments("kvm") == ""


async def test_without_a_steady_counter_nothing_is_promised(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = tmp_path / "current_clocksource"
    monkeypatch.setattr(tsc, "_CLOCK_SOURCE", source)
    assert await tsc.clock_arguments("tcg") == ""
    source.write_text("hpet\n")
    assert await tsc.clock_arguments("tcg") == ""


@pytest.mark.skipif(
    not tsc._CLOCK_SOURCE.is_file() or tsc._CLOCK_SOURCE.read_text() != "tsc\n",
    reason="this machine's kernel does not trust its counter",
)
async def test_the_frequency_is_measured_precisely() -> None:
    arguments = await tsc.clock_arguments("tcg")
    told = re.fullmatch(r"tsc=reliable clocksource=tsc tsc_early_khz=(\d+)", arguments)
    assert told is not None
    # A clock that is wrong by more than this cannot be kept right by NTP (500 ppm).
    assert int(told[1]) == pytest.approx(tsc._measured_hertz() / 1000, rel=2e-4)
