"""How a cluster is, as asked for a moment ago."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial

from kutti_sdk.clusters.description import ClusterDescription
from kutti_sdk.clusters.kubernetes import control_plane
from kutti_sdk.clusters.observation import ObservedHost, observe_cluster
from kutti_sdk.clusters.table import text_table
from kutti_sdk.core.display import Displayed
from kutti_sdk.core.driver import VMDriver
from kutti_sdk.core.errors import ConflictError, HostNotFoundError, PortNotForwardedError
from kutti_sdk.core.ports import PortForward
from kutti_sdk.core.status import HostStatus
from kutti_sdk.kubernetes.conditions import KubernetesStatus, NodeCondition, kubernetes_status
from kutti_sdk.runtime.tasks import run_all, task_group


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
        condition: How Kubernetes finds it; None without Kubernetes, or when that does
            not know it or cannot be asked.
    """

    name: str
    status: HostStatus | None = None
    ip_address: str | None = None
    ssh_address: str | None = None
    forwards: tuple[PortForward, ...] = ()
    condition: NodeCondition | None = None


@dataclass(frozen=True, slots=True, repr=False)
class ClusterStatus(Displayed):
    """How a cluster is.

    Attributes:
        name: Its name.
        nodes: Its nodes in the order of the spec, then hosts that no spec names.
        kubernetes: How Kubernetes is; None for a cluster without.
    """

    name: str
    nodes: tuple[NodeStatus, ...]
    kubernetes: KubernetesStatus | None = None

    @property
    def running(self) -> bool:
        """Whether all nodes run."""
        return all(node.status is HostStatus.RUNNING for node in self.nodes)

    @property
    def summary(self) -> str:
        """How many nodes run, and with Kubernetes are Ready: ``2 of 3 running, 2 Ready``.

        Where there are any, how many are suspended as well.
        """
        running = sum(node.status is HostStatus.RUNNING for node in self.nodes)
        suspended = sum(node.status is HostStatus.SUSPENDED for node in self.nodes)
        text = f"{running} of {len(self.nodes)} running"
        if suspended:
            text += f", {suspended} suspended"
        if self.kubernetes is None:
            return text
        if self.kubernetes.problem is not None:
            return f"{text}, Kubernetes cannot be asked: {self.kubernetes.problem}"
        ready = sum(node.condition is not None and node.condition.ready for node in self.nodes)
        return f"{text}, {ready} Ready"

    def __repr__(self) -> str:
        return str(self)  # what a notebook shows for a cell that ends with it

    def __str__(self) -> str:
        columns: tuple[str, ...] = ("node", "status", "address", "SSH", "forwards")
        rows = [_row(node) for node in self.nodes]
        if self.kubernetes is not None:
            columns = (*columns[:2], "Kubernetes", *columns[2:])
            rows = [
                (*row[:2], str(node.condition or ""), *row[2:])
                for row, node in zip(rows, self.nodes, strict=True)
            ]
        return text_table(f"Cluster {self.name}: {self.summary}", columns, rows)


async def cluster_status(driver: VMDriver, description: ClusterDescription) -> ClusterStatus:
    """Ask the hypervisor, and Kubernetes where there is any, how a cluster is.

    Args:
        driver: The cluster's driver.
        description: What the cluster shall be.

    Returns:
        How it is.
    """
    seen = await observe_cluster(driver, description.name)
    names = dict.fromkeys((*description.node_names, *seen.hosts))
    kubernetes: KubernetesStatus | None = None

    async def ask_kubernetes() -> None:
        nonlocal kubernetes
        kubernetes = await _kubernetes_status(driver, description)

    async with task_group() as group:
        if description.has_kubernetes:
            group.start_soon(ask_kubernetes)
        nodes = await run_all(
            *(partial(_node_status, name, seen.hosts.get(name)) for name in names)
        )
    conditions = {it.name: it for it in kubernetes.nodes} if kubernetes else {}
    return ClusterStatus(
        description.name,
        tuple(replace(node, condition=conditions.get(node.name)) for node in nodes),
        kubernetes,
    )


async def _kubernetes_status(driver: VMDriver, description: ClusterDescription) -> KubernetesStatus:
    try:
        return await kubernetes_status(await control_plane(driver, description))
    except (ConflictError, HostNotFoundError) as error:
        return KubernetesStatus(problem=error.message)


def _row(node: NodeStatus) -> tuple[str, ...]:
    return (
        node.name,
        node.status or "missing",
        node.ip_address or "",
        node.ssh_address or "",
        ", ".join(f"{it.address}:{it.host_port} to {it.vm_port}" for it in node.forwards),
    )


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
