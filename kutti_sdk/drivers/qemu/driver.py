"""The QEMU driver: rootless, without a daemon, on any machine that has QEMU."""

from __future__ import annotations

import platform
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager
from functools import partial
from os import PathLike
from pathlib import Path

import anyio.to_thread

from kutti_sdk.core.checkpoints import (
    CarriedCheckpoint,
    CheckpointDetails,
    SupportsCheckpointBundles,
)
from kutti_sdk.core.display import Listing
from kutti_sdk.core.driver import HostChange, VMDriver
from kutti_sdk.core.errors import DriverUnavailableError
from kutti_sdk.core.findings import Finding
from kutti_sdk.core.host import HostSize, VMHost
from kutti_sdk.core.image import ImageCopy, VMImage
from kutti_sdk.core.network import DEFAULT_CIDR, VMNetwork
from kutti_sdk.core.ports import PortForward
from kutti_sdk.core.status import DriverStatus
from kutti_sdk.core.suspension import SupportsSuspension
from kutti_sdk.drivers.qemu import (
    capacity,
    diagnosis,
    images,
    network,
    provisioning,
    records,
    watch,
)
from kutti_sdk.drivers.qemu.binaries import find_qemu
from kutti_sdk.drivers.qemu.checkpoints.accounting import measured
from kutti_sdk.drivers.qemu.checkpoints.cloning import clone_checkpoint
from kutti_sdk.drivers.qemu.checkpoints.exporting import export_checkpoint
from kutti_sdk.drivers.qemu.checkpoints.importing import (
    import_checkpoint,
    inspect_checkpoint,
)
from kutti_sdk.drivers.qemu.checkpoints.records import load_checkpoints
from kutti_sdk.drivers.qemu.checkpoints.restoring import restore_checkpoint
from kutti_sdk.drivers.qemu.checkpoints.saving import save_checkpoint
from kutti_sdk.drivers.qemu.checkpoints.store import delete_checkpoint
from kutti_sdk.drivers.qemu.forwards import check_listeners, settle
from kutti_sdk.drivers.qemu.host import QemuHost
from kutti_sdk.drivers.qemu.settings import from_arguments, resolve
from kutti_sdk.drivers.qemu.suspending import suspend_cluster
from kutti_sdk.drivers.qemu.templates.making import make_templates_for
from kutti_sdk.drivers.qemu.templates.using import name_of_template, no_template
from kutti_sdk.images.serving import ImageServer
from kutti_sdk.runtime.tasks import interruptible

_MACHINES = ("x86_64", "amd64")


class QemuDriver(SupportsCheckpointBundles, SupportsSuspension, VMDriver):
    """Hosts as QEMU processes of this user, each cluster on a network of its own.

    It keeps nothing in memory: any number of drivers in any number of processes
    see and manage the same hosts.

    Args:
        image_list: URL or file of a list of published images, or several of them, of which
            the first that knows a version counts; none at all are ``()``.
        proxy: URL of the proxy to download through.
        ca_file: File with certificate authorities to trust beside the usual ones, in PEM
            form.
        stall_timeout: Seconds without a single byte before a download counts as stalled,
            30 unless told.

    What is None is looked up in the environment (``KUTTI_QEMU_IMAGE_LIST``, and the usual
    variables for proxies and certificates), then in ``config_dir()/qemu.toml``. Without
    any of them the image list of the kutti project is used.

    Raises:
        InvalidInputError: When an argument makes no sense.
    """

    def __init__(
        self,
        *,
        image_list: str | Sequence[str] | None = None,
        proxy: str | None = None,
        ca_file: str | PathLike[str] | None = None,
        stall_timeout: float | None = None,
    ) -> None:
        self._arguments = from_arguments(image_list, proxy, ca_file, stall_timeout)

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
        await settle()
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
        """Make a host and leave it stopped; with a template that fits it does not boot."""
        return QemuHost(
            await provisioning.create_host(
                hostname,
                networkname,
                clustername,
                k8sversion,
                HostSize.parse(cpus, memory, disk),
                settings=await resolve(self._arguments),
                find_template=name_of_template,
            )
        )

    @interruptible
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
        """Make a host that boots at its first start, and leave it stopped."""
        return QemuHost(
            await provisioning.create_host(
                hostname,
                networkname,
                clustername,
                k8sversion,
                HostSize.parse(cpus, memory, disk),
                settings=await resolve(self._arguments),
                find_template=no_template,
            )
        )

    @interruptible
    async def prepare_hosts(self, k8sversion: str, sizes: Sequence[HostSize]) -> None:
        """Make templates first where many hosts are to be made."""
        settings = await resolve(self._arguments)
        await make_templates_for(await images.image_for_new_host(k8sversion, settings), sizes)

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
        await images.fetch_list(await resolve(self._arguments))

    async def list_images(self) -> list[VMImage]:
        """List all images, on this machine or not."""
        return Listing(await images.list_all(await resolve(self._arguments)))

    async def get_image(self, k8sversion: str) -> VMImage:
        """Find an image."""
        return await images.find(k8sversion, await resolve(self._arguments))

    @interruptible
    async def import_image(
        self, path: str | PathLike[str], k8sversion: str | None = None
    ) -> VMImage:
        """Take an image from a file or folder.

        Args:
            path: A disk that boots by firmware (qcow2, VMDK, VDI, raw), an .ova, a bundle,
                or an image folder.
            k8sversion: The Kubernetes version that it has. Bundles and image folders know
                it themselves; for everything else None stands for ``none``.

        Returns:
            The image.

        Raises:
            ImageError: As `VMImage.from_file` does; also when the image list names another
                image of that version.
        """
        return await images.take(Path(path), k8sversion, await resolve(self._arguments))

    @interruptible
    async def list_image_copies(self) -> list[ImageCopy]:
        """List everything of images that takes room on this machine."""
        return await images.copies()

    @interruptible
    async def prune_images(self, copies: Sequence[ImageCopy] | None = None) -> list[ImageCopy]:
        """Remove everything of images that no host uses."""
        return await images.prune(copies)

    def serve_images(self, address: str) -> AbstractAsyncContextManager[ImageServer]:
        """Share the images on this machine with others on the network, by plain HTTP.

        Use it with ``async with``, and inside of one cell of a notebook: it serves as long
        as the block lasts. Images that are built, fetched or imported meanwhile are served
        as well, and clients can only read.

        Args:
            address: IP address of this machine and port, ``192.168.1.5:8099``; whoever
                reaches it can have the images. Port 0 takes a free one.

        Returns:
            A context manager that gives the server, whose `list_url` clients need.

        Raises:
            InvalidPortError: When it is no address of this machine, or no port.
            PortInUseError: When another program listens there.
        """
        return images.serve(address, partial(resolve, self._arguments))

    @interruptible
    async def save_checkpoint(
        self, name: str, networkname: str, clustername: str, *, note: str = ""
    ) -> CheckpointDetails:
        """Save a running cluster; its hosts stand still for less than a second."""
        return await save_checkpoint(name, networkname, clustername, note)

    async def list_checkpoints(self) -> list[CheckpointDetails]:
        """List the checkpoints of all clusters."""
        return Listing([await measured(checkpoint) for checkpoint in await load_checkpoints()])

    @interruptible
    async def restore_checkpoint(self, name: str, networkname: str, clustername: str) -> None:
        """Bring a cluster back to the instant at which it was saved."""
        await restore_checkpoint(name, networkname, clustername)

    @interruptible
    async def clone_checkpoint(
        self, name: str, networkname: str, clustername: str, *, to: str
    ) -> None:
        """Make a running copy of a saved cluster."""
        await clone_checkpoint(name, networkname, clustername, to)

    @interruptible
    async def delete_checkpoint(self, name: str, networkname: str, clustername: str) -> None:
        """Remove a checkpoint."""
        await delete_checkpoint(name, networkname, clustername)

    @interruptible
    async def diagnose(self) -> list[Finding]:
        """Look whether all is well, and change nothing.

        Returns:
            What was found about QEMU, acceleration, networks, hosts, processes, ports and
            images.
        """
        return await diagnosis.diagnose()

    async def log_files(self) -> list[Path]:
        """Name the files that tell what happened.

        Returns:
            Records, logs and consoles of all networks and hosts; no keys.
        """
        return await anyio.to_thread.run_sync(diagnosis.log_files)

    @interruptible
    async def export_checkpoint(
        self,
        name: str,
        networkname: str,
        clustername: str,
        path: Path,
        *,
        description: bytes = b"",
        replace: bool = False,
    ) -> None:
        """Write a checkpoint with its images into a file that only this user may read."""
        place = name, networkname, clustername
        await export_checkpoint(*place, path, description=description, replace=replace)

    @interruptible
    async def inspect_checkpoint(self, path: Path) -> CarriedCheckpoint:
        """Look at a checkpoint in a file."""
        return await inspect_checkpoint(path)

    @interruptible
    async def import_checkpoint(self, path: Path, *, to: str) -> CheckpointDetails:
        """Take a checkpoint with its images out of a file."""
        return await import_checkpoint(path, to)

    @interruptible
    async def suspend_cluster(self, networkname: str, clustername: str) -> None:
        """Suspend all hosts of a cluster that run, at one instant."""
        await suspend_cluster(networkname, clustername)

    def watch(self) -> AsyncIterator[HostChange]:
        """Follow the state of all hosts."""
        return watch.HostChanges()
