"""Kubernetes on a cluster: brought up beside its hosts, and asked through its control plane."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial

import anyio

from kutti_sdk.clusters.description import ClusterDescription
from kutti_sdk.clusters.observation import cluster_hosts
from kutti_sdk.clusters.store import kubernetes_lock
from kutti_sdk.core.driver import VMDriver
from kutti_sdk.core.errors import (
    HostNotFoundError,
    HostNotRunningError,
    InvalidSpecError,
    KuttiError,
)
from kutti_sdk.core.events import report
from kutti_sdk.core.host import VMHost
from kutti_sdk.core.status import HostStatus
from kutti_sdk.kubernetes.bring_up import BringUp
from kutti_sdk.kubernetes.guest import Guest, reach
from kutti_sdk.kubernetes.manifest import PodManifest
from kutti_sdk.kubernetes.pod_network import refresh_pod_network
from kutti_sdk.kubernetes.removal import leave
from kutti_sdk.runtime.tasks import run_all, task_group

_NEWS_STEP = 4.0  # seconds between two words of somebody who waits


def new_bring_up(
    description: ClusterDescription, manifest: PodManifest | None, stall_timeout: float
) -> BringUp:
    """Begin to bring Kubernetes up on a cluster.

    Args:
        description: What the cluster shall be.
        manifest: The pod network's manifest, if it has one.
        stall_timeout: Seconds without a sign of life.

    Returns:
        What to tell when hosts can be reached; run it with `bring_up_alone`.
    """
    return BringUp(
        description.node_names,
        description.k8s_version,
        description.kubernetes_options,
        manifest,
        stall_timeout=stall_timeout,
    )


def pod_manifest(description: ClusterDescription) -> PodManifest | None:
    """Give the manifest of a cluster's pod network.

    Args:
        description: What the cluster shall be.

    Returns:
        The manifest, not read yet; None when its pod network needs none.
    """
    source = description.kubernetes_options.pod_manifest
    return None if source is None else PodManifest(source)


async def bring_up_alone(bring_up: BringUp, clustername: str) -> None:
    """Bring Kubernetes up when nobody else does, and wait for who does.

    Args:
        bring_up: What to run.
        clustername: Name of the cluster.
    """
    waiting = anyio.CancelScope()

    async def tell() -> None:
        with waiting:
            while True:
                await anyio.sleep(_NEWS_STEP)
                report("preflight", "somebody else brings Kubernetes up", cluster=clustername)

    async with task_group() as group:
        group.start_soon(tell)
        async with kubernetes_lock(clustername):
            waiting.cancel()
            await bring_up.run()


async def control_plane(driver: VMDriver, description: ClusterDescription) -> Guest:
    """Find the control plane of a cluster, running.

    Args:
        driver: The cluster's driver.
        description: What the cluster was last asked to be.

    Returns:
        The control plane.

    Raises:
        InvalidSpecError: When the cluster has no Kubernetes.
        HostNotFoundError: When its host does not exist.
        HostNotRunningError: When its host does not run.
    """
    name, cluster = description.control_plane_name, description.name
    if not description.has_kubernetes:
        raise InvalidSpecError(
            f"cluster {cluster!r} has no Kubernetes",
            hint="Choose a version with kubernetes(), and delete this cluster first.",
            cluster=cluster,
        )
    host = await driver.get_host(name, cluster, cluster)
    if await host.status() is not HostStatus.RUNNING:
        raise HostNotRunningError(
            f"the control plane {name!r} does not run",
            hint="Start it, or the whole cluster.",
            cluster=cluster,
            host=name,
        )
    return await reach(host)


async def take_out(driver: VMDriver, description: ClusterDescription, nodes: Iterable[str]) -> None:
    """Take nodes out of Kubernetes before their hosts are removed, as far as it answers.

    A cluster whose control plane is down must be able to lose nodes as well: what is
    in the way is told as an event, and Kubernetes then goes on listing the node.

    Args:
        driver: The cluster's driver.
        description: What the cluster is.
        nodes: Names of the nodes.
    """
    for node in nodes:
        try:
            await leave(await control_plane(driver, description), node)
        except KuttiError as error:
            report(
                "leave",
                f"{node} could not be taken out of Kubernetes: {error.message}",
                cluster=description.name,
                host=node,
            )


async def mend_routes(driver: VMDriver, description: ClusterDescription) -> None:
    """Make the nodes forget the pods of nodes that are gone, as far as they run.

    Args:
        driver: The cluster's driver.
        description: What the cluster is now.
    """
    if not description.kubernetes_options.has_own_pod_network:
        return
    hosts = await cluster_hosts(driver, description.name)
    addresses = {host.name: host.ip_address for host in hosts}
    try:
        first = await control_plane(driver, description)
        guests = await run_all(*(partial(_reach_running, host) for host in hosts))
        await refresh_pod_network(
            first,
            [guest for guest in guests if guest is not None],
            addresses,
        )
    except KuttiError as error:
        report(
            "pod-network",
            f"routes to pods that are gone stay until the next ensure(): {error.message}",
            cluster=description.name,
        )


async def _reach_running(host: VMHost) -> Guest | None:
    try:
        running = await host.status() is HostStatus.RUNNING
    except HostNotFoundError:
        return None
    return await reach(host) if running else None
