"""Checkpoints as a table, alone or below their cluster."""

from __future__ import annotations

import time
from collections.abc import Sequence

from kutti_sdk.core.checkpoints import CheckpointDetails
from kutti_sdk.core.sizes import format_size
from kutti_sdk.views.elements import Element
from kutti_sdk.views.tables import table

_COLUMNS = ("checkpoint", "saved", "nodes", "memory", "disk", "shared", "note")


def checkpoints_table(caption: str, checkpoints: Sequence[CheckpointDetails]) -> Element:
    """Show checkpoints.

    Args:
        caption: What they are.
        checkpoints: What is known about them.

    Returns:
        A table.
    """
    return table(
        caption,
        _COLUMNS,
        (
            (
                it.name,
                time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(it.created)),
                str(len(it.hosts)),
                format_size(it.memory),
                format_size(it.disk),
                format_size(it.shared),
                it.note,
            )
            for it in checkpoints
        ),
    )
