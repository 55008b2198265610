"""What is written down about checkpoints, and finding it."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import anyio.to_thread

from kutti_sdk.core.checkpoints import CheckpointDetails, CheckpointHost
from kutti_sdk.core.errors import CheckpointNotFoundError, CorruptStateError
from kutti_sdk.core.names import validate_name
from kutti_sdk.drivers.qemu import layout
from kutti_sdk.drivers.qemu.checkpoints.files import CheckpointFiles, checkpoint_files
from kutti_sdk.drivers.qemu.records import HostRecord, NetworkRecord
from kutti_sdk.drivers.qemu.resume import Conditions
from kutti_sdk.runtime import state

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckpointRecord:
    """What is stored about a checkpoint.

    Attributes:
        name: Its name.
        networkname: Name of the network.
        clustername: Name of the cluster.
        cidr: Address range of the network.
        note: What was noted about it.
        created: Seconds since the epoch.
        pause: Seconds that the hosts stood still.
        conditions: Under what it was saved.
        hosts: The hosts as they were, ordered by name; none of them writes to the disk
            that it names any more.
        memory: Bytes of their memory.
        disk: Bytes of their disks.
        format: Version of this record.
    """

    name: str
    networkname: str
    clustername: str
    cidr: str
    note: str
    created: float
    pause: float
    conditions: Conditions
    hosts: tuple[HostRecord, ...]
    memory: int
    disk: int
    format: int = 1

    @property
    def details(self) -> CheckpointDetails:
        """What everybody may know about it."""
        return CheckpointDetails(
            name=self.name,
            networkname=self.networkname,
            clustername=self.clustername,
            hosts=tuple(
                CheckpointHost(host.name, host.k8s_version, host.size) for host in self.hosts
            ),
            note=self.note,
            created=self.created,
            pause=self.pause,
            memory=self.memory,
            disk=self.disk,
        )


async def load_checkpoint(network: NetworkRecord, clustername: str, name: str) -> CheckpointRecord:
    """Read a checkpoint's record.

    Args:
        network: Its network.
        clustername: Name of its cluster.
        name: Its name.

    Returns:
        The record.

    Raises:
        CheckpointNotFoundError: When there is none; names those there are.
        CorruptStateError: When it cannot be read.
    """
    validate_name(name, "checkpoint name")
    validate_name(clustername, "cluster name")
    files = checkpoint_files(network.files, clustername, name)
    record = await state.load(files.record, CheckpointRecord)
    if record is None:
        folder = network.files.checkpoints(clustername)
        known = await anyio.to_thread.run_sync(lambda: [path.name for path in _folders(folder)])
        raise CheckpointNotFoundError(
            f"cluster {clustername!r} has no checkpoint {name!r}",
            hint=f"Checkpoints it has: {', '.join(known) or 'none'}.",
            driver="qemu",
            network=network.name,
            cluster=clustername,
        )
    return record


async def load_checkpoints() -> list[CheckpointRecord]:
    """Read the records of all checkpoints.

    Returns:
        The records, ordered by cluster, network and time; one that cannot be read is
        logged and left out.
    """
    return await anyio.to_thread.run_sync(_load_checkpoints)


def layers_of(host: HostRecord) -> tuple[str, ...]:
    """Name all files of a saved host's disk.

    Args:
        host: The host, as it was saved.

    Returns:
        The names, lowest first.
    """
    return (*host.layers, host.disk)


def _load_checkpoints() -> list[CheckpointRecord]:
    found = []
    for network in _folders(layout.networks_folder()):
        for cluster in _folders(layout.NetworkFiles(network).checkpoints_folder):
            for folder in _folders(cluster):
                try:
                    record = state.load_now(CheckpointFiles(folder).record, CheckpointRecord)
                except CorruptStateError as error:
                    _log.warning("%s", error)
                else:
                    found += [record] if record is not None else []
    return sorted(found, key=lambda it: (it.clustername, it.networkname, it.created))


def _folders(folder: Path) -> Iterator[Path]:
    if folder.is_dir():
        for entry in sorted(folder.iterdir()):
            if not entry.name.startswith(layout.HALF_MADE) and entry.is_dir():
                yield entry
