"""One host: started, stopped, asked, forwarded to."""

from __future__ import annotations

import anyio
import anyio.to_thread

from kutti_sdk.core.errors import (
    HostNotFoundError,
    HostNotRunningError,
    HostRunningError,
    NotEnoughMemoryError,
    PortInUseError,
    StateChangeTimeoutError,
)
from kutti_sdk.core.events import report
from kutti_sdk.core.host import DEFAULT_STOP_TIMEOUT, HostSize, HostUsage, VMHost
from kutti_sdk.core.ports import ANY_ADDRESS, LOOPBACK, SSH_PORT, PortForward
from kutti_sdk.core.ssh import SSHClient, SSHCredentials
from kutti_sdk.core.status import HostStatus
from kutti_sdk.drivers.qemu import capacity, forwards, layout, lifecycle, records, suspended
from kutti_sdk.drivers.qemu.checkpoints.standstill import settle
from kutti_sdk.drivers.qemu.console import read_console
from kutti_sdk.drivers.qemu.enrolment import EnrollingSSHClient
from kutti_sdk.drivers.qemu.records import HostRecord
from kutti_sdk.drivers.qemu.starting import start_host
from kutti_sdk.drivers.qemu.usage import host_usage
from kutti_sdk.runtime import processes
from kutti_sdk.runtime.locks import locked
from kutti_sdk.runtime.tasks import interruptible
from kutti_sdk.ssh.client import AsyncSSHClient
from kutti_sdk.ssh.keys import cluster_key_pair


class QemuHost(VMHost):
    """A virtual machine run by QEMU.

    Args:
        record: What is stored about it.
    """

    def __init__(self, record: HostRecord) -> None:
        self._known = record

    @property
    def name(self) -> str:
        """The host's name."""
        return self._known.name

    @property
    def networkname(self) -> str:
        """Name of its network."""
        return self._known.networkname

    @property
    def clustername(self) -> str:
        """Name of its cluster."""
        return self._known.clustername

    @property
    def k8s_version(self) -> str:
        """Kubernetes version of its image."""
        return self._known.k8s_version

    @property
    def size(self) -> HostSize:
        """CPUs, memory and disk."""
        return self._known.size

    @property
    def ip_address(self) -> str:
        """Its address inside the network."""
        return self._known.address

    def __repr__(self) -> str:
        return f"<QemuHost {self.clustername}/{self.name} {self.ip_address}>"

    async def status(self) -> HostStatus:
        """Ask QEMU what state the host is in."""
        return await lifecycle.host_status(await self._record())

    @interruptible
    async def start(self) -> None:
        """Start the host; see `VMHost.start`."""
        record = await self._record()
        network = await records.load_network(record.networkname)
        layout.make_socket_folders(network.sockets)
        async with locked(network.sockets.lock(record.id)):
            record = await self._record()
            await settle(network, record)
            if lifecycle.host_process(record) is not None:
                raise HostRunningError(
                    f"host {self.name!r} runs already", driver="qemu", host=self.name
                )
            report("start", f"starting {self.name}", cluster=self.clustername, host=self.name)
            try:
                await capacity.check_memory([record.size])
            except NotEnoughMemoryError as error:
                error.host = self.name
                raise
            await start_host(network, record)

    @interruptible
    async def stop(self, timeout: float = DEFAULT_STOP_TIMEOUT) -> None:
        """Shut the host down from inside; see `VMHost.stop`."""
        record = await self._record()
        identity = lifecycle.host_process(record)
        # One that stands still does not hear that it shall shut down.
        if identity is None or await lifecycle.host_status(record) is HostStatus.SUSPENDED:
            raise HostNotRunningError(
                f"host {self.name!r} does not run", driver="qemu", host=self.name
            )
        report("stop", f"shutting {self.name} down", cluster=self.clustername, host=self.name)
        with anyio.move_on_after(timeout):
            await lifecycle.shut_down(record, identity)
        if processes.is_alive(identity):
            raise StateChangeTimeoutError(
                f"host {self.name!r} did not shut down within {timeout:.0f} s",
                hint="It still runs. Wait longer, or use force_stop().",
                driver="qemu",
                host=self.name,
            )
        await lifecycle.rest_services(record.networkname)

    @interruptible
    async def force_stop(self) -> None:
        """Stop the host at once; see `VMHost.force_stop`."""
        record = await self._record()
        identity = lifecycle.host_process(record)
        if identity is not None:
            await processes.terminate(identity)
            await lifecycle.rest_services(record.networkname)
        if await suspended.is_left(record):
            network = await records.load_network(record.networkname)
            layout.make_socket_folders(network.sockets)
            async with locked(network.sockets.lock(record.id)):
                await anyio.to_thread.run_sync(suspended.drop_suspension, record.files)

    @interruptible
    async def wait_for_state_change(
        self, timeout: float | None = None, *, since: HostStatus | None = None
    ) -> HostStatus:
        """Wait until the host is in another state; see `VMHost.wait_for_state_change`."""
        left = await self.status() if since is None else since
        with anyio.move_on_after(timeout):
            while True:
                record = await self._record()
                status = await lifecycle.host_status(record)
                if status != left:
                    return status
                await lifecycle.wait_for_event(record)
        raise StateChangeTimeoutError(
            f"host {self.name!r} was still {left} after {timeout:.0f} s",
            driver="qemu",
            host=self.name,
        )

    async def ssh_address(self) -> str:
        """Tell the forwarded port of its SSH server; see `VMHost.ssh_address`."""
        record = await self._record()
        for forward in record.forwards:
            if forward.vm_port == SSH_PORT:
                await lifecycle.heal_services(record)
                address = LOOPBACK if forward.address == ANY_ADDRESS else forward.address
                return f"{address}:{forward.host_port}"
        error = forwards.not_forwarded(record, SSH_PORT)
        error.hint = "Call forward_ssh_port() first."
        raise error

    async def ssh_credentials(self) -> SSHCredentials:
        """Tell how to log in: with the cluster's key, to the host that has the known key."""
        record = await self._record()
        keys = await cluster_key_pair(record.clustername)
        return SSHCredentials(
            username=record.ssh_user, private_key=keys.private_path, host_key=record.host_key
        )

    async def ssh_client(self) -> SSHClient:
        """Give a client that can log in to this host; enrols it where that is to be done."""
        record, credentials = await self._record(), await self.ssh_credentials()
        if await anyio.Path(record.files.enrolment).exists():
            return EnrollingSSHClient(credentials, record)
        return AsyncSSHClient(credentials, host=self.name)

    async def progress_mark(self) -> int:
        """Tell how much it has read from its disk; see `VMHost.progress_mark`."""
        return await lifecycle.bytes_read(await self._record())

    @interruptible
    async def forward_port(self, host_port: int, vm_port: int, *, address: str = LOOPBACK) -> int:
        """Let a port of this machine lead to a port of the host; see `VMHost.forward_port`."""
        record = await self._record()
        await lifecycle.heal_services(record)
        wanted = PortForward(host_port, vm_port, address)
        try:
            return (await forwards.add_forward(record, wanted)).host_port
        except PortInUseError as error:
            error.host = self.name
            raise

    @interruptible
    async def unforward_port(self, vm_port: int) -> None:
        """Undo `forward_port`."""
        await forwards.remove_forward(await self._record(), vm_port)

    async def forwards(self) -> tuple[PortForward, ...]:
        """List the ports of this machine that lead to the host."""
        return tuple(sorted((await self._record()).forwards))

    async def console(self, lines: int = 20) -> str:
        """Read what the host wrote to its serial console."""
        record = await self._record()
        return await anyio.to_thread.run_sync(read_console, record.files.console, lines)

    async def usage(self) -> HostUsage | None:
        """Look at the QEMU process; memory is what it really occupies."""
        return await anyio.to_thread.run_sync(host_usage, await self._record())

    async def _record(self) -> HostRecord:
        record = await records.load_host(self.name, self.networkname, self.clustername)
        if record.uuid != self._known.uuid:
            raise HostNotFoundError(
                f"host {self.name!r} was deleted; another one has its name now",
                hint="Get it anew with get_host.",
                driver="qemu",
                host=self.name,
            )
        return record
