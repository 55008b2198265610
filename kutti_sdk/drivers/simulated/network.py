"""The handle of a simulated network."""

from __future__ import annotations

from kutti_sdk.core.network import VMNetwork


class SimulatedNetwork(VMNetwork):
    """A network of a simulated world.

    Args:
        name: Its name.
        net_cidr: Its address range.
    """

    def __init__(self, name: str, net_cidr: str) -> None:
        self._name = name
        self._net_cidr = net_cidr

    @property
    def name(self) -> str:
        """The network's name."""
        return self._name

    @property
    def net_cidr(self) -> str:
        """The network's address range."""
        return self._net_cidr

    def __repr__(self) -> str:
        return f"<SimulatedNetwork {self.name} {self.net_cidr}>"
