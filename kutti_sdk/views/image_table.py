"""Images as a table."""

from __future__ import annotations

from collections.abc import Sequence

from kutti_sdk.core.image import ImageDetails
from kutti_sdk.core.sizes import format_size
from kutti_sdk.views.elements import Element, element
from kutti_sdk.views.facts import ImageFacts
from kutti_sdk.views.tables import mark, problem_note, status_mark, table

_COLUMNS = ("version", "status", "deprecated", "size", "used by", "kept since", "SHA-256")
_USERS = 3  # of an image that are named; more are counted
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
            _size(image.details),
            _users(image.details.used_by),
            # In the time zone of whoever looks, which is the kernel's.
            f"{image.details.kept.astimezone():%Y-%m-%d %H:%M}" if image.details.kept else "",
            image.checksum[:_DIGITS],
        )
        for image in images
    )
    problems = "\n".join(f"{it.k8s_version}: {it.problem}" for it in images if it.problem)
    return element("div", table(caption, _COLUMNS, rows), problem_note(problems))


def _users(names: Sequence[str]) -> str:
    more = len(names) - _USERS
    if more <= 1:  # which takes no more room than to say so
        return ", ".join(names)
    return f"{', '.join(names[:_USERS])} and {more} more"


def _size(details: ImageDetails) -> str:
    if details.size is not None:
        return format_size(details.size)
    return f"{format_size(details.partial)} so far" if details.partial else ""
