"""Saved clusters of a simulated world."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Network
from typing import NamedTuple

from kutti_sdk.core.checkpoints import CheckpointDetails, CheckpointHost
from kutti_sdk.core.names import validate_name
from kutti_sdk.drivers.simulated.effects import Subject
from kutti_sdk.drivers.simulated.machine import SavedMachine


class CheckpointKey(NamedTuple):
    """What identifies a checkpoint."""

    clustername: str
    networkname: str
    name: str

    @classmethod
    def parse(cls, name: str, networkname: str, clustername: str) -> CheckpointKey:
        """Take the names of a checkpoint.

        Args:
            name: Its own name.
            networkname: Name of the network.
            clustername: Name of the cluster.

        Returns:
            The key.

        Raises:
            InvalidNameError: When a name is not valid.
        """
        return cls(
            validate_name(clustername, "cluster name"),
            validate_name(networkname, "network name"),
            validate_name(name, "checkpoint name"),
        )

    @property
    def subject(self) -> Subject:
        """The saved cluster as the subject of faults."""
        return Subject(cluster=self.clustername, network=self.networkname)


@dataclass(frozen=True, slots=True)
class SavedCluster:
    """The machines of a cluster at one instant.

    Attributes:
        key: What identifies the checkpoint.
        note: What was noted about it.
        created: When it was saved, by the world's clock.
        cidr: Address range of the network.
        machines: The machines, ordered by name.
    """

    key: CheckpointKey
    note: str
    created: float
    cidr: IPv4Network
    machines: tuple[SavedMachine, ...]

    def details(self) -> CheckpointDetails:
        """Tell what is known about it.

        Returns:
            The details; disks take what their files take.
        """
        return CheckpointDetails(
            name=self.key.name,
            networkname=self.key.networkname,
            clustername=self.key.clustername,
            hosts=tuple(
                CheckpointHost(machine.key.hostname, machine.k8s_version, machine.size)
                for machine in self.machines
            ),
            note=self.note,
            created=self.created,
            pause=0.0,
            memory=sum(machine.memory for machine in self.machines),
            disk=sum(machine.files.total_bytes for machine in self.machines),
        )
