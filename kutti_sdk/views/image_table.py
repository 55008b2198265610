"""Images as a table."""

from __future__ import annotations

from collections.abc import Sequence

from kutti_sdk.views.elements import Element, element
from kutti_sdk.views.facts import ImageFacts
from kutti_sdk.views.tables import mark, problem_note, status_mark, table

_COLUMNS = ("version", "status", "deprecated", "SHA-256")
_DIGITS = 12  # of a checksum, which tell images apart


def images_table(images: Sequence[ImageFacts], caption: str) -> Element:
    """Show images.

    Args:
        images: How they are.
        caption: What they are.

    Returns:
        A table.
    """
    rows = (
        (
            image.k8s_version,
            status_mark(image.status),
            mark("▲", "warn", "deprecated") if image.deprecated else "",
            image.checksum[:_DIGITS],
        )
        for image in images
    )
    problems = "\n".join(f"{it.k8s_version}: {it.problem}" for it in images if it.problem)
    return element("div", table(caption, _COLUMNS, rows), problem_note(problems))
