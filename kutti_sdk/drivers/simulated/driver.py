"""The simulated driver: the whole contract in memory, for tests and documentation."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Sequence
from functools import partial
from pathlib import Path

from kutti_sdk.core.display import Listing
from kutti_sdk.core.driver import HostChange, VMDriver
from kutti_sdk.core.errors import (
    DriverUnavailableError,
    HostRunningError,
    ImageDeprecatedError,
    ImageNotDownloadedError,
    NetworkExistsError,
    NetworkInUseError,
)
from kutti_sdk.core.events import report
from kutti_sdk.core.findings import Finding, ok, problem
from kutti_sdk.core.host import HostSize, VMHost
from kutti_sdk.core.image import VMImage
from kutti_sdk.core.names import validate_name
from kutti_sdk.core.network import DEFAULT_CIDR, VMNetwork, validate_cidr
from kutti_sdk.core.ports import PortForward
from kutti_sdk.core.sizes import GiB
from kutti_sdk.core.status import AT_REST, DriverStatus
from kutti_sdk.core.versions import K8sVersion
from kutti_sdk.drivers.simulated.checkpoints import SimulatedCheckpoints
from kutti_sdk.drivers.simulated.clock import SimulatedClock
from kutti_sdk.drivers.simulated.commands import ScriptedCommands
from kutti_sdk.drivers.simulated.faults import FaultPlan
from kutti_sdk.drivers.simulated.host import SimulatedHost
from kutti_sdk.drivers.simulated.images import DEFAULT_IMAGES, PublishedImage, SimulatedImage
from kutti_sdk.drivers.simulated.machine import HostKey, SimulatedTimings
from kutti_sdk.drivers.simulated.network import SimulatedNetwork
from kutti_sdk.drivers.simulated.suspension import SimulatedSuspension
from kutti_sdk.drivers.simulated.world import World

DEFAULT_CAPACITY = HostSize(cpus=16, memory=256 * GiB, disk=4096 * GiB)
"""The machine that simulated hosts run on unless another is given."""


class SimulatedDriver(SimulatedCheckpoints, SimulatedSuspension, VMDriver):
    """Hosts that exist in memory only, and as long as the driver does.

    Validation, errors, events and the order of things are those of a real
    driver. Time is simulated, faults and the words of commands are scripted::

        driver = SimulatedDriver()
        driver.faults.fail("start", host="node2", times=1)
        driver.commands.answer("kubectl get nodes", stdout="node1 Ready")

    One driver may be used from several event loops and threads, under asyncio
    and trio.

    Args:
        name: The driver's name.
        clock: The clock; by default one that lets no real time pass.
        capacity: CPUs, memory and disk of the machine that hosts run on.
        images: What is published, and of it what is here.
        timings: How long things take, in simulated seconds.

    Raises:
        InvalidNameError: When the name is not valid.
        InvalidVersionError: When an image has no valid version.
    """

    def __init__(
        self,
        *,
        name: str = "simulated",
        clock: SimulatedClock | None = None,
        capacity: HostSize = DEFAULT_CAPACITY,
        images: Iterable[PublishedImage] = DEFAULT_IMAGES,
        timings: SimulatedTimings | None = None,
    ) -> None:
        self._name = validate_name(name, "driver name")
        self._world = World(
            name,
            clock or SimulatedClock(),
            capacity,
            images,
            timings or SimulatedTimings(),
        )

    @property
    def name(self) -> str:
        """``simulated``, unless another name was given."""
        return self._name

    @property
    def description(self) -> str:
        """What the driver is, in one line."""
        return "Pretended virtual machines in memory, for tests and documentation"

    @property
    def requires_port_forwarding(self) -> bool:
        """True, as with most real drivers."""
        return True

    @property
    def clock(self) -> SimulatedClock:
        """Tells the simulated time."""
        return self._world.clock

    @property
    def faults(self) -> FaultPlan:
        """What shall go wrong."""
        return self._world.faults

    @property
    def commands(self) -> ScriptedCommands:
        """What commands shall say, and which were run."""
        return self._world.commands

    def publish_images(self, images: Iterable[PublishedImage]) -> None:
        """Replace the image list out there; `fetch_image_list` brings it in.

        Args:
            images: The new list.

        Raises:
            InvalidVersionError: When one has no valid version.
        """
        self._world.images.publish(images)

    def __repr__(self) -> str:
        return f"<SimulatedDriver {self.name}: {len(self._world.machines)} hosts>"

    async def status(self) -> DriverStatus:
        """Tell whether `check` was told to fail."""
        try:
            await self.check()
        except DriverUnavailableError:
            return DriverStatus.UNAVAILABLE
        return DriverStatus.READY

    async def check(self) -> None:
        """Find everything in order, unless a fault says otherwise."""
        await self._world.begin("check")

    async def check_ports(self, forwards: Sequence[PortForward]) -> None:
        """See `VMDriver.check_ports`; foreign programs of the fault plan count, too."""
        await super().check_ports(forwards)
        for forward in forwards:
            self._world.ports.check(forward)

    async def check_capacity(self, sizes: Sequence[HostSize]) -> None:
        """Make sure that more hosts fit into the capacity; disks are thin and count one by one."""
        await self._world.begin("check_capacity")
        for size in sizes:
            self._world.check_size(size)
        self._world.check_memory(sizes)

    async def list_networks(self) -> list[VMNetwork]:
        """List all networks."""
        await self._world.begin("list_networks")
        return Listing(
            SimulatedNetwork(name, str(cidr)) for name, cidr in sorted(self._world.networks.items())
        )

    async def create_network(self, networkname: str, *, cidr: str = DEFAULT_CIDR) -> VMNetwork:
        """Make a network."""
        validate_name(networkname, "network name")
        network = validate_cidr(cidr)
        await self._world.begin("create_network", network=networkname)
        with self._world.clock.lock:
            if networkname in self._world.networks:
                raise NetworkExistsError(
                    f"there is a network {networkname!r} already",
                    hint="Use it with get_network, or choose another name.",
                    driver=self.name,
                    network=networkname,
                )
            self._world.networks[networkname] = network
        return SimulatedNetwork(networkname, str(network))

    async def get_network(self, networkname: str) -> VMNetwork:
        """Find a network."""
        validate_name(networkname, "network name")
        await self._world.begin("get_network", network=networkname)
        return SimulatedNetwork(networkname, str(self._world.network(networkname)))

    async def delete_network(self, networkname: str) -> None:
        """Remove a network."""
        validate_name(networkname, "network name")
        await self._world.begin("delete_network", network=networkname)
        with self._world.clock.lock:
            self._world.network(networkname)
            hosts = [
                key.hostname
                for key in sorted(self._world.machines)
                if key.networkname == networkname
            ]
            if hosts:
                raise NetworkInUseError(
                    f"network {networkname!r} still has hosts: {', '.join(hosts)}",
                    hint="Delete them first.",
                    driver=self.name,
                    network=networkname,
                )
            del self._world.networks[networkname]
            self._world.forget_checkpoints(networkname)

    async def list_hosts(self) -> list[VMHost]:
        """List all hosts."""
        await self._world.begin("list_hosts")
        machines = sorted(self._world.machines.items())
        return Listing(SimulatedHost(self._world, machine) for _, machine in machines)

    async def create_host(
        self,
        hostname: str,
        networkname: str,
        clustername: str,
        k8sversion: str,
        *,
        cpus: int | None = None,
        memory: int | str | None = None,
        disk: int | str | None = None,
    ) -> VMHost:
        """Make a host and leave it stopped."""
        key = HostKey.parse(hostname, networkname, clustername)
        size = HostSize.parse(cpus, memory, disk)
        K8sVersion.parse(k8sversion)
        await self._world.begin("create_host", key)
        self._world.network(networkname)
        image = self._image_for_new_host(k8sversion)
        self._world.check_size(size)
        await self._world.clock.sleep(self._world.timings.create_host)
        with self._world.clock.lock:
            self._world.network(networkname)  # it may be gone by now
            return SimulatedHost(self._world, self._world.add_machine(key, image.k8s_version, size))

    async def get_host(self, hostname: str, networkname: str, clustername: str) -> VMHost:
        """Find a host."""
        key = HostKey.parse(hostname, networkname, clustername)
        await self._world.begin("get_host", key)
        return SimulatedHost(self._world, self._world.machine(key))

    async def delete_host(self, hostname: str, networkname: str, clustername: str) -> None:
        """Remove a stopped host."""
        key = HostKey.parse(hostname, networkname, clustername)
        await self._world.begin("delete_host", key)
        with self._world.clock.lock:
            if self._world.machine(key).status not in AT_REST:
                raise HostRunningError(
                    f"host {hostname!r} runs",
                    hint="Stop it first, with stop() or force_stop().",
                    driver=self.name,
                    cluster=clustername,
                    host=hostname,
                )
            self._world.remove_machine(key)

    async def fetch_image_list(self) -> None:
        """Take over what `publish_images` published."""
        report("image-list", "getting the list of images")
        await self._world.begin("fetch_image_list")
        await self._world.clock.sleep(self._world.timings.image_list)
        self._world.images.refresh()

    async def list_images(self) -> list[VMImage]:
        """List all images, on this machine or not."""
        await self._world.begin("list_images")
        shelf = self._world.images
        return Listing(SimulatedImage(self._world, shelf.find(it)) for it in shelf.versions())

    async def get_image(self, k8sversion: str) -> VMImage:
        """Find an image."""
        image = self._world.images.find(k8sversion)
        await self._world.begin("get_image", image=image.k8s_version)
        return SimulatedImage(self._world, image)

    async def diagnose(self) -> list[Finding]:
        """Find what the fault plan left behind; everything else is in order."""
        await self._world.begin("diagnose")
        return [
            problem(self.name, f"there is {what}", mend=partial(self._take_away, what))
            for what in self.faults.left_behind()
        ] or [ok(self.name, f"{len(self._world.machines)} simulated hosts are in order")]

    async def log_files(self) -> list[Path]:
        """Name no file: there is none."""
        return []

    def watch(self) -> AsyncIterator[HostChange]:
        """Follow the state of all hosts; no change is left out."""
        return self._world.changes()

    async def _take_away(self, what: str) -> str:
        self.faults.take_away(what)
        return f"took {what} away"

    def _image_for_new_host(self, k8sversion: str) -> PublishedImage:
        image = self._world.images.find(k8sversion)
        if image.deprecated:
            raise ImageDeprecatedError(
                f"the image of Kubernetes {image.k8s_version} is deprecated",
                hint="Hosts that have it may go on; use a newer one for new hosts.",
                driver=self.name,
                image=image.k8s_version,
            )
        if not self._world.images.is_here(image.k8s_version):
            raise ImageNotDownloadedError(
                f"the image of Kubernetes {image.k8s_version} is not on this machine",
                hint="Call fetch() on the image first.",
                driver=self.name,
                image=image.k8s_version,
            )
        return image
