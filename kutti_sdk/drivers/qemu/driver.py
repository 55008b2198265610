"""The QEMU driver: rootless, without a daemon, on any machine that has QEMU."""

from __future__ import annotations

import platform
from collections.abc import AsyncIterator, Sequence
from os import PathLike
from pathlib import Path

import anyio.to_thread

from kutti_sdk.core.display import Listing
from kutti_sdk.core.driver import HostChange, VMDriver
from kutti_sdk.core.errors import DriverUnavailableError
from kutti_sdk.core.host import HostSize, VMHost
from kutti_sdk.core.image import VMImage
from kutti_sdk.core.network import DEFAULT_CIDR, VMNetwork
from kutti_sdk.core.ports import PortForward
from kutti_sdk.core.status import DriverStatus
from kutti_sdk.core.versions import NO_KUBERNETES
from kutti_sdk.drivers.qemu import capacity, images, network, provisioning, records, watch
from kutti_sdk.drivers.qemu.binaries import find_qemu
from kutti_sdk.drivers.qemu.forwards import check_listeners
from kutti_sdk.drivers.qemu.host import QemuHost
from kutti_sdk.images import file_import
from kutti_sdk.runtime.tasks import interruptible

_MACHINES = ("x86_64", "amd64")


class QemuDriver(VMDriver):
    """Hosts as QEMU processes of this user, each cluster on a network of its own.

    It keeps nothing in memory: any number of drivers in any number of processes
    see and manage the same hosts.

    Args:
        image_list: URL or file of the list of published images; None for the one that
            the environment variable ``KUTTI_QEMU_IMAGE_LIST`` names.
    """

    def __init__(self, *, image_list: str | None = None) -> None:
        self._image_list = image_list

    @property
    def name(self) -> str:
        """``qemu``."""
        return "qemu"

    @property
    def description(self) -> str:
        """What the driver is, in one line."""
        return "Virtual machines run by QEMU, without root and without a daemon"

    @property
    def requires_port_forwarding(self) -> bool:
        """True: the hosts' network is reached through forwarded ports only."""
        return True

    def __repr__(self) -> str:
        return "<QemuDriver>"

    async def status(self) -> DriverStatus:
        """Tell whether QEMU is here."""
        try:
            await self.check()
        except DriverUnavailableError:
            return DriverStatus.UNAVAILABLE
        return DriverStatus.READY

    async def check(self) -> None:
        """Make sure that QEMU is here and new enough."""
        if platform.machine().lower() not in _MACHINES:
            raise DriverUnavailableError(
                f"machines of type {platform.machine()} are not supported",
                hint="Only x86_64 is, for now.",
                driver=self.name,
            )
        await find_qemu()

    async def check_capacity(self, sizes: Sequence[HostSize]) -> None:
        """Make sure that more hosts can run here, all at once."""
        for size in sizes:
            capacity.check_size(size)
        await capacity.check_memory(sizes)
        await capacity.check_disk(len(sizes))

    async def check_ports(self, forwards: Sequence[PortForward]) -> None:
        """Make sure that ports of this machine can be given to hosts, foreign listeners too."""
        await super().check_ports(forwards)
        await anyio.to_thread.run_sync(check_listeners, forwards)

    async def list_networks(self) -> list[VMNetwork]:
        """List all networks."""
        return Listing(network.QemuNetwork(it) for it in await records.load_networks())

    async def create_network(self, networkname: str, *, cidr: str = DEFAULT_CIDR) -> VMNetwork:
        """Make a network."""
        return await network.create_network(networkname, cidr)

    async def get_network(self, networkname: str) -> VMNetwork:
        """Find a network."""
        return network.QemuNetwork(await records.load_network(networkname))

    @interruptible
    async def delete_network(self, networkname: str) -> None:
        """Remove a network."""
        await network.delete_network(networkname)

    async def list_hosts(self) -> list[VMHost]:
        """List all hosts."""
        return Listing(QemuHost(record) for record in await records.load_hosts())

    @interruptible
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
        size = HostSize.parse(cpus, memory, disk)
        return QemuHost(
            await provisioning.create_host(hostname, networkname, clustername, k8sversion, size)
        )

    async def get_host(self, hostname: str, networkname: str, clustername: str) -> VMHost:
        """Find a host."""
        return QemuHost(await records.load_host(hostname, networkname, clustername))

    @interruptible
    async def delete_host(self, hostname: str, networkname: str, clustername: str) -> None:
        """Remove a stopped host."""
        await provisioning.delete_host(hostname, networkname, clustername)

    @interruptible
    async def fetch_image_list(self) -> None:
        """Get the list of images anew."""
        await images.fetch_list(self._image_list)

    async def list_images(self) -> list[VMImage]:
        """List all images, on this machine or not."""
        return Listing(await images.list_all())

    async def get_image(self, k8sversion: str) -> VMImage:
        """Find an image."""
        return await images.find(k8sversion)

    @interruptible
    async def import_image(
        self, path: str | PathLike[str], k8sversion: str = NO_KUBERNETES
    ) -> VMImage:
        """Take an image that no list names from a file or folder.

        Args:
            path: A qcow2 disk that boots by firmware, or an image folder.
            k8sversion: The Kubernetes version that it has.

        Returns:
            The image.

        Raises:
            ImageError: As `VMImage.from_file` does.
        """
        await file_import.import_image(Path(path), k8sversion)
        return await images.find(k8sversion)

    def watch(self) -> AsyncIterator[HostChange]:
        """Follow the state of all hosts."""
        return watch.HostChanges()
