"""The forwarded ports of a simulated machine."""

from __future__ import annotations

from ipaddress import AddressValueError, IPv4Address

from kutti_sdk.core.errors import InvalidPortError, PortInUseError, PortNotForwardedError
from kutti_sdk.core.ports import (
    ANY_ADDRESS,
    LOOPBACK,
    PortForward,
    validate_host_port,
    validate_vm_port,
)
from kutti_sdk.drivers.simulated.faults import FaultPlan
from kutti_sdk.drivers.simulated.machine import HostKey

_FIRST_FREE_PORT = 20000


class PortTable:
    """Which port of this machine leads to which port of which host.

    Args:
        drivername: Name of the driver, for errors.
        faults: Knows the ports that foreign programs listen on.
    """

    def __init__(self, drivername: str, faults: FaultPlan) -> None:
        self._drivername = drivername
        self._faults = faults
        self._forwards: dict[HostKey, dict[int, PortForward]] = {}

    def forward(self, key: HostKey, host_port: int, vm_port: int, address: str) -> int:
        """Add a forward, in place of one that the host's port had before.

        Args:
            key: The host.
            host_port: Port of this machine, or 0 for any free one.
            vm_port: Port of the host.
            address: Address of this machine to listen on.

        Returns:
            The port of this machine.

        Raises:
            InvalidPortError: When a port or the address makes no sense.
            PortInUseError: When the port of this machine is taken.
        """
        validate_host_port(host_port)
        validate_vm_port(vm_port)
        _validate_address(address)
        present = self._forwards.get(key, {}).get(vm_port)
        if host_port == 0 and present is not None and present.address == address:
            return present.host_port
        if host_port == 0:
            host_port = next(
                port
                for port in range(_FIRST_FREE_PORT, 2**16)
                if self._owner(port, address, besides=None) is None
            )
        owner = self._owner(host_port, address, besides=(key, vm_port))
        if owner is not None:
            raise PortInUseError(
                f"port {host_port} of this machine is taken by {owner}",
                hint="Use another port, or 0 for any free one.",
                driver=self._drivername,
                cluster=key.clustername,
                host=key.hostname,
            )
        self._forwards.setdefault(key, {})[vm_port] = PortForward(host_port, vm_port, address)
        return host_port

    def check(self, forward: PortForward) -> None:
        """Make sure that no host and no foreign program has a port.

        Args:
            forward: What shall be forwarded.

        Raises:
            PortInUseError: When the port of this machine is taken.
        """
        owner = self._owner(forward.host_port, forward.address, besides=None)
        if owner is not None:
            raise PortInUseError(
                f"port {forward.host_port} of this machine is taken by {owner}",
                hint="Use another port, or 0 for any free one.",
                driver=self._drivername,
            )

    def unforward(self, key: HostKey, vm_port: int) -> None:
        """Remove a forward.

        Args:
            key: The host.
            vm_port: Port of the host.

        Raises:
            PortNotForwardedError: When there is none.
        """
        if self._forwards.get(key, {}).pop(validate_vm_port(vm_port), None) is None:
            raise self._not_forwarded(key, vm_port)

    def release(self, key: HostKey) -> None:
        """Remove all forwards of a host.

        Args:
            key: The host.
        """
        self._forwards.pop(key, None)

    def of(self, key: HostKey) -> tuple[PortForward, ...]:
        """List the forwards of a host.

        Args:
            key: The host.

        Returns:
            The forwards, ordered by port of this machine.
        """
        return tuple(sorted(self._forwards.get(key, {}).values()))

    def address_of(self, key: HostKey, vm_port: int) -> str:
        """Tell where a port of a host can be reached.

        Args:
            key: The host.
            vm_port: Port of the host.

        Returns:
            ``address:port`` of this machine.

        Raises:
            PortNotForwardedError: When it is not forwarded.
        """
        forward = self._forwards.get(key, {}).get(vm_port)
        if forward is None:
            raise self._not_forwarded(key, vm_port)
        address = LOOPBACK if forward.address == ANY_ADDRESS else forward.address
        return f"{address}:{forward.host_port}"

    def target(self, address: str, host_port: int) -> tuple[HostKey, int] | None:
        """Find where a port of this machine leads to.

        Args:
            address: Address that is connected to.
            host_port: Port that is connected to.

        Returns:
            The host and its port, or None when nothing of ours listens.
        """
        address = LOOPBACK if address == "localhost" else address
        for key, forwards in self._forwards.items():
            for forward in forwards.values():
                if forward.host_port == host_port and forward.address in {address, ANY_ADDRESS}:
                    return key, forward.vm_port
        return None

    def _owner(
        self, host_port: int, address: str, *, besides: tuple[HostKey, int] | None
    ) -> str | None:
        for key, forwards in self._forwards.items():
            for forward in forwards.values():
                conflict = forward.conflicts_with(PortForward(host_port, 0, address))
                if conflict and (key, forward.vm_port) != besides:
                    return f"host {key.hostname} of cluster {key.clustername}"
        return self._faults.port_owner(host_port)

    def _not_forwarded(self, key: HostKey, vm_port: int) -> PortNotForwardedError:
        return PortNotForwardedError(
            f"port {vm_port} of host {key.hostname} is not forwarded",
            hint=f"Call forward_port(0, {vm_port}) on the host first.",
            driver=self._drivername,
            cluster=key.clustername,
            host=key.hostname,
        )


def _validate_address(address: str) -> None:
    try:
        known = address == ANY_ADDRESS or IPv4Address(address).is_loopback
    except AddressValueError:
        known = False
    if not known:
        raise InvalidPortError(
            f"{address!r} is not an IPv4 address of this machine",
            hint=f'Use "{LOOPBACK}", or "{ANY_ADDRESS}" to be reached from other machines.',
        )
