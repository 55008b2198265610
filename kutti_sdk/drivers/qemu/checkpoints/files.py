"""Which file of a checkpoint lies where.

```
checkpoints/CLUSTER/
    .lock                held while checkpoints of the cluster change
    .restoring           a restore was begun: the disks of the hosts may not fit together
    .NAME.XXXXXXXX/      a checkpoint that is not complete
    NAME/
        checkpoint.json  the record
        HOST/
            memory       the host's memory, as large as it is, with holes
            devices      what QEMU knows of processor and devices
            disk*.qcow2  all layers of the host's disk above the image
            receiver.pid only while it is being saved
```

Layers of disks are hard links: to those of the hosts, and of other checkpoints. So
whoever needs a layer has it, whoever else is deleted, and the file system counts.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from kutti_sdk.drivers.qemu.layout import HALF_MADE, NetworkFiles
from kutti_sdk.drivers.qemu.resume import ResumeFiles


@dataclass(frozen=True, slots=True)
class CheckpointFiles:
    """The files of a checkpoint.

    Attributes:
        folder: Their folder.
    """

    folder: Path

    @property
    def record(self) -> Path:
        """The checkpoint's record."""
        return self.folder / "checkpoint.json"

    def host(self, hostname: str) -> ResumeFiles:
        """Find a host's memory and devices; its disks lie beside them.

        Args:
            hostname: Its name.

        Returns:
            The files.
        """
        return ResumeFiles(self.folder / hostname)

    def receiver_pid(self, hostname: str) -> Path:
        """Find the process that a host is moved into.

        Args:
            hostname: Its name.

        Returns:
            The file with its process id.
        """
        return self.folder / hostname / "receiver.pid"


def checkpoint_files(network: NetworkFiles, clustername: str, name: str) -> CheckpointFiles:
    """Find the files of a checkpoint.

    Args:
        network: Files of its network.
        clustername: Name of its cluster.
        name: Its name.

    Returns:
        The files, whether they exist or not.
    """
    return CheckpointFiles(network.checkpoints(clustername) / name)


def lock_of(network: NetworkFiles, clustername: str) -> Path:
    """Find the lock over a cluster's checkpoints.

    Args:
        network: Files of its network.
        clustername: Name of the cluster.

    Returns:
        The lock file.
    """
    return network.checkpoints(clustername) / f"{HALF_MADE}lock"


def half_made(checkpoints: Path) -> list[Path]:
    """List what is not complete, or half deleted. Call it in a thread.

    Args:
        checkpoints: Folder of a cluster's checkpoints, whether it exists or not.

    Returns:
        The folders, and marks that were being written.
    """
    return list(checkpoints.glob(f"{HALF_MADE}*.*"))
