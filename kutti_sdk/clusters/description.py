"""What a cluster shall be: immutable data, and the words that describe it.

Each word checks what it is given at once and returns a new description, so that
one base serves many clusters. Words about Kubernetes are in `kubernetes_words`.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from ipaddress import AddressValueError, IPv4Address
from itertools import combinations
from typing import Self

from kutti_sdk.clusters.node_spec import NodeForward, NodeSpec
from kutti_sdk.core.display import Displayed
from kutti_sdk.core.driver import VMDriver
from kutti_sdk.core.errors import InvalidPortError, InvalidSpecError
from kutti_sdk.core.names import validate_name
from kutti_sdk.core.network import DEFAULT_CIDR, validate_cidr
from kutti_sdk.core.ports import LOOPBACK, PortForward, validate_host_port, validate_vm_port
from kutti_sdk.core.registry import get_driver
from kutti_sdk.core.versions import NO_KUBERNETES, K8sVersion
from kutti_sdk.kubernetes.options import KubernetesOptions

DEFAULT_DRIVER = "qemu"
FIRST_NODE = "node1"
"""Name of the first node, which is the control plane where there is Kubernetes."""

# A network's own address, its broadcast address, and ten for its services.
_RESERVED_ADDRESSES = 12


@dataclass(frozen=True, slots=True, repr=False)
class ClusterDescription(Displayed):
    """What a cluster shall be; `ClusterSpec` adds the verbs.

    Attributes:
        name: Name of the cluster, and of its private network.
        driver: Name of the driver, or the driver itself.
        k8s_version: Kubernetes version of its images, or ``none``.
        cidr: Address range of its network.
        node_specs: Its nodes, in order.
        forwards: Ports of this machine that lead to its nodes.
        kubernetes_options: What was chosen about Kubernetes.
        cold_start: Whether new nodes boot, although the driver may know a faster way.
    """

    name: str
    driver: str | VMDriver = DEFAULT_DRIVER
    k8s_version: str = NO_KUBERNETES
    cidr: str = DEFAULT_CIDR
    node_specs: tuple[NodeSpec, ...] = (NodeSpec(FIRST_NODE),)
    forwards: tuple[NodeForward, ...] = ()
    kubernetes_options: KubernetesOptions = field(default_factory=KubernetesOptions)
    cold_start: bool = False

    def __post_init__(self) -> None:
        validate_name(self.name, "cluster name")
        K8sVersion.parse(self.k8s_version)
        self._check_nodes()
        self._check_forwards()

    @property
    def driver_name(self) -> str:
        """Name of the driver."""
        return self.driver if isinstance(self.driver, str) else self.driver.name

    @property
    def kubernetes_text(self) -> str:
        """The Kubernetes version for a person."""
        if not self.has_kubernetes:
            return "no Kubernetes"
        bare = ", bare" if self.kubernetes_options.bare else ""
        return f"Kubernetes {self.k8s_version}{bare}"

    @property
    def has_kubernetes(self) -> bool:
        """Whether there is Kubernetes in the image of its nodes."""
        return self.k8s_version != NO_KUBERNETES

    @property
    def is_brought_up(self) -> bool:
        """Whether Kubernetes is brought up on it, and not left to somebody's hands."""
        return self.has_kubernetes and not self.kubernetes_options.bare

    @property
    def control_plane_name(self) -> str:
        """Name of the node that is the control plane where there is Kubernetes."""
        return self.node_specs[0].name

    @property
    def node_names(self) -> tuple[str, ...]:
        """Names of the nodes, in order."""
        return tuple(node.name for node in self.node_specs)

    def find_driver(self) -> VMDriver:
        """Give the driver itself.

        Returns:
            The driver.

        Raises:
            DriverNotFoundError: When none is known by its name.
        """
        return get_driver(self.driver) if isinstance(self.driver, str) else self.driver

    def named(self, name: str) -> Self:
        """Describe another cluster that is the same but for its name.

        Args:
            name: The other's name.

        Returns:
            A new spec.

        Raises:
            InvalidNameError: When the name is not valid.
        """
        return replace(self, name=name)

    def using(self, driver: str | VMDriver) -> Self:
        """Choose the driver; ``qemu`` without this word.

        Args:
            driver: Its name, or the driver itself.

        Returns:
            A new spec.

        Raises:
            DriverNotFoundError: When none is known by that name.
        """
        if isinstance(driver, VMDriver):
            return replace(self, driver=driver)
        get_driver(driver)
        return replace(self, driver=driver.lower())

    def network(self, cidr: str) -> Self:
        """Choose the addresses of the cluster's private network.

        Args:
            cidr: A private IPv4 range; ``192.168.125.0/24`` without this word. Clusters
                may have the same range: their networks do not meet.

        Returns:
            A new spec.

        Raises:
            InvalidCIDRError: When the range cannot be that of a network.
            InvalidSpecError: When it is too small for the nodes.
        """
        return replace(self, cidr=str(validate_cidr(cidr)))

    def cold(self) -> Self:
        """Let new nodes boot, and not go on from a template of their image.

        Without this word a driver chooses; see `VMImage.warm_up`. Nodes that are there
        stay as they are.

        Returns:
            A new spec.
        """
        return replace(self, cold_start=True)

    def nodes(
        self,
        count: int,
        *,
        cpus: int | None = None,
        memory: int | str | None = None,
        disk: int | str | None = None,
    ) -> Self:
        """Say how many numbered nodes there are: node1, node2, and so on.

        Nodes with names of their own stay as they are. Sizes given are for all
        numbered nodes; what is not given stays as it is, and a node that is new
        has it from the first node. Forwards of a node go with the node.

        Args:
            count: How many, 1 or more.
            cpus: Number of CPUs of each; 2 when never said.
            memory: Bytes, or a text such as ``"2GiB"``; 1 GiB when never said.
            disk: Bytes, or a text such as ``"20GiB"``; 20 GiB when never said.

        Returns:
            A new spec.

        Raises:
            InvalidSpecError: When the number makes no sense or does not fit the network.
            InvalidSizeError: When a size makes no sense.
        """
        if not isinstance(count, int) or isinstance(count, bool) or count < 1:
            raise InvalidSpecError(
                f"{count!r} is not a number of nodes",
                hint="A cluster has one node or more.",
                cluster=self.name,
            )
        self._check_room(count)
        present = {node.name: node for node in self.node_specs}
        names = [f"node{number}" for number in range(1, count + 1)]
        numbered = [
            present.get(name, replace(self.node_specs[0], name=name)).resized(cpus, memory, disk)
            for name in names
        ]
        others = [node for node in self.node_specs if not _is_numbered(node.name)]
        return self._with_nodes(*numbered, *others)

    def node(
        self,
        name: str,
        *,
        cpus: int | None = None,
        memory: int | str | None = None,
        disk: int | str | None = None,
    ) -> Self:
        """Add a node, or change the size of one that the spec has.

        Args:
            name: Its name.
            cpus: Number of CPUs; when not given as it is, or as the first node's when the
                node is new. So are the others.
            memory: Bytes, or a text such as ``"2GiB"``.
            disk: Bytes, or a text such as ``"20GiB"``.

        Returns:
            A new spec.

        Raises:
            InvalidNameError: When the name is not valid.
            InvalidSizeError: When a size makes no sense.
            InvalidSpecError: When there are too many nodes for the network.
        """
        known = {node.name: node for node in self.node_specs}
        present = known.get(name, replace(self.node_specs[0], name=name))
        return self._with_nodes(
            *({**known, name: present.resized(cpus, memory, disk)}.values()),
        )

    def without_node(self, name: str) -> Self:
        """Leave a node out, and its forwards.

        Args:
            name: Its name.

        Returns:
            A new spec.

        Raises:
            InvalidSpecError: When there is no such node, or no other.
        """
        self._check_has(name)
        return self._with_nodes(*(node for node in self.node_specs if node.name != name))

    def forward(
        self, host_port: int, *, to: int, node: str = FIRST_NODE, address: str = LOOPBACK
    ) -> Self:
        """Let a port of this machine lead to a port of a node.

        Args:
            host_port: Port of this machine, or 0 for any free one.
            to: Port of the node; a forward to it that the spec had is replaced.
            node: Name of the node.
            address: IPv4 address of this machine to listen on; ``0.0.0.0`` lets other
                machines in.

        Returns:
            A new spec.

        Raises:
            InvalidPortError: When a port or the address makes no sense.
            InvalidSpecError: When there is no such node, or the port leads elsewhere.
        """
        wanted = NodeForward(node, PortForward(host_port, to, address))
        others = (other for other in self.forwards if other.key != wanted.key)
        return replace(self, forwards=(*others, wanted))

    def without_forward(self, *, to: int, node: str = FIRST_NODE) -> Self:
        """Leave a forward out.

        Args:
            to: Port of the node.
            node: Name of the node.

        Returns:
            A new spec.

        Raises:
            InvalidSpecError: When the spec has no such forward.
        """
        left = tuple(other for other in self.forwards if other.key != (node, to))
        if left == self.forwards:
            known = ", ".join(map(str, self.forwards)) or "none"
            raise InvalidSpecError(
                f"no port is forwarded to {node}:{to}",
                hint=f"Forwards of the spec: {known}.",
                cluster=self.name,
            )
        return replace(self, forwards=left)

    def __repr__(self) -> str:
        nodes = ", ".join(f"{node.name} ({node.size})" for node in self.node_specs)
        forwards = "".join(f"; {forward}" for forward in self.forwards)
        cold = "; new nodes boot" if self.cold_start else ""
        return (
            f"<{type(self).__name__} {self.name} on {self.driver_name}, {self.kubernetes_text}, "
            f"{self.cidr}: {nodes}{forwards}{cold}>"
        )

    def _with_nodes(self, *nodes: NodeSpec) -> Self:
        names = {node.name for node in nodes}
        kept = tuple(forward for forward in self.forwards if forward.node in names)
        return replace(self, node_specs=nodes, forwards=kept)

    def _check_nodes(self) -> None:
        names = Counter(validate_name(node.name, "node name") for node in self.node_specs)
        twice = [name for name, count in names.items() if count > 1]
        if not names or twice:
            raise InvalidSpecError(
                f"node {twice[0]!r} is described twice" if twice else "a cluster needs a node",
                hint="Describe each node once." if twice else "Add one, or delete the cluster.",
                cluster=self.name,
            )
        self._check_room(len(names))

    def _check_room(self, count: int) -> None:
        room = validate_cidr(self.cidr).num_addresses - _RESERVED_ADDRESSES
        if count > room:
            raise InvalidSpecError(
                f"{count} nodes do not fit into {self.cidr}",
                hint=f"It has room for {room}; choose a larger range with network().",
                cluster=self.name,
            )

    def _check_has(self, node: str) -> None:
        if node not in self.node_names:
            raise InvalidSpecError(
                f"there is no node {node!r}",
                hint=f"Nodes of the spec: {', '.join(self.node_names)}.",
                cluster=self.name,
            )

    def _check_forwards(self) -> None:
        for wanted in self.forwards:
            self._check_has(wanted.node)
            validate_host_port(wanted.forward.host_port)
            validate_vm_port(wanted.forward.vm_port)
            _check_address(wanted.forward.address)
        for one, other in combinations(self.forwards, 2):
            if one.key == other.key or one.forward.conflicts_with(other.forward):
                raise InvalidSpecError(
                    f"two forwards contradict each other: {one}, and {other}",
                    hint="Choose another port for one of them, or 0 for any free one.",
                    cluster=self.name,
                )


def _is_numbered(name: str) -> bool:
    number = name.removeprefix("node")
    return number.isdecimal() and name == f"node{int(number)}" and int(number) > 0


def _check_address(address: str) -> None:
    try:
        IPv4Address(address)
    except AddressValueError:
        raise InvalidPortError(
            f"{address!r} is not an IPv4 address to listen on",
            hint=f'Use an address of this machine, such as "{LOOPBACK}".',
        ) from None
