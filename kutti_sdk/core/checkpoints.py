"""The contract of checkpoints: running clusters saved whole, brought back, and copied.

Not every hypervisor can do it. A driver that can inherits `SupportsCheckpoints` as
well as `VMDriver`; whoever needs it asks with `require_checkpoints`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path

from kutti_sdk.core.driver import VMDriver
from kutti_sdk.core.errors import CheckpointsUnsupportedError
from kutti_sdk.core.host import HostSize


@dataclass(frozen=True, slots=True)
class CheckpointHost:
    """A host as it was saved.

    Attributes:
        name: Its name.
        k8s_version: Kubernetes version of its image.
        size: CPUs, memory and disk.
    """

    name: str
    k8s_version: str
    size: HostSize


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckpointDetails:
    """What is known about a checkpoint.

    Attributes:
        name: Its name, unique for its cluster.
        networkname: Name of the network that the hosts are in.
        clustername: Name of the cluster that was saved.
        hosts: Its hosts, ordered by name.
        note: What was noted about it; may be empty.
        created: When it was saved, in seconds since the epoch.
        pause: Seconds that the hosts stood still for it.
        memory: Bytes that the saved memory takes on the disk.
        disk: Bytes that the saved disks take on the disk, without those of the image.
            What other checkpoints and clones share is counted for each of them.
        shared: Bytes of both that others have as well: its cluster, clones, other
            checkpoints. Deleting it frees the rest.
    """

    name: str
    networkname: str
    clustername: str
    hosts: tuple[CheckpointHost, ...]
    note: str = ""
    created: float
    pause: float
    memory: int
    disk: int
    shared: int = 0


class SupportsCheckpoints(ABC):
    """What a driver can do that saves running clusters, beside `VMDriver`.

    A checkpoint is of all hosts of a cluster that are in one network, at one instant:
    memory, devices and disks. It belongs to that network and is deleted with it;
    clones do not need it any more once they are made.
    """

    @abstractmethod
    async def save_checkpoint(
        self, name: str, networkname: str, clustername: str, *, note: str = ""
    ) -> CheckpointDetails:
        """Save a running cluster; its hosts stand still for a moment and run on.

        Args:
            name: Name of the checkpoint.
            networkname: Name of the network that the hosts are in.
            clustername: Name of their cluster.
            note: Something to remember it by.

        Returns:
            What came of it.

        Raises:
            InvalidNameError: When a name is not valid.
            NetworkNotFoundError: When there is no such network.
            HostNotFoundError: When the cluster has no host in it.
            CheckpointExistsError: When the cluster has one of that name.
            HostNotRunningError: When a host does not run, or has not got so far that it
                can be saved.
            NotEnoughDiskError: When it would not fit.
            HypervisorError: When it could not be saved; the hosts run on, and nothing
                of it is kept.
        """

    @abstractmethod
    async def list_checkpoints(self) -> list[CheckpointDetails]:
        """List the checkpoints of all clusters.

        Returns:
            What is known about each, ordered by cluster, network and time.
        """

    @abstractmethod
    async def restore_checkpoint(self, name: str, networkname: str, clustername: str) -> None:
        """Bring a cluster back to the instant at which it was saved; it runs then.

        What its hosts did since is lost; hosts that run are switched off for it. Their
        keys and forwards are those of now, their clocks are set.

        Args:
            name: Name of the checkpoint.
            networkname: Name of the network that the hosts are in.
            clustername: Name of their cluster.

        Raises:
            CheckpointNotFoundError: When there is none.
            CheckpointMismatchError: When it cannot be brought back here: the cluster has
                other hosts by now, or this machine another hypervisor. Nothing is touched.
            NotEnoughMemoryError: When this machine has not got the memory.
            NotEnoughDiskError: When there is too little room for what the hosts write.
            HypervisorError: When a host does not come back. Those that did not are
                stopped, with the disk they had when they were saved.
        """

    @abstractmethod
    async def clone_checkpoint(
        self, name: str, networkname: str, clustername: str, *, to: str
    ) -> None:
        """Make a running copy of a saved cluster, beside it.

        The copy has a network of its own with the same addresses. Its hosts have their
        own keys, machine ids, network cards' addresses and random numbers, and no port of
        this machine leads to them yet.

        Args:
            name: Name of the checkpoint.
            networkname: Name of the network that the saved hosts are in.
            clustername: Name of their cluster.
            to: Name of the copy, both of its network and of its cluster.

        Raises:
            InvalidNameError: When a name is not valid.
            CheckpointNotFoundError: When there is no such checkpoint.
            CheckpointMismatchError: When it cannot be brought to life here.
            NetworkExistsError: When there is a network of that name.
            NotEnoughMemoryError: When this machine has not got the memory.
            NotEnoughDiskError: When there is too little room for what the copy writes.
            HypervisorError: When a host does not come to life; what was made stays, and
                can be deleted or started as any other host.
        """

    @abstractmethod
    async def delete_checkpoint(self, name: str, networkname: str, clustername: str) -> None:
        """Remove a checkpoint; its cluster and its clones are not touched.

        Args:
            name: Name of the checkpoint.
            networkname: Name of the network that the hosts are in.
            clustername: Name of their cluster.

        Raises:
            CheckpointNotFoundError: When there is none.
        """


@dataclass(frozen=True, slots=True)
class CarriedCheckpoint:
    """A checkpoint in a file from another machine.

    Attributes:
        details: What is known about it; the names are those of where it was saved.
        description: What was given to `SupportsCheckpointBundles.export_checkpoint`.
    """

    details: CheckpointDetails
    description: bytes


class SupportsCheckpointBundles(SupportsCheckpoints):
    """What a driver can do that carries checkpoints from machine to machine.

    A bundle is one file with a checkpoint and the images that its hosts need. It has all
    the secrets of the cluster in it.
    """

    @abstractmethod
    async def export_checkpoint(
        self,
        name: str,
        networkname: str,
        clustername: str,
        path: Path,
        *,
        description: bytes = b"",
        replace: bool = False,
    ) -> None:
        """Write a checkpoint with its images into a file that only this user may read.

        The file is there as a whole or not at all.

        Args:
            name: Name of the checkpoint.
            networkname: Name of the network that the saved hosts are in.
            clustername: Name of their cluster.
            path: The file to write.
            description: Bytes that are carried unread.
            replace: Whether a file that is there may be replaced.

        Raises:
            CheckpointNotFoundError: When there is no such checkpoint.
            ConflictError: When there is a file, and it may not be replaced.
            InvalidInputError: When no file can be at that path.
            NotEnoughDiskError: When it does not fit.
            StateError: When the file cannot be written.
        """

    @abstractmethod
    async def inspect_checkpoint(self, path: Path) -> CarriedCheckpoint:
        """Look at a checkpoint in a file; nothing is unpacked.

        Args:
            path: The file.

        Returns:
            What is in it.

        Raises:
            ImageFormatError: When the file is damaged, or no checkpoint.
            CheckpointMismatchError: When it cannot go on here: the hypervisor or the CPU
                is another one.
        """

    @abstractmethod
    async def import_checkpoint(self, path: Path, *, to: str) -> CheckpointDetails:
        """Take a checkpoint with its images out of a file.

        It belongs to a new network then, in which there is no host; clones of it can be
        made. Take it from those only whom you would let log in.

        Args:
            path: The file.
            to: Name of the network, and of the cluster that it is to belong to.

        Returns:
            What is known about it.

        Raises:
            InvalidNameError: When the name is not valid.
            NetworkExistsError: When there is a network of that name.
            ImageFormatError: When the file is damaged, or no checkpoint.
            UnsafeImageError: When a disk in it names files outside of it.
            ChecksumMismatchError: When something in it is not what was written.
            CheckpointMismatchError: As `inspect_checkpoint` does.
            NotEnoughDiskError: When it does not fit.
        """


def require_checkpoint_bundles(driver: VMDriver) -> SupportsCheckpointBundles:
    """Make sure that a driver can carry checkpoints from machine to machine.

    Args:
        driver: The driver.

    Returns:
        The same driver.

    Raises:
        CheckpointsUnsupportedError: When it cannot.
    """
    if isinstance(driver, SupportsCheckpointBundles):
        return driver
    raise CheckpointsUnsupportedError(
        f"driver {driver.name!r} cannot write checkpoints into files",
        hint='Use a driver that can, such as "qemu".',
        driver=driver.name,
    )


def require_checkpoints(driver: VMDriver) -> SupportsCheckpoints:
    """Make sure that a driver can save running clusters.

    Args:
        driver: The driver.

    Returns:
        The same driver.

    Raises:
        CheckpointsUnsupportedError: When it cannot.
    """
    if isinstance(driver, SupportsCheckpoints):
        return driver
    raise CheckpointsUnsupportedError(
        f"driver {driver.name!r} cannot save running clusters",
        hint='Use a driver that can, such as "qemu".',
        driver=driver.name,
    )
