"""The steps that a plan is made of."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

from kutti_sdk.core.host import HostSize
from kutti_sdk.core.ports import PortForward


class Action(ABC):
    """One step from what there is to what shall be."""

    @abstractmethod
    def columns(self) -> tuple[str, str, str]:
        """Describe the step for a table.

        Returns:
            What is done, to what, and how.
        """

    def __str__(self) -> str:
        return " ".join(filter(None, self.columns()))


@dataclass(frozen=True, slots=True)
class FetchImage(Action):
    """Bring an image to this machine.

    Attributes:
        k8s_version: Its Kubernetes version.
    """

    k8s_version: str

    def columns(self) -> tuple[str, str, str]:
        """See `Action.columns`."""
        return "fetch image", self.k8s_version, ""


@dataclass(frozen=True, slots=True)
class CreateNetwork(Action):
    """Make the cluster's network.

    Attributes:
        network: Its name.
        cidr: Its address range.
    """

    network: str
    cidr: str

    def columns(self) -> tuple[str, str, str]:
        """See `Action.columns`."""
        return "create network", self.network, self.cidr


@dataclass(frozen=True, slots=True)
class HostAction(Action):
    """A step that is about one host.

    Attributes:
        host: Name of the host.
    """

    host: str


@dataclass(frozen=True, slots=True)
class DeleteHost(HostAction):
    """Remove a host that is no more wanted, running or not, and its disk.

    Attributes:
        forwards: Ports of this machine that become free.
    """

    forwards: tuple[PortForward, ...] = ()

    def columns(self) -> tuple[str, str, str]:
        """See `Action.columns`."""
        return "delete host", self.host, "and its disk"


@dataclass(frozen=True, slots=True)
class UnforwardPort(HostAction):
    """Take back a port of this machine.

    Attributes:
        forward: The forward there is.
    """

    forward: PortForward

    def columns(self) -> tuple[str, str, str]:
        """See `Action.columns`."""
        return "unforward port", self.host, _arrow(self.forward)


@dataclass(frozen=True, slots=True)
class CreateHost(HostAction):
    """Make a host.

    Attributes:
        k8s_version: Kubernetes version of the image it is made from.
        size: CPUs, memory and disk.
    """

    k8s_version: str
    size: HostSize

    def columns(self) -> tuple[str, str, str]:
        """See `Action.columns`."""
        return "create host", self.host, str(self.size)


@dataclass(frozen=True, slots=True)
class ForwardPort(HostAction):
    """Let a port of this machine lead to a host.

    Attributes:
        forward: The forward wanted.
    """

    forward: PortForward

    def columns(self) -> tuple[str, str, str]:
        """See `Action.columns`."""
        return "forward port", self.host, _arrow(self.forward)


@dataclass(frozen=True, slots=True)
class StartHost(HostAction):
    """Start a stopped host.

    Attributes:
        size: What it takes of this machine.
    """

    size: HostSize

    def columns(self) -> tuple[str, str, str]:
        """See `Action.columns`."""
        return "start host", self.host, ""


@dataclass(frozen=True, slots=True)
class ResumeHost(StartHost):
    """Let a suspended host go on where it was."""

    def columns(self) -> tuple[str, str, str]:
        """See `Action.columns`."""
        return "resume host", self.host, "it is suspended"


@dataclass(frozen=True, slots=True)
class RestartHost(HostAction):
    """Switch a host off and on that the hypervisor says is in error."""

    def columns(self) -> tuple[str, str, str]:
        """See `Action.columns`."""
        return "restart host", self.host, "it is in error"


@dataclass(frozen=True, slots=True)
class InitControlPlane(HostAction):
    """Make a new host the control plane.

    Attributes:
        k8s_version: The Kubernetes version.
    """

    k8s_version: str

    def columns(self) -> tuple[str, str, str]:
        """See `Action.columns`."""
        return "kubeadm init", self.host, f"Kubernetes {self.k8s_version}"


@dataclass(frozen=True, slots=True)
class JoinNode(HostAction):
    """Make a new host a worker.

    Attributes:
        control_plane: Name of the host that it joins.
    """

    control_plane: str

    def columns(self) -> tuple[str, str, str]:
        """See `Action.columns`."""
        return "kubeadm join", self.host, f"to {self.control_plane}"


@dataclass(frozen=True, slots=True)
class DrainNode(HostAction):
    """Take a host out of Kubernetes before it is removed."""

    def columns(self) -> tuple[str, str, str]:
        """See `Action.columns`."""
        return "drain node", self.host, "and delete it from Kubernetes"


def _arrow(forward: PortForward) -> str:
    return f"{forward.address}:{forward.host_port or 'any free port'} to {forward.vm_port}"
