"""The handle of a simulated host."""

from __future__ import annotations

from kutti_sdk.core.errors import (
    HostNotFoundError,
    HostNotRunningError,
    HostRunningError,
    StateChangeTimeoutError,
)
from kutti_sdk.core.events import report
from kutti_sdk.core.host import DEFAULT_STOP_TIMEOUT, HostSize, HostUsage, VMHost
from kutti_sdk.core.ports import LOOPBACK, SSH_PORT, PortForward
from kutti_sdk.core.ssh import SSHClient, SSHCredentials
from kutti_sdk.core.status import AT_REST, HostStatus
from kutti_sdk.drivers.simulated.machine import HostKey, Machine
from kutti_sdk.drivers.simulated.ssh import SimulatedSSHClient
from kutti_sdk.drivers.simulated.world import World


class SimulatedHost(VMHost):
    """A host of a simulated world; any number of handles may name one host.

    Args:
        world: The world.
        machine: The machine; once it is deleted, every method says so.
    """

    def __init__(self, world: World, machine: Machine) -> None:
        self._world = world
        self._key: HostKey = machine.key
        self._known = machine

    @property
    def name(self) -> str:
        """The host's name."""
        return self._key.hostname

    @property
    def networkname(self) -> str:
        """Name of its network."""
        return self._key.networkname

    @property
    def clustername(self) -> str:
        """Name of its cluster."""
        return self._key.clustername

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
        return self._known.ip_address

    def __repr__(self) -> str:
        return f"<SimulatedHost {self.clustername}/{self.name} {self.ip_address}>"

    async def status(self) -> HostStatus:
        """Look at the machine; see `VMHost.status`."""
        await self._world.begin("status", self._key)
        return self._machine().status

    async def start(self) -> None:
        """Switch the host on, which takes `SimulatedTimings.start`; see `VMHost.start`."""
        timings, machine = self._world.timings, self._stopped_machine()
        await self._world.begin("start", self._key)
        self._report("start", f"starting {self.name}")
        suspended = machine.status is HostStatus.SUSPENDED
        await self._world.clock.sleep(timings.restore if suspended else timings.start)
        with self._world.clock.lock:
            machine = self._stopped_machine()  # somebody else may have been faster
            self._world.check_memory([machine.size])
            machine.power_on(self._world.faults.take_crashes(self._key.subject))

    async def stop(self, timeout: float = DEFAULT_STOP_TIMEOUT) -> None:
        """Press the power button; a host that boots heeds it when it is up; see `VMHost.stop`."""
        machine = self._running_machine()
        run = machine.boots
        clock, ends = self._world.clock, self._world.clock.now() + timeout
        self._report("stop", f"shutting down {self.name}")
        heard = await self._world.begin("stop", self._key, timeout=timeout)
        if heard and await clock.wait_for(
            lambda: machine.booted or not machine.runs(run) or None, ends - clock.now()
        ):
            machine.press_power_button()
            if await clock.wait_for(lambda: not machine.runs(run) or None, ends - clock.now()):
                return
        raise StateChangeTimeoutError(
            f"host {self.name!r} did not shut down within {timeout:g} s",
            hint="It goes on running. Look at its console(), wait longer, or use force_stop().",
            driver=self._world.drivername,
            cluster=self.clustername,
            host=self.name,
        )

    async def force_stop(self) -> None:
        """Pull the plug; see `VMHost.force_stop`."""
        self._machine()
        await self._world.begin("force_stop", self._key)
        with self._world.clock.lock:
            machine = self._machine()
            if machine.status is not HostStatus.STOPPED:
                machine.power_off()

    async def wait_for_state_change(
        self, timeout: float | None = None, *, since: HostStatus | None = None
    ) -> HostStatus:
        """Wait for an event; see `VMHost.wait_for_state_change`."""
        before = self._machine().status if since is None else since
        await self._world.begin("wait_for_state_change", self._key)

        def change() -> HostStatus | None:
            gone = self._known.removed
            return self._known.status if gone or self._known.status is not before else None

        status = await self._world.clock.wait_for(change, timeout)
        self._machine()
        if status is None:
            raise StateChangeTimeoutError(
                f"host {self.name} was {before} for all of {timeout:g} s",
                driver=self._world.drivername,
                cluster=self.clustername,
                host=self.name,
            )
        return status

    async def ssh_address(self) -> str:
        """Tell the forwarded port of its SSH server; see `VMHost.ssh_address`."""
        await self._world.begin("ssh_address", self._key)
        self._machine()
        return self._world.ports.address_of(self._key, SSH_PORT)

    async def ssh_credentials(self) -> SSHCredentials:
        """Tell how to log in, for which nothing is needed here."""
        await self._world.begin("ssh_credentials", self._key)
        self._machine()
        return SSHCredentials()

    async def ssh_client(self) -> SSHClient:
        """Give a client that can log in to this host."""
        self._machine()
        return SimulatedSSHClient(self._world, self._key)

    async def forward_port(self, host_port: int, vm_port: int, *, address: str = LOOPBACK) -> int:
        """Note a forward; nothing really listens; see `VMHost.forward_port`."""
        await self._world.begin("forward_port", self._key)
        with self._world.clock.lock:
            self._machine()
            port = self._world.ports.forward(self._key, host_port, vm_port, address)
            self._world.clock.changed()
        return port

    async def unforward_port(self, vm_port: int) -> None:
        """Undo `forward_port`."""
        await self._world.begin("unforward_port", self._key)
        with self._world.clock.lock:
            self._machine()
            self._world.ports.unforward(self._key, vm_port)

    async def forwards(self) -> tuple[PortForward, ...]:
        """List the ports of this machine that lead to the host."""
        await self._world.begin("forwards", self._key)
        self._machine()
        return self._world.ports.of(self._key)

    async def console(self, lines: int = 20) -> str:
        """Read what the host wrote to its console; see `VMHost.console`."""
        await self._world.begin("console", self._key)
        return "\n".join(self._machine().console[-lines:] if lines > 0 else [])

    async def usage(self) -> HostUsage | None:
        """Tell what such a machine would take; see `VMHost.usage`."""
        await self._world.begin("usage", self._key)
        return self._machine().usage()

    def _machine(self) -> Machine:
        machine = self._world.machine(self._key)
        if machine is not self._known:
            raise HostNotFoundError(
                f"host {self.name!r} was deleted; another one has its name now",
                hint="Get it anew with get_host.",
                driver=self._world.drivername,
                cluster=self.clustername,
                host=self.name,
            )
        return machine

    def _stopped_machine(self) -> Machine:
        machine = self._machine()
        if machine.status not in AT_REST:
            raise HostRunningError(
                f"host {self.name!r} runs already",
                driver=self._world.drivername,
                cluster=self.clustername,
                host=self.name,
            )
        return machine

    def _running_machine(self) -> Machine:
        machine = self._machine()
        if machine.status is not HostStatus.RUNNING:
            raise HostNotRunningError(
                f"host {self.name!r} does not run",
                hint="Start it first.",
                driver=self._world.drivername,
                cluster=self.clustername,
                host=self.name,
            )
        return machine

    def _report(self, phase: str, message: str) -> None:
        report(phase, message, cluster=self.clustername, host=self.name)
