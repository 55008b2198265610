"""Checkpoints in files: carried from machine to machine, with what the cluster was asked to be."""

from __future__ import annotations

from dataclasses import replace
from os import PathLike
from pathlib import Path

import anyio
import msgspec

from kutti_sdk.clusters.checkpoints import REMOVAL_TIME, Checkpoint, refuse_taken_name
from kutti_sdk.clusters.description import DEFAULT_DRIVER
from kutti_sdk.clusters.record import ClusterRecord, as_recorded, new_record_id, record_of
from kutti_sdk.clusters.removal import remove_cluster
from kutti_sdk.clusters.spec import ClusterSpec
from kutti_sdk.clusters.store import cluster_lock, save_record
from kutti_sdk.core.checkpoints import CarriedCheckpoint, require_checkpoint_bundles
from kutti_sdk.core.driver import VMDriver
from kutti_sdk.core.errors import ImageFormatError
from kutti_sdk.runtime.tasks import interruptible


@interruptible
async def import_checkpoint(
    path: str | PathLike[str], name: str | None = None, *, driver: str | VMDriver = DEFAULT_DRIVER
) -> Checkpoint:
    """Take a checkpoint out of a file that `Checkpoint.export` wrote, on this machine or another.

    It belongs to a cluster of its own then, which has no nodes: make clones of it, or find
    it again with `attach` and `Cluster.checkpoints`. When it fails or is cancelled, nothing
    of it stays but images.

    Whatever was in the saved cluster runs here. Take files from those only whom you would
    let log in.

    Args:
        path: The file.
        name: Name of the cluster that it is to belong to; that of the saved one when None.
        driver: Name of the driver, or the driver itself.

    Returns:
        The checkpoint.

    Raises:
        ImageFormatError: When the file is damaged, or no checkpoint.
        ChecksumMismatchError: When something in it is not what was written.
        CheckpointMismatchError: When it cannot go on here: QEMU or the CPU is another.
        ClusterExistsError: When there is a cluster of that name.
        NetworkExistsError: When a network of that name belongs to no cluster.
        NotEnoughDiskError: When it does not fit.
        CheckpointsUnsupportedError: When the driver cannot do it.
    """
    spec = ClusterSpec(name or "unnamed", driver)
    chosen = spec.find_driver()
    carrier = require_checkpoint_bundles(chosen)
    source = Path(path)
    carried = await carrier.inspect_checkpoint(source)
    spec = _spec_of(carried, spec, name or carried.details.clustername)
    new_id = new_record_id()
    try:
        async with cluster_lock(spec.name):
            await refuse_taken_name(spec, chosen)
            # From here on it is known what the network belongs to.
            await save_record(record_of(spec, None, new_id))
            details = await carrier.import_checkpoint(source, to=spec.name)
    except BaseException:
        with anyio.CancelScope(shield=True), anyio.move_on_after(REMOVAL_TIME):
            await remove_cluster(chosen, spec.name, only_id=new_id)
        raise
    return Checkpoint(spec, details)


def _spec_of(carried: CarriedCheckpoint, spec: ClusterSpec, name: str) -> ClusterSpec:
    """Read what the cluster was asked to be, and check it as if it were asked for here."""
    try:
        record = msgspec.json.decode(carried.description, type=ClusterRecord)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ImageFormatError(
            f"the file does not tell what cluster was saved: {error}",
            hint="Export it again with a version of kutti_sdk that is like this one.",
        ) from error
    return as_recorded(spec, replace(record, name=name))
