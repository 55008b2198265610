"""What a node of a cluster shall be, and which ports shall lead to it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from kutti_sdk.core.host import HostSize
from kutti_sdk.core.ports import PortForward


@dataclass(frozen=True, slots=True)
class NodeSpec:
    """What a node shall be.

    Attributes:
        name: Its name, which is its host name inside as well.
        size: CPUs, memory and disk.
    """

    name: str
    size: HostSize = field(default_factory=HostSize)

    def resized(
        self, cpus: int | None, memory: int | str | None, disk: int | str | None
    ) -> NodeSpec:
        """Change what is given of the size.

        Args:
            cpus: Number of CPUs; None to leave it, like the others.
            memory: Bytes of memory, or a text such as ``"2GiB"``.
            disk: Bytes of disk, or a text such as ``"20GiB"``.

        Returns:
            The new node.

        Raises:
            InvalidSizeError: When a size makes no sense.
        """
        size = HostSize.parse(
            self.size.cpus if cpus is None else cpus,
            self.size.memory if memory is None else memory,
            self.size.disk if disk is None else disk,
        )
        return replace(self, size=size)


@dataclass(frozen=True, slots=True, order=True)
class NodeForward:
    """A port of this machine that shall lead to a port of a node.

    Attributes:
        node: Name of the node.
        forward: The two ports; port 0 of this machine stands for any free one.
    """

    node: str
    forward: PortForward

    @property
    def key(self) -> tuple[str, int]:
        """Node and port of the node: there is one forward to each."""
        return self.node, self.forward.vm_port

    def __str__(self) -> str:
        port = self.forward.host_port or "any free port"
        return f"{self.forward.address}:{port} to {self.node}:{self.forward.vm_port}"
