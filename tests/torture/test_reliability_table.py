"""The table of the reliability page is what the tests recorded, and nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest
import torture_records
from reliability_table import KEPT, table, table_on_page
from torture_records import Record, read, recorded


def test_the_page_has_the_table_of_its_records() -> None:
    assert table_on_page() == table(read(KEPT)), (
        f"make it again: python tests/torture/reliability_table.py {KEPT}"
    )


def test_losses_are_written_down_and_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(torture_records.VARIABLE, str(tmp_path / "records"))
    record = Record("cancelled", "ensure", "simulated")
    with pytest.raises(ValueError, match="half a host") as failure, recorded(record):
        with record.trial("step 1"):
            pass
        with record.trial("step 2"):
            raise ValueError("half a host was left")
    assert "step 2" in failure.value.__notes__[0]
    (written,) = read(tmp_path / "records")
    assert (written.tried, written.survived, written.lost) == (2, 1, 1)
    assert "| cancelled | ensure | simulated | all | 2 | 1 | 1 |" in table([written])


def test_runs_of_the_same_kind_are_added_up() -> None:
    one = Record("cancelled", "ensure", "simulated", "asyncio", tried=3, survived=3)
    other = Record("cancelled", "ensure", "simulated", "trio", tried=4, survived=4)
    share = Record("cancelled", "ensure", "qemu", tried=2, survived=2, every=7)
    text = table([one, share, other])
    assert "| cancelled | ensure | simulated | all | 7 | 7 | 0 |" in text
    assert "| cancelled | ensure | qemu | one in 7 | 2 | 2 | 0 |" in text
