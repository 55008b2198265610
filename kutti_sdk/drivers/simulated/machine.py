"""One simulated virtual machine: its states, its console, its disk."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from kutti_sdk.core.host import HostSize, HostUsage
from kutti_sdk.core.names import validate_name
from kutti_sdk.core.status import HostStatus
from kutti_sdk.drivers.simulated.clock import SimulatedClock
from kutti_sdk.drivers.simulated.effects import Crash, Subject
from kutti_sdk.drivers.simulated.files import FileTree

_IDLE_LOAD = 0.03  # of a CPU
_MEMORY = 0.4  # of its size


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulatedTimings:
    """How long things take in a simulated world, in simulated seconds.

    Attributes:
        create_host: Making a host.
        start: From `VMHost.start` until the machine runs.
        boot: From then until its SSH server answers.
        stop: From the wish to shut down until it is off.
        save: Saving a checkpoint, or suspending.
        restore: Bringing a saved cluster back, or a copy of it to life; starting a suspended
            host.
        command: A command on a host, at least.
        image_list: Getting the image list.
        bandwidth: Bytes per second of a download.
    """

    create_host: float = 0.1
    start: float = 1.0
    boot: float = 10.0
    stop: float = 2.0
    save: float = 2.0
    restore: float = 1.0
    command: float = 0.05
    image_list: float = 1.0
    bandwidth: int = 20_000_000


class HostKey(NamedTuple):
    """What identifies a host; sorts as hosts are listed."""

    clustername: str
    networkname: str
    hostname: str

    @classmethod
    def parse(cls, hostname: str, networkname: str, clustername: str) -> HostKey:
        """Take the names of a host.

        Args:
            hostname: Its name.
            networkname: Name of its network.
            clustername: Name of its cluster.

        Returns:
            The key.

        Raises:
            InvalidNameError: When a name is not valid.
        """
        return cls(
            validate_name(clustername, "cluster name"),
            validate_name(networkname, "network name"),
            validate_name(hostname, "host name"),
        )

    @property
    def subject(self) -> Subject:
        """The host as the subject of faults."""
        return Subject(host=self.hostname, cluster=self.clustername, network=self.networkname)


@dataclass(frozen=True, slots=True)
class SavedMachine:
    """A running machine as it was at one instant.

    Attributes:
        key: What identified its host.
        k8s_version: Version of its image.
        size: CPUs, memory and disk.
        ip_address: Its address in its network.
        console: What it had written to its console.
        files: A copy of its files, never changed.
    """

    key: HostKey
    k8s_version: str
    size: HostSize
    ip_address: str
    console: tuple[str, ...]
    files: FileTree

    @property
    def memory(self) -> int:
        """Bytes that its memory takes."""
        return int(self.size.memory * _MEMORY)


class Machine:
    """A virtual machine that is switched on and off, boots, shuts down and crashes.

    Args:
        key: What identifies the host.
        k8s_version: Version of its image.
        size: CPUs, memory and disk.
        ip_address: Its address in its network.
        clock: The clock of the world.
        timings: How long things take.
        on_change: Called with the machine after every change of its status.
    """

    def __init__(
        self,
        key: HostKey,
        k8s_version: str,
        size: HostSize,
        ip_address: str,
        *,
        clock: SimulatedClock,
        timings: SimulatedTimings,
        on_change: Callable[[Machine], None],
    ) -> None:
        self.key = key
        self.k8s_version = k8s_version
        self.size = size
        self.ip_address = ip_address
        self.status = HostStatus.STOPPED
        self.booted = False
        """Whether the system inside is up: it serves SSH and heeds the power button."""
        self.boots = 0
        """How often it was switched on; tells a connection that its host is another now."""
        self.removed = False
        self.console: list[str] = []
        self.files = FileTree()
        self.files.write("/etc/hostname", f"{key.hostname}\n".encode())
        self._clock = clock
        self._timings = timings
        self._on_change = on_change
        self._started_at = 0.0
        self._shutting_down = False
        self._plans: list[Callable[[], None]] = []

    @property
    def uptime(self) -> float:
        """Simulated seconds since it was switched on."""
        return self._clock.now() - self._started_at

    def usage(self) -> HostUsage | None:
        """Tell what it takes: all of its time while it boots, next to nothing afterwards.

        Returns:
            What it takes; None when it is off.
        """
        if self.status is not HostStatus.RUNNING:
            return None
        idle = max(0.0, self.uptime - self._timings.boot)
        busy = self.uptime - idle
        return HostUsage(self.uptime, busy + _IDLE_LOAD * idle, int(self.size.memory * _MEMORY))

    def runs(self, run: int) -> bool:
        """Tell whether it still runs since it was switched on for a certain time.

        Args:
            run: The number of that time, from `boots`.

        Returns:
            False when it was off since.
        """
        return self.status is HostStatus.RUNNING and self.boots == run

    def power_on(self, crashes: list[Crash]) -> None:
        """Switch it on; it boots while time passes, or goes on when it was suspended.

        Args:
            crashes: What shall happen to it while it runs.
        """
        self.boots += 1
        self._started_at = self._clock.now()
        if self.status is HostStatus.SUSPENDED:
            self.booted = True
        else:
            self.console.append(
                f"[    0.000000] Linux version simulated, booting {self.key.hostname}"
            )
            self._plans.append(self._clock.call_later(self._timings.boot, self._finish_boot))
        self._become(HostStatus.RUNNING)
        for crash in crashes:
            self.plan_crash(crash)

    def save(self) -> SavedMachine:
        """Copy what it is at this instant; it runs on.

        Returns:
            The copy.
        """
        return SavedMachine(
            *(self.key, self.k8s_version, self.size, self.ip_address),
            *(tuple(self.console), self.files.copy()),
        )

    def go_on_from(self, saved: SavedMachine) -> None:
        """Become a saved machine, and run: there is nothing to boot.

        Args:
            saved: What it was, or another of which it is a copy.
        """
        self.power_off()
        self.console = list(saved.console)
        self.files = saved.files.copy()
        self.boots += 1  # connections to what it was before are lost
        self._started_at = self._clock.now()
        self.booted = True
        self._become(HostStatus.RUNNING)

    def suspend(self) -> None:
        """Leave the memory of this machine, and keep what was in its own."""
        self._switch_off(HostStatus.SUSPENDED)

    def press_power_button(self) -> None:
        """Ask the system inside to shut down; once asked it does, whoever waits for it."""
        with self._clock.lock:
            if self.booted and not self._shutting_down:
                self._shutting_down = True
                self._plans.append(
                    self._clock.call_later(self._timings.stop, self._finish_shutdown)
                )

    def power_off(self) -> None:
        """Pull the plug."""
        self._switch_off(HostStatus.STOPPED)

    def plan_crash(self, crash: Crash) -> None:
        """Let it die when the time has come.

        Args:
            crash: After how many seconds from now.
        """
        if crash.after <= 0:
            self._crash()
        else:
            self._plans.append(self._clock.call_later(crash.after, self._crash))

    def _switch_off(self, status: HostStatus) -> None:
        for call_off in self._plans:
            call_off()
        self._plans.clear()
        self.booted = self._shutting_down = False
        self._become(status)

    def _finish_boot(self) -> None:
        self.booted = True
        self._log("Started OpenSSH server")
        self.console.append(f"{self.key.hostname} login:")
        self._clock.changed()

    def _finish_shutdown(self) -> None:
        self._log("reboot: Power down")
        self.power_off()

    def _crash(self) -> None:
        self._log("Kernel panic - not syncing: simulated crash")
        self.power_off()

    def _log(self, message: str) -> None:
        self.console.append(f"[{self.uptime:12.6f}] {message}")

    def _become(self, status: HostStatus) -> None:
        self.status = status
        self._on_change(self)
