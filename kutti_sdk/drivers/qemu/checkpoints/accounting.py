"""What checkpoints take on the disk, and what of it others have as well."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import anyio.to_thread

from kutti_sdk.core.checkpoints import CheckpointDetails
from kutti_sdk.drivers.qemu import layout
from kutti_sdk.drivers.qemu.checkpoints.files import checkpoint_files
from kutti_sdk.drivers.qemu.checkpoints.records import CheckpointRecord

_BLOCK = 512  # bytes in what st_blocks counts


async def measured(record: CheckpointRecord) -> CheckpointDetails:
    """Tell what is known about a checkpoint, with what others share of it now.

    Args:
        record: The checkpoint.

    Returns:
        The details.
    """
    network = layout.network_files(record.networkname)
    folder = checkpoint_files(network, record.clustername, record.name).folder
    shared = await anyio.to_thread.run_sync(_shared, folder)
    return replace(record.details, shared=shared)


def _shared(folder: Path) -> int:
    """Add up the files that have another link: in a host, a copy, another checkpoint."""
    bytes_shared = 0
    for place, _, names in os.walk(folder):
        for name in names:
            try:
                status = Path(place, name).stat()
            except FileNotFoundError:  # it is being deleted
                continue
            if status.st_nlink > 1:
                bytes_shared += status.st_blocks * _BLOCK
    return bytes_shared
