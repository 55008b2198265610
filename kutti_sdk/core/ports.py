"""TCP ports and the forwards between this machine and a host."""

from __future__ import annotations

from dataclasses import dataclass

from kutti_sdk.core.errors import InvalidPortError

SSH_PORT = 22
MAX_PORT = 65535
LOOPBACK = "127.0.0.1"
"""Where forwarded ports listen unless asked otherwise."""

ANY_ADDRESS = "0.0.0.0"  # noqa: S104 - never bound to unasked
"""Stands for every IPv4 address of this machine."""


@dataclass(frozen=True, slots=True, order=True)
class PortForward:
    """A port of this machine that leads to a port of a host.

    Attributes:
        host_port: Port of this machine.
        vm_port: Port of the host.
        address: Address of this machine that it listens on.
    """

    host_port: int
    vm_port: int
    address: str = LOOPBACK

    def conflicts_with(self, other: PortForward) -> bool:
        """Tell whether this machine could not listen for both at once.

        Args:
            other: Another forward.

        Returns:
            True when both want one port of one address; two free ports never conflict.
        """
        return self.host_port == other.host_port != 0 and (
            self.address == other.address or ANY_ADDRESS in (self.address, other.address)
        )


def validate_vm_port(port: int) -> int:
    """Check a port of a host.

    Args:
        port: 1 to 65535.

    Returns:
        The port.

    Raises:
        InvalidPortError: When it is not a TCP port.
    """
    return _validate(port, 1, "host's port")


def validate_host_port(port: int) -> int:
    """Check a port of this machine.

    Args:
        port: 1 to 65535, or 0 for any free one.

    Returns:
        The port.

    Raises:
        InvalidPortError: When it is not a TCP port.
    """
    return _validate(port, 0, "this machine's port")


def _validate(port: int, lowest: int, what: str) -> int:
    if not isinstance(port, int) or isinstance(port, bool) or not lowest <= port <= MAX_PORT:
        raise InvalidPortError(
            f"{what} {port!r} is not a TCP port",
            hint=f"Use a whole number from {lowest} to {MAX_PORT}"
            + (", 0 for any free port." if lowest == 0 else "."),
        )
    return port
