"""How a cluster is, as asked for a moment ago."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from kutti_sdk.clusters.description import ClusterDescription
from kutti_sdk.clusters.observation import ObservedHost, observe_cluster
from kutti_sdk.clusters.table import text_table
from kutti_sdk.core.display import Displayed
from kutti_sdk.core.driver import VMDriver
from kutti_sdk.core.errors import PortNotForwardedError
from kutti_sdk.core.ports import PortForward
from kutti_sdk.core.status import HostStatus
from kutti_sdk.runtime.tasks import run_all


@dataclass(frozen=True, slots=True)
class NodeStatus:
    """How a node is.

    Attributes:
        name: Its name.
        status: What the hypervisor says; None when its host does not exist (yet).
        ip_address: Its address inside the network; None without a host.
        ssh_address: Where its SSH server is reached, as ``address:port``; None when it
            is not.
        forwards: Ports of this machine that lead to it.
    """

    name: str
    status: HostStatus | None = None
    ip_address: str | None = None
    ssh_address: str | None = None
    forwards: tuple[PortForward, ...] = ()


@dataclass(frozen=True, slots=True, repr=False)
class ClusterStatus(Displayed):
    """How a cluster is.

    Attributes:
        name: Its name.
        nodes: Its nodes in the order of the spec, then hosts that no spec names.
    """

    name: str
    nodes: tuple[NodeStatus, ...]

    @property
    def running(self) -> bool:
        """Whether all nodes run."""
        return all(node.status is HostStatus.RUNNING for node in self.nodes)

    @property
    def summary(self) -> str:
        """How many nodes run: ``2 of 3 running``."""
        running = sum(node.status is HostStatus.RUNNING for node in self.nodes)
        return f"{running} of {len(self.nodes)} running"

    def __repr__(self) -> str:
        return str(self)  # what a notebook shows for a cell that ends with it

    def __str__(self) -> str:
        return text_table(
            f"Cluster {self.name}: {self.summary}",
            ("node", "status", "address", "SSH", "forwards"),
            (
                (
                    node.name,
                    node.status or "missing",
                    node.ip_address or "",
                    node.ssh_address or "",
                    ", ".join(
                        f"{it.address}:{it.host_port} to {it.vm_port}" for it in node.forwards
                    ),
                )
                for node in self.nodes
            ),
        )


async def cluster_status(driver: VMDriver, description: ClusterDescription) -> ClusterStatus:
    """Ask the hypervisor how a cluster is.

    Args:
        driver: The cluster's driver.
        description: What the cluster shall be.

    Returns:
        How it is.
    """
    seen = await observe_cluster(driver, description.name)
    names = dict.fromkeys((*description.node_names, *seen.hosts))
    nodes = await run_all(*(partial(_node_status, name, seen.hosts.get(name)) for name in names))
    return ClusterStatus(description.name, tuple(nodes))


async def _node_status(name: str, observed: ObservedHost | None) -> NodeStatus:
    if observed is None:
        return NodeStatus(name)
    try:
        ssh_address = await observed.host.ssh_address()
    except PortNotForwardedError:
        ssh_address = None
    return NodeStatus(
        name, observed.status, observed.host.ip_address, ssh_address, observed.forwards
    )
