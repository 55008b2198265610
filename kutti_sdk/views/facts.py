"""What faces show: how things were a moment ago.

Data only; `questions` asks for it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from kutti_sdk.core.checkpoints import CheckpointDetails
from kutti_sdk.core.host import HostSize, HostUsage
from kutti_sdk.core.image import ImageDetails
from kutti_sdk.core.ports import PortForward
from kutti_sdk.core.status import DriverStatus, HostStatus, ImageStatus


@dataclass(frozen=True, slots=True, kw_only=True)
class HostFacts:
    """How a host is.

    Attributes:
        name: Its name.
        status: Its status; None when it does not exist (yet).
        ip_address: Its address inside the network.
        ssh_address: Where its SSH server is reached, as ``address:port``.
        forwards: Ports of this machine that lead to it.
        k8s_version: Kubernetes version of its image.
        size: CPUs, memory and disk.
        usage: What it takes of this machine; None when that is not known.
        load: CPUs it kept busy since the last look; None without a look before.
        console: The last line of its console.
        problem: What went wrong with asking; empty when nothing did.
    """

    name: str
    status: HostStatus | None = HostStatus.UNKNOWN
    ip_address: str = ""
    ssh_address: str = ""
    forwards: tuple[PortForward, ...] = ()
    k8s_version: str = ""
    size: HostSize | None = None
    usage: HostUsage | None = None
    load: float | None = None
    console: str = ""
    problem: str = ""

    def since(self, before: HostFacts | None) -> HostFacts:
        """Work out the load since an earlier look.

        Args:
            before: The earlier look; None when there was none.

        Returns:
            The same facts with the load, where it can be told.
        """
        if before is None or before.usage is None or self.usage is None:
            return self
        seconds = self.usage.uptime - before.usage.uptime
        if seconds <= 0:  # it was started anew
            return replace(self, load=before.load if seconds == 0 else None)
        return replace(self, load=(self.usage.cpu_time - before.usage.cpu_time) / seconds)


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterFacts:
    """How a cluster is.

    Attributes:
        name: Its name.
        driver: Name of its driver.
        kubernetes: Its Kubernetes version for a person.
        cidr: Address range of its network.
        hosts: Its hosts in the order of the spec, then those that no spec names.
        checkpoints: Its checkpoints, oldest first.
        problem: What went wrong with asking; empty when nothing did.
    """

    name: str
    driver: str
    kubernetes: str
    cidr: str
    hosts: tuple[HostFacts, ...]
    checkpoints: tuple[CheckpointDetails, ...] = ()
    problem: str = ""

    @property
    def summary(self) -> str:
        """How many hosts run: ``2 of 3 running``, and how many are suspended, if any."""
        running = sum(host.status is HostStatus.RUNNING for host in self.hosts)
        suspended = sum(host.status is HostStatus.SUSPENDED for host in self.hosts)
        text = f"{running} of {len(self.hosts)} running"
        return f"{text}, {suspended} suspended" if suspended else text

    def since(self, before: ClusterFacts | None) -> ClusterFacts:
        """Work out the load of all hosts since an earlier look.

        Args:
            before: The earlier look; None when there was none.

        Returns:
            The same facts with the loads.
        """
        earlier = {host.name: host for host in before.hosts} if before else {}
        return replace(self, hosts=tuple(it.since(earlier.get(it.name)) for it in self.hosts))


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageFacts:
    """How an image is.

    Attributes:
        k8s_version: Its Kubernetes version.
        checksum: Its checksum; empty when unknown.
        deprecated: Whether it is not for new hosts any more.
        status: Its status.
        details: Its size, its users, and since when it is kept, as far as known.
        problem: What went wrong with asking; empty when nothing did.
    """

    k8s_version: str
    checksum: str
    deprecated: bool
    status: ImageStatus = ImageStatus.UNKNOWN
    details: ImageDetails = field(default_factory=ImageDetails)
    problem: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class DriverFacts:
    """How a driver is.

    Attributes:
        name: Its name.
        description: What it is, in one line.
        status: Whether it can work here; None when that is not known.
        problem: Why it cannot, and what to do about it.
        counts: How many networks, hosts and images it has, as far as known.
    """

    name: str
    description: str
    status: DriverStatus | None = None
    problem: str = ""
    counts: Mapping[str, int] = field(default_factory=dict)
