"""Ways into a cluster's Kubernetes: kubectl, kubeconfig, a client, container images."""

from __future__ import annotations

from functools import partial
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING

from kutti_sdk.clusters.description import ClusterDescription
from kutti_sdk.clusters.kubernetes import control_plane
from kutti_sdk.clusters.observation import cluster_hosts
from kutti_sdk.clusters.store import kubeconfig_path
from kutti_sdk.core.driver import VMDriver
from kutti_sdk.core.errors import CommandFailedError, HostNotRunningError, PortNotForwardedError
from kutti_sdk.core.host import VMHost
from kutti_sdk.core.ports import ANY_ADDRESS, LOOPBACK
from kutti_sdk.core.ssh import CommandResult
from kutti_sdk.core.status import HostStatus
from kutti_sdk.kubernetes import api_client, kubeconfig
from kutti_sdk.kubernetes.container_images import importable, load_archive, read_archive
from kutti_sdk.kubernetes.guest import reach
from kutti_sdk.kubernetes.kubeadm_config import API_PORT
from kutti_sdk.kubernetes.kubectl import kubectl
from kutti_sdk.runtime.tasks import run_all

if TYPE_CHECKING:
    from kr8s.asyncio import Api


async def run_kubectl(
    driver: VMDriver,
    description: ClusterDescription,
    arguments: str,
    *,
    stdin: str | None,
    timeout: float | None,
    check: bool,
) -> CommandResult:
    """Run kubectl on a cluster's control plane; see `Cluster.kubectl`."""
    first = await control_plane(driver, description)
    result = await kubectl(first, arguments, stdin=stdin, timeout=timeout)
    if check and not result.ok:
        raise CommandFailedError(result, host=first.name)
    return result


async def write_kubeconfig(driver: VMDriver, description: ClusterDescription) -> Path:
    """Write a cluster's kubeconfig into its own file; see `Cluster.kubeconfig`."""
    path = kubeconfig_path(description.name)
    await kubeconfig.write_kubeconfig(await _read_kubeconfig(driver, description), path)
    return path


async def merge_kubeconfig(
    driver: VMDriver, description: ClusterDescription, into: str | PathLike[str] | None
) -> Path:
    """Merge a cluster's kubeconfig into the user's; see `Cluster.merge_kubeconfig`."""
    path = kubeconfig.users_kubeconfig() if into is None else Path(into)
    await kubeconfig.merge_kubeconfig(await _read_kubeconfig(driver, description), path)
    return path


async def connect_client(driver: VMDriver, description: ClusterDescription) -> Api:
    """Make a client of a cluster's API server; see `Cluster.kube`."""
    return await api_client.connect(await write_kubeconfig(driver, description))


async def load_image(
    driver: VMDriver, description: ClusterDescription, archive: str | PathLike[str]
) -> tuple[str, ...]:
    """Bring an image archive to all nodes of a cluster; see `Cluster.load_image`."""
    path = Path(archive)
    images = await read_archive(path)
    hosts = await cluster_hosts(driver, description.name)
    for host in hosts:
        if await host.status() is not HostStatus.RUNNING:
            raise HostNotRunningError(
                f"host {host.name!r} does not run, and would be left without the image",
                hint="Start the cluster first.",
                cluster=description.name,
                host=host.name,
            )
    guests = [await reach(host) for host in hosts]
    async with importable(path) as plain:
        loaded = await run_all(*(partial(load_archive, it, plain, images) for it in guests))
    return tuple(guest.name for guest, new in zip(guests, loaded, strict=True) if new)


async def _read_kubeconfig(driver: VMDriver, description: ClusterDescription) -> str:
    first = await control_plane(driver, description)
    server = await _api_address(driver, first.host)
    return await kubeconfig.read_kubeconfig(first, server)


async def _api_address(driver: VMDriver, host: VMHost) -> str:
    for forward in await host.forwards():
        if forward.vm_port == API_PORT:
            address = LOOPBACK if forward.address == ANY_ADDRESS else forward.address
            return f"{address}:{forward.host_port}"
    if driver.requires_port_forwarding:
        raise PortNotForwardedError(
            f"port {API_PORT} of {host.name!r} is not forwarded to this machine",
            hint="ensure() does that.",
            cluster=host.clustername,
            host=host.name,
        )
    return f"{host.ip_address}:{API_PORT}"
