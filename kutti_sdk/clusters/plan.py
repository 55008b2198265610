"""What would change: a spec compared with its record and with the hypervisor.

The hypervisor is the truth about networks, hosts and forwards. The record adds
two things it cannot know: whether a cluster was begun by us, and which forwards
earlier specs asked for, so that those made by hand stay.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeVar

from kutti_sdk.clusters.actions import (
    Action,
    CreateHost,
    CreateNetwork,
    DeleteHost,
    DrainNode,
    FetchImage,
    ForwardPort,
    HostAction,
    InitControlPlane,
    JoinNode,
    RestartHost,
    ResumeHost,
    StartHost,
    UnforwardPort,
)
from kutti_sdk.clusters.description import ClusterDescription
from kutti_sdk.clusters.drift import refuse_drift
from kutti_sdk.clusters.fitness import refuse_unfit, refuse_without_kubeadm
from kutti_sdk.clusters.node_spec import NodeSpec
from kutti_sdk.clusters.observation import Observation, ObservedHost, observe_cluster
from kutti_sdk.clusters.record import ClusterRecord
from kutti_sdk.clusters.table import text_table
from kutti_sdk.core.display import Displayed
from kutti_sdk.core.driver import VMDriver
from kutti_sdk.core.errors import ImageDeprecatedError
from kutti_sdk.core.ports import SSH_PORT, PortForward
from kutti_sdk.core.status import HostStatus, ImageStatus
from kutti_sdk.kubernetes.kubeadm_config import API_PORT

A = TypeVar("A", bound=Action)


@dataclass(frozen=True, slots=True, repr=False)
class Plan(Displayed):
    """The steps to what shall be, in order; without any it counts as false.

    Attributes:
        cluster: Name of the cluster.
        actions: The steps.
    """

    cluster: str
    actions: tuple[Action, ...]

    def of(self, kind: type[A]) -> tuple[A, ...]:
        """Pick the steps of one kind.

        Args:
            kind: The kind.

        Returns:
            The steps, in order.
        """
        return tuple(action for action in self.actions if isinstance(action, kind))

    def for_host(self, hostname: str) -> tuple[HostAction, ...]:
        """Pick the steps that are about one host.

        Args:
            hostname: Name of the host.

        Returns:
            The steps, in order.
        """
        return tuple(
            action
            for action in self.actions
            if isinstance(action, HostAction) and action.host == hostname
        )

    def forwards_to_check(self) -> tuple[PortForward, ...]:
        """Tell which ports of this machine must be free before the plan is begun.

        Returns:
            The forwards to be made, but for those whose port the plan itself frees.
        """
        freed = [it.forward for it in self.of(UnforwardPort)]
        freed += [forward for it in self.of(DeleteHost) for forward in it.forwards]
        return tuple(
            it.forward
            for it in self.of(ForwardPort)
            if not any(it.forward.conflicts_with(forward) for forward in freed)
        )

    def __len__(self) -> int:
        return len(self.actions)

    def __iter__(self) -> Iterator[Action]:
        return iter(self.actions)

    @property
    def heading(self) -> str:
        """How much there is to do: ``Cluster lab: 8 steps to do``."""
        steps = {0: "nothing", 1: "1 step"}.get(len(self), f"{len(self)} steps")
        return f"Cluster {self.cluster}: {steps} to do"

    def __repr__(self) -> str:
        return str(self)  # what a notebook shows for a cell that ends with a plan

    def __str__(self) -> str:
        if not self.actions:
            return self.heading
        rows = (action.columns() for action in self.actions)
        return text_table(self.heading, ("action", "name", "details"), rows)


async def make_plan(
    description: ClusterDescription, record: ClusterRecord | None, driver: VMDriver
) -> Plan:
    """Compare what shall be with what there is; nothing is changed.

    Of Kubernetes, the plan has what is certain: new hosts are initialised or join. How
    far it is on hosts that exist, only they can tell, and are asked when it is performed.

    Args:
        description: What shall be.
        record: The cluster's record; None when it was never begun.
        driver: The driver of the description.

    Returns:
        The plan.

    Raises:
        ClusterDriftError: When the cluster there is cannot become what it shall be.
        NetworkExistsError: When a network of its name belongs to no cluster.
        ImageNotFoundError: When a host is to be made, and there is no image for it.
        ImageDeprecatedError: When that image is not for new hosts any more.
        InvalidSpecError: When kubeadm would refuse a host for its size, or when addresses
            of nodes, pods and services overlap.
        ImageFormatError: When the image is known to be without kubeadm.
    """
    refuse_unfit(description)
    seen = await observe_cluster(driver, description.name)
    refuse_drift(description, record, seen)
    actions: list[Action] = []
    new = [node for node in description.node_specs if node.name not in seen.hosts]
    version = description.k8s_version
    if new:
        version, fetch = await _choose_image(description, driver, seen)
        actions += fetch
    if seen.network is None:
        actions.append(CreateNetwork(description.name, description.cidr))
    gone = [name for name in seen.hosts if name not in description.node_names]
    if description.is_brought_up:
        actions += map(DrainNode, gone)
    actions += [DeleteHost(name, seen.hosts[name].forwards) for name in gone]

    forwards: list[Action] = []
    for node in description.node_specs:
        wanted = _wanted_forwards(description, node, driver)
        present = seen.hosts[node.name].forwards if node.name in seen.hosts else ()
        undone, made = _compare_forwards(node.name, wanted, present, record)
        actions += undone
        forwards += made
    actions += [CreateHost(node.name, version, node.size) for node in new]
    actions += forwards
    for node in description.node_specs:
        actions += _starts(node, seen.hosts.get(node.name))
    if description.is_brought_up:
        actions += [_initialises(node, description, version) for node in new]
    return Plan(description.name, tuple(actions))


async def _choose_image(
    description: ClusterDescription, driver: VMDriver, seen: Observation
) -> tuple[str, list[FetchImage]]:
    # All nodes are of one version: a new one is made like those there are, even
    # when a newer patch has come out since.
    present = (seen.hosts[name].host for name in description.node_names if name in seen.hosts)
    version = next((host.k8s_version for host in present), description.k8s_version)
    image = await driver.get_image(version)
    if image.deprecated:
        raise ImageDeprecatedError(
            f"the image of Kubernetes {image.k8s_version} is deprecated",
            hint="Hosts made from it still run; choose another version for a new one.",
            driver=driver.name,
            cluster=description.name,
            image=image.k8s_version,
        )
    if description.is_brought_up:
        await refuse_without_kubeadm(image)
    downloaded = await image.status() is ImageStatus.DOWNLOADED
    return image.k8s_version, [] if downloaded else [FetchImage(image.k8s_version)]


def _wanted_forwards(
    description: ClusterDescription, node: NodeSpec, driver: VMDriver
) -> dict[int, PortForward]:
    wanted = {it.forward.vm_port: it.forward for it in description.forwards if it.node == node.name}
    if driver.requires_port_forwarding:
        wanted.setdefault(SSH_PORT, PortForward(0, SSH_PORT))
        if description.has_kubernetes and node.name == description.control_plane_name:
            wanted.setdefault(API_PORT, PortForward(0, API_PORT))
    return wanted


def _compare_forwards(
    hostname: str,
    wanted: dict[int, PortForward],
    present: tuple[PortForward, ...],
    record: ClusterRecord | None,
) -> tuple[list[UnforwardPort], list[ForwardPort]]:
    ours = (
        {it.key for it in (*record.forwards, *record.retired) if it.node == hostname}
        if record
        else set()
    )
    kept = {
        forward.vm_port
        for forward in present
        if forward.vm_port in wanted and _satisfies(forward, wanted[forward.vm_port])
    }
    # One to another port of this machine is undone first, or two hosts that are to
    # change their ports would stand in each other's way.
    undone = [
        UnforwardPort(hostname, forward)
        for forward in present
        if forward.vm_port not in kept
        and (forward.vm_port in wanted or (hostname, forward.vm_port) in ours)
    ]
    made = [ForwardPort(hostname, forward) for port, forward in wanted.items() if port not in kept]
    return undone, made


def _satisfies(present: PortForward, wanted: PortForward) -> bool:
    return present.address == wanted.address and wanted.host_port in (0, present.host_port)


def _initialises(node: NodeSpec, description: ClusterDescription, version: str) -> HostAction:
    if node.name == description.control_plane_name:
        return InitControlPlane(node.name, version)
    return JoinNode(node.name, description.control_plane_name)


def _starts(node: NodeSpec, observed: ObservedHost | None) -> list[Action]:
    if observed is None or observed.status is HostStatus.STOPPED:
        return [StartHost(node.name, node.size)]
    if observed.status is HostStatus.SUSPENDED:
        return [ResumeHost(node.name, node.size)]
    if observed.status is HostStatus.ERROR:
        return [RestartHost(node.name)]
    return []  # running, or the hypervisor cannot tell just now: readiness will
