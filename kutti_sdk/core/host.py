"""The contract of a host: a virtual machine that is, or will be, a Kubernetes node."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator
from dataclasses import dataclass

from kutti_sdk.core.display import Displayed
from kutti_sdk.core.errors import InvalidSizeError
from kutti_sdk.core.ports import LOOPBACK, SSH_PORT, PortForward
from kutti_sdk.core.sizes import GiB, MiB, format_size, parse_size
from kutti_sdk.core.ssh import SSHClient, SSHCredentials
from kutti_sdk.core.status import HostStatus

DEFAULT_STOP_TIMEOUT = 90.0
"""Seconds that a host may take to shut down; a busy emulated one needs tens of them."""

_DEFAULT_CPUS = 2
_DEFAULT_MEMORY = 1 * GiB
_DEFAULT_DISK = 20 * GiB
_SMALLEST_MEMORY = 128 * MiB
_SMALLEST_DISK = 64 * MiB
_MOST_CPUS = 255  # what QEMU's pc machine can have


@dataclass(frozen=True, slots=True)
class HostSize:
    """How large a host is.

    Attributes:
        cpus: Number of virtual CPUs.
        memory: Bytes of memory.
        disk: Bytes that its disk may grow to.
    """

    cpus: int = _DEFAULT_CPUS
    memory: int = _DEFAULT_MEMORY
    disk: int = _DEFAULT_DISK

    @classmethod
    def parse(
        cls,
        cpus: int | None = None,
        memory: int | str | None = None,
        disk: int | str | None = None,
    ) -> HostSize:
        """Read a size from what a user wrote.

        Args:
            cpus: Number of virtual CPUs; default 2.
            memory: Bytes or a text such as ``"2GiB"``; default 1 GiB.
            disk: Bytes or a text such as ``"20GiB"``; default 20 GiB.

        Returns:
            The size.

        Raises:
            InvalidSizeError: When a number makes no sense for any machine.
        """
        cpus = _DEFAULT_CPUS if cpus is None else cpus
        if not isinstance(cpus, int) or isinstance(cpus, bool) or not 1 <= cpus <= _MOST_CPUS:
            raise InvalidSizeError(
                f"{cpus!r} is not a number of CPUs", hint=f"Use 1 to {_MOST_CPUS}."
            )
        size = cls(
            cpus,
            _DEFAULT_MEMORY if memory is None else parse_size(memory, "memory"),
            _DEFAULT_DISK if disk is None else parse_size(disk, "disk"),
        )
        for what, number, smallest in (
            ("memory", size.memory, _SMALLEST_MEMORY),
            ("disk", size.disk, _SMALLEST_DISK),
        ):
            if number < smallest:
                raise InvalidSizeError(
                    f"{what} of {format_size(number)} is too small for a host",
                    hint=f"Use {format_size(smallest)} or more.",
                )
        return size

    def __str__(self) -> str:
        return (
            f"{self.cpus} CPU{'s' if self.cpus > 1 else ''}, "
            f"{format_size(self.memory)} memory, {format_size(self.disk)} disk"
        )


@dataclass(frozen=True, slots=True)
class HostUsage:
    """What a running host takes of this machine.

    Attributes:
        uptime: Seconds since it was started.
        cpu_time: Seconds of CPU time it has used since then; two readings tell the load.
        memory: Bytes of memory that it really occupies.
        shared: How many of them other processes have as well, as clones of one checkpoint
            do; None when the driver cannot tell.
    """

    uptime: float
    cpu_time: float
    memory: int
    shared: int | None = None


class VMHost(Displayed, ABC):
    """A virtual machine in a network, identified by its name, network and cluster.

    A handle holds no connection and no state of the machine: every method asks
    the hypervisor, so that any number of handles, in any number of processes,
    may name one host.
    """

    @property
    @abstractmethod
    def name(self) -> str:
        """The host's name, which is its host name inside as well."""

    @property
    @abstractmethod
    def networkname(self) -> str:
        """Name of the network it is in."""

    @property
    @abstractmethod
    def clustername(self) -> str:
        """Name of the cluster it belongs to."""

    @property
    @abstractmethod
    def k8s_version(self) -> str:
        """Kubernetes version of the image it was made from."""

    @property
    @abstractmethod
    def size(self) -> HostSize:
        """CPUs, memory and disk."""

    @property
    @abstractmethod
    def ip_address(self) -> str:
        """Its address inside the network, fixed for its life."""

    @abstractmethod
    async def status(self) -> HostStatus:
        """Ask the hypervisor what state the host is in.

        Returns:
            The status now; never one that was kept.
        """

    @abstractmethod
    async def start(self) -> None:
        """Start the host; returns when it runs, not when its SSH server answers.

        A suspended host goes on where it was.

        Raises:
            HostRunningError: When it runs already.
            NotEnoughMemoryError: When this machine has not got the memory.
            HypervisorError: When the hypervisor could not start it.
        """

    @abstractmethod
    async def stop(self, timeout: float = DEFAULT_STOP_TIMEOUT) -> None:
        """Shut the host down from inside; returns when it is stopped.

        Args:
            timeout: Seconds to wait for it.

        Raises:
            HostNotRunningError: When it does not run.
            StateChangeTimeoutError: When it still runs after the time; it goes on running.
        """

    @abstractmethod
    async def force_stop(self) -> None:
        """Stop the host at once, as if its power had failed; nothing to do when stopped.

        A suspended host loses what was in its memory, and boots at its next start.
        """

    @abstractmethod
    async def wait_for_state_change(
        self, timeout: float | None = None, *, since: HostStatus | None = None
    ) -> HostStatus:
        """Wait until the host is in another state.

        Args:
            timeout: Seconds to wait; None for as long as it takes.
            since: The state to be left; the present one when None.

        Returns:
            The new status.

        Raises:
            StateChangeTimeoutError: When nothing changed in the time.
        """

    def watch(self) -> AsyncIterator[HostStatus]:
        """Follow the host's state until the caller stops iterating.

        Returns:
            An iterator over the status now, then every new status. It holds nothing,
            so that it may be left at any time, without closing it.
        """
        return _StatusChanges(self)

    @abstractmethod
    async def ssh_address(self) -> str:
        """Tell where its SSH server can be reached from this machine.

        Returns:
            ``address:port``.

        Raises:
            PortNotForwardedError: When the driver requires port forwarding and port 22
                is not forwarded.
        """

    @abstractmethod
    async def ssh_credentials(self) -> SSHCredentials:
        """Tell how to log in, and which host key proves the host.

        Returns:
            The credentials.
        """

    @abstractmethod
    async def ssh_client(self) -> SSHClient:
        """Give a client that can log in to this host; making one costs nothing.

        Returns:
            The client.
        """

    async def progress_mark(self) -> int:
        """Tell by a number that changes whether a host is at work that it says nothing of.

        A host that has not got ready yet, and whose console is silent, is not given up
        for as long as this changes. There need not be such a number.

        Returns:
            The number; here always 0.
        """
        return 0

    @abstractmethod
    async def forward_port(self, host_port: int, vm_port: int, *, address: str = LOOPBACK) -> int:
        """Let a port of this machine lead to a port of the host, now and after restarts.

        Args:
            host_port: Port of this machine, or 0 for any free one.
            vm_port: Port of the host; a forward it had before is replaced.
            address: Address of this machine to listen on.

        Returns:
            The port of this machine.

        Raises:
            InvalidPortError: When a port is out of range.
            PortInUseError: When the port of this machine is taken; names by whom.
        """

    @abstractmethod
    async def unforward_port(self, vm_port: int) -> None:
        """Undo `forward_port`.

        Args:
            vm_port: Port of the host.

        Raises:
            PortNotForwardedError: When it is not forwarded.
        """

    async def forward_ssh_port(self, host_port: int = 0) -> int:
        """Let a port of this machine lead to the host's SSH server.

        Args:
            host_port: Port of this machine, or 0 for any free one.

        Returns:
            The port of this machine.

        Raises:
            InvalidPortError: When the port is out of range.
            PortInUseError: When the port of this machine is taken.
        """
        return await self.forward_port(host_port, SSH_PORT)

    @abstractmethod
    async def forwards(self) -> tuple[PortForward, ...]:
        """List the ports of this machine that lead to the host.

        Returns:
            The forwards, ordered by port of this machine.
        """

    @abstractmethod
    async def console(self, lines: int = 20) -> str:
        """Read what the host wrote to its serial console.

        Args:
            lines: How many of the last lines.

        Returns:
            The lines; empty when it has not started yet.
        """

    async def usage(self) -> HostUsage | None:
        """Tell what the host takes of this machine.

        Returns:
            What it takes now; None when it does not run, or the driver cannot tell.
        """
        return None


class _StatusChanges(AsyncIterator[HostStatus]):
    # Not an async generator: trio complains about those that nobody closes.
    def __init__(self, host: VMHost) -> None:
        self._host = host
        self._status: HostStatus | None = None

    async def __anext__(self) -> HostStatus:
        if self._status is None:
            self._status = await self._host.status()
        else:
            self._status = await self._host.wait_for_state_change(since=self._status)
        return self._status
