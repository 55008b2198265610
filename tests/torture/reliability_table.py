"""Makes the table of `docs/explanation/reliability.md` from the tests' own records.

    python tests/torture/reliability_table.py RECORDS

RECORDS is what the tests wrote to the file that `KUTTI_TORTURE_RECORDS` named. They are
kept beside the page, so that everybody can make the table again.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterable
from itertools import groupby
from pathlib import Path

from torture_records import Record, read

PAGE = Path(__file__).parents[2] / "docs" / "explanation" / "reliability.md"
KEPT = PAGE.with_suffix(".jsonl")
"""The records that the table on the page was made from."""

_BEGIN, _END = "<!-- made by tests/torture/reliability_table.py -->\n", "<!-- until here -->\n"
_HEAD = """\
| fault | during | driver | points | tried | survived | lost |
|---|---|---|---|--:|--:|--:|
"""


def main(records: str) -> None:
    """Keep the records, and write the table into the page."""
    KEPT.write_bytes(Path(records).read_bytes())
    text = PAGE.read_text()
    before, _, rest = text.partition(_BEGIN)
    PAGE.write_text(before + _BEGIN + table(read(KEPT)) + _END + rest.partition(_END)[2])


def table_on_page() -> str:
    """Read the table that is on the page."""
    return PAGE.read_text().partition(_BEGIN)[2].partition(_END)[0]


def table(records: Iterable[Record]) -> str:
    """Make the table, and what is said of it.

    Args:
        records: What was tried, in any order; that of several backends is added up.

    Returns:
        Markdown.
    """
    ordered = sorted(records, key=_row)
    rows = [_line(list(group)) for _, group in groupby(ordered, key=_row)]
    commits = ", ".join(f"`{it}`" for it in Counter(record.commit for record in ordered))
    dates = " to ".join(sorted({min(it.date for it in ordered), max(it.date for it in ordered)}))
    tried, lost = sum(it.tried for it in ordered), sum(it.lost for it in ordered)
    return (
        f"\n{_HEAD}{''.join(rows)}\n"
        f"{tried:,} points were tried, {lost:,} were lost. Tried on {dates}, at {commits}.\n\n"
    )


def _row(record: Record) -> tuple[str, str, str, int]:
    return record.driver, record.fault, record.operation, record.every


def _line(records: list[Record]) -> str:
    first = records[0]
    points = {0: "at random", 1: "all"}.get(first.every, f"one in {first.every}")
    sums = (sum(getattr(it, name) for it in records) for name in ("tried", "survived", "lost"))
    cells = (first.fault, first.operation, first.driver, points, *(f"{it:,}" for it in sums))
    return f"| {' | '.join(cells)} |\n"


if __name__ == "__main__":
    main(*sys.argv[1:])
