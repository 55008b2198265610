"""The contract of a driver."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass

from kutti_sdk.core.display import Displayed
from kutti_sdk.core.errors import PortInUseError
from kutti_sdk.core.host import HostSize, VMHost
from kutti_sdk.core.image import ImageCopy, VMImage
from kutti_sdk.core.network import DEFAULT_CIDR, VMNetwork
from kutti_sdk.core.ports import PortForward
from kutti_sdk.core.status import DriverStatus, HostStatus


@dataclass(frozen=True, slots=True)
class HostChange:
    """A host that is in another state than before.

    Attributes:
        hostname: Name of the host.
        networkname: Name of its network.
        clustername: Name of its cluster.
        status: Its status now; None when it does not exist any more.
    """

    hostname: str
    networkname: str
    clustername: str
    status: HostStatus | None


class VMDriver(Displayed, ABC):
    """Manages networks, hosts and images of one hypervisor."""

    @property
    @abstractmethod
    def name(self) -> str:
        """The name under which the driver is known: ``qemu``."""

    @property
    @abstractmethod
    def description(self) -> str:
        """What the driver is, in one line."""

    @property
    @abstractmethod
    def requires_port_forwarding(self) -> bool:
        """Whether hosts are reached through forwarded ports of this machine only."""

    @abstractmethod
    async def status(self) -> DriverStatus:
        """Tell whether the driver can work here.

        Returns:
            The status; `check` tells the reason.
        """

    @abstractmethod
    async def check(self) -> None:
        """Make sure that the driver can work here.

        Raises:
            DriverUnavailableError: With what is missing, and how to get it as the hint.
        """

    @abstractmethod
    async def check_capacity(self, sizes: Sequence[HostSize]) -> None:
        """Make sure that more hosts can run here, all at once.

        Args:
            sizes: How large each of them is.

        Raises:
            ResourceError: When they do not fit; tells what is wanted and what is left.
        """

    async def check_ports(self, forwards: Sequence[PortForward]) -> None:
        """Make sure that ports of this machine can be given to hosts.

        This is to refuse early; `VMHost.forward_port` has the last word. Drivers that
        can also see foreign listeners extend it.

        Args:
            forwards: What shall be forwarded; port 0 always can be.

        Raises:
            PortInUseError: When a port leads to another host; names it.
        """
        wanted = [forward for forward in forwards if forward.host_port != 0]
        for host in await self.list_hosts() if wanted else ():
            for present in await host.forwards():
                if any(present.conflicts_with(forward) for forward in wanted):
                    raise PortInUseError(
                        f"port {present.host_port} of this machine already leads to port "
                        f"{present.vm_port} of host {host.name!r} in cluster "
                        f"{host.clustername!r}",
                        hint="Choose another port, or 0 for any free one.",
                        driver=self.name,
                        cluster=host.clustername,
                        host=host.name,
                    )

    @abstractmethod
    async def list_networks(self) -> list[VMNetwork]:
        """List all networks.

        Returns:
            The networks, ordered by name.
        """

    @abstractmethod
    async def create_network(self, networkname: str, *, cidr: str = DEFAULT_CIDR) -> VMNetwork:
        """Make a network.

        Args:
            networkname: Its name.
            cidr: Its address range; may be the same as another network's.

        Returns:
            The network.

        Raises:
            InvalidNameError: When the name is not valid.
            InvalidCIDRError: When the range is not valid.
            NetworkExistsError: When there is one of that name.
        """

    @abstractmethod
    async def get_network(self, networkname: str) -> VMNetwork:
        """Find a network.

        Args:
            networkname: Its name.

        Returns:
            The network.

        Raises:
            NetworkNotFoundError: When there is none of that name.
        """

    @abstractmethod
    async def delete_network(self, networkname: str) -> None:
        """Remove a network.

        Args:
            networkname: Its name.

        Raises:
            NetworkNotFoundError: When there is none of that name.
            NetworkInUseError: When hosts are in it.
        """

    @abstractmethod
    async def list_hosts(self) -> list[VMHost]:
        """List all hosts of all networks and clusters.

        Returns:
            The hosts, ordered by cluster, network and name.
        """

    @abstractmethod
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
        """Make a host and leave it stopped.

        Args:
            hostname: Its name.
            networkname: Name of the network to put it in.
            clustername: Name of the cluster it belongs to.
            k8sversion: Version of the image to make it from; ``1.34`` stands for the
                newest patch of 1.34 there is.
            cpus: Number of CPUs; default as in `HostSize`, like the others.
            memory: Bytes of memory, or a text such as ``"2GiB"``.
            disk: Bytes of disk, or a text such as ``"20GiB"``.

        Returns:
            The host.

        Raises:
            InvalidNameError: When a name is not valid.
            InvalidSizeError: When a size is not valid.
            InvalidVersionError: When the version is not valid.
            NetworkNotFoundError: When there is no such network.
            ImageNotFoundError: When there is no such image.
            ImageNotDownloadedError: When the image is not on this machine.
            ImageDeprecatedError: When the image is not for new hosts any more.
            HostExistsError: When there is such a host.
            ResourceError: When the host is larger than this machine.
        """

    async def create_cold_host(
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
        """Make a host that boots at its first start, and leave it stopped.

        What `create_host` does, unless a driver knows a faster way for a new host to
        become ready; such drivers override it.

        Args:
            hostname: As in `create_host`, like all others.
            networkname: A network.
            clustername: A cluster.
            k8sversion: A version.
            cpus: Number of CPUs.
            memory: Bytes of memory.
            disk: Bytes of disk.

        Returns:
            The host.

        Raises:
            KuttiError: As `create_host` does.
        """
        return await self.create_host(
            hostname,
            networkname,
            clustername,
            k8sversion,
            cpus=cpus,
            memory=memory,
            disk=disk,
        )

    async def prepare_hosts(self, k8sversion: str, sizes: Sequence[HostSize]) -> None:
        """Get ready for hosts that are to be made next, all at once.

        Drivers that can make many hosts faster than one by one override it. What cannot
        be prepared is no error: the hosts are made without.

        Args:
            k8sversion: Version of their image, which is on this machine.
            sizes: How large each of them is.
        """
        del k8sversion, sizes  # each host is made by itself

    @abstractmethod
    async def get_host(self, hostname: str, networkname: str, clustername: str) -> VMHost:
        """Find a host.

        Args:
            hostname: Its name.
            networkname: Name of its network.
            clustername: Name of its cluster.

        Returns:
            The host.

        Raises:
            HostNotFoundError: When there is none.
        """

    @abstractmethod
    async def delete_host(self, hostname: str, networkname: str, clustername: str) -> None:
        """Remove a stopped host with its disk and its forwards.

        Args:
            hostname: Its name.
            networkname: Name of its network.
            clustername: Name of its cluster.

        Raises:
            HostNotFoundError: When there is none.
            HostRunningError: When it runs.
        """

    @abstractmethod
    async def fetch_image_list(self) -> None:
        """Get the list of images anew from where the driver's images are published.

        Raises:
            ImageListError: When it could not be had; the list from before is kept.
        """

    @abstractmethod
    async def list_images(self) -> list[VMImage]:
        """List all images, on this machine or not.

        Returns:
            The images, newest Kubernetes version first.
        """

    @abstractmethod
    async def get_image(self, k8sversion: str) -> VMImage:
        """Find an image.

        Args:
            k8sversion: A version; ``1.34`` stands for the newest patch of 1.34.

        Returns:
            The image.

        Raises:
            InvalidVersionError: When the version is not valid.
            ImageNotFoundError: When there is none; names those there are.
        """

    async def list_image_copies(self) -> list[ImageCopy]:
        """List everything of images that takes room on this machine.

        More than `list_images` shows: older images of a version, damaged ones, and what
        interrupted work left. Drivers that keep images on this machine override it.

        Returns:
            The copies; none where the driver cannot tell.
        """
        return []

    async def prune_images(self, copies: Sequence[ImageCopy] | None = None) -> list[ImageCopy]:
        """Remove everything of images that no host uses.

        An image that only a cluster spec names, and no host yet, counts as unused.

        Args:
            copies: Only these, of those that `list_image_copies` told; None for all.

        Returns:
            What was removed. What a host has begun to use meanwhile is left out.
        """
        del copies  # nothing is known that could be removed
        return []

    @abstractmethod
    def watch(self) -> AsyncIterator[HostChange]:
        """Follow the state of all hosts until the caller stops iterating.

        Returns:
            An iterator over the hosts there are, then over every change, be it hosts that
            appear, change state or disappear.
        """
