"""Text tables, as plans and clusters show themselves in a terminal."""

from __future__ import annotations

from collections.abc import Iterable, Sequence


def text_table(heading: str, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Write rows below each other in columns.

    Args:
        heading: A line above the table.
        columns: Headings of the columns.
        rows: As many texts as there are columns, each.

    Returns:
        The lines, without spaces at their ends.
    """
    lines = [tuple(columns), *map(tuple, rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        [heading]
        + [
            "  "
            + "  ".join(
                cell.ljust(width) for cell, width in zip(line, widths, strict=True)
            ).rstrip()
            for line in lines
        ]
    )
