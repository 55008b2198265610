"""What exists in a simulated world, and the rules that hold there.

Drivers, hosts and images are handles on one world. What they do to it is done
between two awaits and under the clock's lock, so that no cancellation and no
other thread can see half of it.
"""

from __future__ import annotations

import weakref
from collections import deque
from collections.abc import AsyncIterator, Iterable, Sequence
from ipaddress import IPv4Network

from anyio.lowlevel import checkpoint

from kutti_sdk.core.driver import HostChange
from kutti_sdk.core.errors import (
    HostExistsError,
    HostNotFoundError,
    InvalidCIDRError,
    NetworkNotFoundError,
    NotEnoughCPUsError,
    NotEnoughDiskError,
    NotEnoughMemoryError,
)
from kutti_sdk.core.host import HostSize
from kutti_sdk.core.sizes import format_size
from kutti_sdk.core.status import HostStatus
from kutti_sdk.drivers.simulated.clock import SimulatedClock
from kutti_sdk.drivers.simulated.commands import ScriptedCommands
from kutti_sdk.drivers.simulated.effects import Crash, Operation, Subject
from kutti_sdk.drivers.simulated.faults import FaultPlan
from kutti_sdk.drivers.simulated.images import ImageShelf, PublishedImage
from kutti_sdk.drivers.simulated.machine import (
    HostKey,
    Machine,
    SavedMachine,
    SimulatedTimings,
)
from kutti_sdk.drivers.simulated.ports import PortTable
from kutti_sdk.drivers.simulated.saved import CheckpointKey, SavedCluster

_FIRST_HOST = 11  # last number of the first host's address; services live below


class World:
    """Networks, machines, images and ports, and the machine they are on.

    Args:
        drivername: Name of the driver, for errors.
        clock: Tells the time.
        capacity: What the machine has to give.
        images: What is published and known from the start.
        timings: How long things take.
    """

    def __init__(
        self,
        drivername: str,
        clock: SimulatedClock,
        capacity: HostSize,
        images: Iterable[PublishedImage],
        timings: SimulatedTimings,
    ) -> None:
        self.drivername = drivername
        self.clock = clock
        self.capacity = capacity
        self.timings = timings
        self.faults = FaultPlan(clock)
        self.faults.on_crash(self._crash)
        self.commands = ScriptedCommands()
        self.images = ImageShelf(drivername, images)
        self.ports = PortTable(drivername, self.faults)
        self.networks: dict[str, IPv4Network] = {}
        self.machines: dict[HostKey, Machine] = {}
        self.checkpoints: dict[CheckpointKey, SavedCluster] = {}
        self._feeds: weakref.WeakSet[ChangeFeed] = weakref.WeakSet()

    async def begin(
        self,
        operation: Operation,
        key: HostKey | None = None,
        *,
        subject: Subject | None = None,
        network: str | None = None,
        image: str | None = None,
        timeout: float | None = None,
    ) -> bool:
        """Begin an operation: every public method comes by here before it acts.

        Args:
            operation: Name of the method.
            key: The host it is about.
            subject: What it is about, when that is neither a host, a network nor an image.
            network: Name of the network it is about.
            image: Version of the image it is about.
            timeout: Simulated seconds that it may hang.

        Returns:
            False when a fault let it hang for all of that time, else True.
        """
        await checkpoint()
        self.clock.tick()
        if subject is None:
            subject = key.subject if key else Subject(network=network, image=image)
        return await self.faults.strike(operation, subject, timeout=timeout)

    def network(self, networkname: str) -> IPv4Network:
        """Find a network.

        Args:
            networkname: Its name.

        Returns:
            Its address range.

        Raises:
            NetworkNotFoundError: When there is none.
        """
        if networkname not in self.networks:
            raise NetworkNotFoundError(
                f"there is no network {networkname!r}",
                hint="Make it with create_network.",
                driver=self.drivername,
                network=networkname,
            )
        return self.networks[networkname]

    def machine(self, key: HostKey) -> Machine:
        """Find a machine.

        Args:
            key: What identifies it.

        Returns:
            The machine.

        Raises:
            HostNotFoundError: When there is none.
        """
        if key not in self.machines:
            raise HostNotFoundError(
                f"there is no host {key.hostname!r} in network {key.networkname!r} "
                f"and cluster {key.clustername!r}",
                driver=self.drivername,
                network=key.networkname,
                cluster=key.clustername,
                host=key.hostname,
            )
        return self.machines[key]

    def add_machine(
        self, key: HostKey, k8s_version: str, size: HostSize, ip_address: str | None = None
    ) -> Machine:
        """Put a new machine into a network, switched off.

        Args:
            key: What identifies it.
            k8s_version: Version of its image.
            size: CPUs, memory and disk.
            ip_address: Its address; None for the first that is free.

        Returns:
            The machine.

        Raises:
            HostExistsError: When the network has a host of that name.
            InvalidCIDRError: When the network has no address left.
        """
        others = [other for other in self.machines if other.networkname == key.networkname]
        if any(other.hostname == key.hostname for other in others):
            raise HostExistsError(
                f"network {key.networkname!r} already has a host {key.hostname!r}",
                hint="Names are unique in a network: they are what its DNS answers to.",
                driver=self.drivername,
                network=key.networkname,
                cluster=key.clustername,
                host=key.hostname,
            )
        machine = Machine(
            key,
            k8s_version,
            size,
            ip_address or self._free_address(key.networkname),
            clock=self.clock,
            timings=self.timings,
            on_change=self._tell,
        )
        self.machines[key] = machine
        self._tell(machine)
        return machine

    def remove_machine(self, key: HostKey) -> None:
        """Take a machine away, with its disk and its forwards.

        Args:
            key: What identifies it.
        """
        self.machines.pop(key).removed = True
        self.ports.release(key)
        self._publish(HostChange(key.hostname, key.networkname, key.clustername, None))

    def forget_checkpoints(self, networkname: str) -> None:
        """Remove the checkpoints that belong to a network.

        Args:
            networkname: Its name.
        """
        for key in [key for key in self.checkpoints if key.networkname == networkname]:
            del self.checkpoints[key]

    def users_of(self, k8s_version: str) -> list[HostKey]:
        """List the hosts that were made from an image, saved ones too.

        Args:
            k8s_version: Version of the image.

        Returns:
            Their keys, sorted.
        """
        saved = [machine for it in self.checkpoints.values() for machine in it.machines]
        made: list[Machine | SavedMachine] = [*self.machines.values(), *saved]
        return sorted({machine.key for machine in made if machine.k8s_version == k8s_version})

    def check_size(self, size: HostSize) -> None:
        """Make sure that a host is not larger than the machine.

        Args:
            size: The host's size.

        Raises:
            ResourceError: When it is.
        """
        for error, what, wanted, there in (
            (NotEnoughCPUsError, "CPUs", str(size.cpus), self.capacity.cpus),
            (NotEnoughMemoryError, "memory", format_size(size.memory), self.capacity.memory),
            (NotEnoughDiskError, "disk", format_size(size.disk), self.capacity.disk),
        ):
            if getattr(size, what.lower()) > there:
                has = str(there) if what == "CPUs" else format_size(there)
                raise error(
                    f"a host wants {wanted} {what}, this machine has {has}",
                    hint="Ask for a smaller host.",
                    driver=self.drivername,
                )

    def check_memory(self, sizes: Sequence[HostSize]) -> None:
        """Make sure that there is memory for more hosts beside those that run.

        Args:
            sizes: Their sizes.

        Raises:
            NotEnoughMemoryError: When there is not.
        """
        running = [m for m in self.machines.values() if m.status is HostStatus.RUNNING]
        left = self.capacity.memory - sum(machine.size.memory for machine in running)
        wanted = sum(size.memory for size in sizes)
        if wanted > left:
            raise NotEnoughMemoryError(
                f"{format_size(wanted)} of memory are wanted, {format_size(max(0, left))} are left",
                hint=f"Stop some of the {len(running)} running hosts, or ask for smaller ones.",
                driver=self.drivername,
            )

    def changes(self) -> AsyncIterator[HostChange]:
        """Follow all hosts.

        Returns:
            An iterator over the hosts there are, then over every change.
        """
        with self.clock.lock:
            feed = ChangeFeed(
                self.clock, [_change(self.machines[key]) for key in sorted(self.machines)]
            )
            self._feeds.add(feed)
        return feed

    def _free_address(self, networkname: str) -> str:
        network = self.networks[networkname]
        used = {m.ip_address for m in self.machines.values() if m.key.networkname == networkname}
        for number in range(_FIRST_HOST, network.num_addresses - 1):
            address = str(network.network_address + number)
            if address not in used:
                return address
        raise InvalidCIDRError(
            f"network {networkname!r} is full: it has room for {len(used)} hosts",
            hint="Delete a host, or make a network with a larger address range.",
            driver=self.drivername,
            network=networkname,
        )

    def _crash(self, crash: Crash) -> bool:
        self.clock.tick()
        struck = [
            machine
            for key, machine in sorted(self.machines.items())
            if machine.status is HostStatus.RUNNING and crash.subject.means(key.subject)
        ]
        for machine in struck:
            machine.plan_crash(crash)
        return bool(struck)

    def _tell(self, machine: Machine) -> None:
        self._publish(_change(machine))

    def _publish(self, change: HostChange) -> None:
        for feed in tuple(self._feeds):
            feed.add(change)
        self.clock.changed()


class ChangeFeed(AsyncIterator[HostChange]):
    """What one listener has not read yet; the world forgets it together with its listener.

    Args:
        clock: The clock of the world.
        present: What to begin with.
    """

    def __init__(self, clock: SimulatedClock, present: Iterable[HostChange]) -> None:
        self._clock = clock
        self._unread = deque(present)

    def add(self, change: HostChange) -> None:
        """Add a change.

        Args:
            change: What happened.
        """
        self._unread.append(change)

    async def __anext__(self) -> HostChange:
        await checkpoint()
        await self._clock.wait_for(lambda: True if self._unread else None)
        return self._unread.popleft()


def _change(machine: Machine) -> HostChange:
    key = machine.key
    return HostChange(key.hostname, key.networkname, key.clustername, machine.status)
