"""One node of a cluster, to be looked at and driven."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from os import PathLike
from typing import TYPE_CHECKING

from kutti_sdk.clusters.readiness import DEFAULT_STALL_TIMEOUT, wait_until_reachable
from kutti_sdk.clusters.watching import NodeChanges
from kutti_sdk.core.display import Displayed
from kutti_sdk.core.errors import CommandFailedError
from kutti_sdk.core.host import DEFAULT_STOP_TIMEOUT, VMHost
from kutti_sdk.core.ports import LOOPBACK, PortForward
from kutti_sdk.core.ssh import CommandResult, RunningCommand, SSHClient
from kutti_sdk.core.status import HostStatus
from kutti_sdk.runtime.tasks import interruptible

if TYPE_CHECKING:
    from kutti_sdk.clusters.cluster import Cluster


class Node(Displayed):
    """A node: holds its name and its cluster's, and asks for everything else.

    Methods raise HostNotFoundError when the node's host does not exist, or not yet.

    Args:
        cluster: Its cluster.
        name: Its name.
    """

    def __init__(self, cluster: Cluster, name: str) -> None:
        self._cluster = cluster
        self._name = name

    @property
    def name(self) -> str:
        """Its name, which is its host name inside as well."""
        return self._name

    @property
    def cluster(self) -> Cluster:
        """Its cluster."""
        return self._cluster

    async def host(self) -> VMHost:
        """Give the driver's handle of its host.

        Returns:
            The host.

        Raises:
            HostNotFoundError: When there is none.
        """
        name = self._cluster.name
        return await self._cluster.spec.find_driver().get_host(self._name, name, name)

    async def status(self) -> HostStatus:
        """Ask the hypervisor what state the node is in.

        Returns:
            The status now.
        """
        return await (await self.host()).status()

    @interruptible
    async def start(self, *, stall_timeout: float = DEFAULT_STALL_TIMEOUT) -> None:
        """Start the node; returns when it answers over SSH.

        Args:
            stall_timeout: Seconds that its console may be silent.

        Raises:
            HostRunningError: When it runs already.
            ResourceError: When this machine has not got the memory or CPUs.
            HypervisorError: When it could not be started, or stopped meanwhile.
            ReadyTimeoutError: When it stalled; it goes on running.
        """
        host = await self.host()
        await host.start()
        await wait_until_reachable(host, stall_timeout=stall_timeout)

    @interruptible
    async def wait_until_ready(self, *, stall_timeout: float = DEFAULT_STALL_TIMEOUT) -> None:
        """Wait until the running node answers over SSH.

        Args:
            stall_timeout: Seconds that its console may be silent.

        Raises:
            HypervisorError: When it does not run, or stops meanwhile.
            ReadyTimeoutError: When it stalled; it goes on running.
        """
        await wait_until_reachable(await self.host(), stall_timeout=stall_timeout)

    @interruptible
    async def stop(self, timeout: float = DEFAULT_STOP_TIMEOUT) -> None:
        """Shut the node down from inside; returns when it is stopped.

        Args:
            timeout: Seconds to wait for it.

        Raises:
            HostNotRunningError: When it does not run.
            StateChangeTimeoutError: When it still runs after the time; it goes on running.
        """
        await (await self.host()).stop(timeout)

    @interruptible
    async def force_stop(self) -> None:
        """Stop the node at once, as if its power had failed; nothing to do when stopped."""
        await (await self.host()).force_stop()

    async def delete(self) -> None:
        """Remove the node, its disk and its place in the cluster's spec for good.

        Raises:
            ClusterNotFoundError: When its cluster does not exist any more.
            InvalidSpecError: When the cluster has no such node, or no other.
        """
        await self._cluster.remove_node(self._name)

    @interruptible
    async def run(
        self,
        command: str,
        *,
        timeout: float | None = None,
        check: bool = False,
        stdin: str | None = None,
    ) -> CommandResult:
        """Run a command on the node and collect its output.

        Args:
            command: A shell command line.
            timeout: Seconds it may take; None for as long as it takes.
            check: Raise an error when the exit status is not 0.
            stdin: Text for its standard input; None for none.

        Returns:
            The result; its `host` is the node's name.

        Raises:
            SSHConnectionError: When the node could not be reached or the line was lost.
            CommandTimeoutError: When it took longer; it is terminated first.
            CommandFailedError: With `check`, when the exit status is not 0.
        """
        ssh, address = await self._ssh()
        answer = await ssh.run_with_results(address, command, stdin=stdin, timeout=timeout)
        result = replace(answer, host=self._name)
        if check and not result.ok:
            raise CommandFailedError(result, host=self._name)
        return result

    @asynccontextmanager
    async def stream(
        self, command: str, *, stdin: str | None = None
    ) -> AsyncIterator[RunningCommand]:
        """Run a command and follow its output; leaving the block terminates it.

        Args:
            command: A shell command line.
            stdin: Text for its standard input; None for none.

        Yields:
            The running command; iterate over it.

        Raises:
            SSHConnectionError: When the node could not be reached or the line was lost.
        """
        ssh, address = await self._ssh()
        async with ssh.stream(address, command, stdin=stdin) as running:
            yield running

    @interruptible
    async def shell(self, command: str | None = None) -> int:
        """Connect this terminal to a shell on the node until the shell ends.

        Args:
            command: A command to run in a terminal instead of the log-in shell.

        Returns:
            The exit status.

        Raises:
            SSHError: When this process has no terminal.
        """
        ssh, address = await self._ssh()
        return await ssh.run_interactive_shell(address, command)

    @interruptible
    async def put(self, local: str | PathLike[str], remote: str, *, recurse: bool = False) -> None:
        """Copy a file, or with `recurse` a folder, to the node.

        Args:
            local: File or folder here.
            remote: Path there.
            recurse: Copy folders with all that is in them.

        Raises:
            FileTransferError: When it could not be copied.
        """
        ssh, address = await self._ssh()
        await ssh.put(address, local, remote, recurse=recurse)

    @interruptible
    async def get(self, remote: str, local: str | PathLike[str], *, recurse: bool = False) -> None:
        """Copy a file, or with `recurse` a folder, from the node.

        Args:
            remote: File or folder there.
            local: Path here.
            recurse: Copy folders with all that is in them.

        Raises:
            FileTransferError: When it could not be copied.
        """
        ssh, address = await self._ssh()
        await ssh.get(address, remote, local, recurse=recurse)

    @interruptible
    async def forward(self, host_port: int = 0, *, to: int, address: str = LOOPBACK) -> int:
        """Let a port of this machine lead to a port of the node, now and after restarts.

        `ensure` leaves a forward that was made so alone, unless its spec names the
        same port of the node.

        Args:
            host_port: Port of this machine, or 0 for any free one.
            to: Port of the node; a forward to it that was there is replaced.
            address: IPv4 address of this machine to listen on.

        Returns:
            The port of this machine.

        Raises:
            InvalidPortError: When a port or the address makes no sense.
            PortInUseError: When the port of this machine is taken; names by whom.
        """
        return await (await self.host()).forward_port(host_port, to, address=address)

    @interruptible
    async def unforward(self, *, to: int) -> None:
        """Undo `forward`; one that the spec names comes back with the next `ensure`.

        Args:
            to: Port of the node.

        Raises:
            PortNotForwardedError: When it is not forwarded.
        """
        await (await self.host()).unforward_port(to)

    async def forwards(self) -> tuple[PortForward, ...]:
        """List the ports of this machine that lead to the node.

        Returns:
            The forwards, ordered by port of this machine.
        """
        return await (await self.host()).forwards()

    async def ssh_address(self) -> str:
        """Tell where the node's SSH server can be reached from this machine.

        Returns:
            ``address:port``.

        Raises:
            PortNotForwardedError: When it cannot, for want of a forwarded port.
        """
        return await (await self.host()).ssh_address()

    async def ip_address(self) -> str:
        """Tell the node's address inside the cluster's network, fixed for its life.

        Returns:
            The address.
        """
        return (await self.host()).ip_address

    async def logs(self, lines: int = 20) -> str:
        """Read what the node wrote to its console.

        Args:
            lines: How many of the last lines.

        Returns:
            The lines; empty when it has not started yet.
        """
        return await (await self.host()).console(lines)

    def watch(self) -> AsyncIterator[HostStatus]:
        """Follow the node's state until the caller stops iterating.

        Returns:
            An iterator over the status now, then every new status.
        """
        return NodeChanges(self.host)

    def __repr__(self) -> str:
        return f"<Node {self._name} of cluster {self._cluster.name}>"

    async def _ssh(self) -> tuple[SSHClient, str]:
        host = await self.host()
        return await host.ssh_client(), await host.ssh_address()
