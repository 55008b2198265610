"""Takes hosts and whole clusters away, however much of them was made."""

from __future__ import annotations

from functools import partial

from kutti_sdk.clusters.description import ClusterDescription
from kutti_sdk.clusters.kubernetes import mend_routes, take_out
from kutti_sdk.clusters.observation import cluster_hosts
from kutti_sdk.clusters.record import ClusterRecord, D, as_recorded, record_of
from kutti_sdk.clusters.store import (
    cluster_lock,
    load_record,
    remove_record,
    require_record,
    save_record,
)
from kutti_sdk.core.driver import VMDriver
from kutti_sdk.core.errors import (
    HostNotFoundError,
    HostRunningError,
    InvalidSpecError,
    NetworkNotFoundError,
)
from kutti_sdk.core.events import report
from kutti_sdk.runtime.tasks import run_all
from kutti_sdk.ssh.keys import delete_cluster_key_pair


async def remove_cluster(driver: VMDriver, clustername: str, *, only_id: str | None = None) -> None:
    """Remove a cluster's hosts, network, keys and record; nothing to do without a record.

    The record goes last: until then an interrupted removal can be done again. Where
    another is about to make the cluster, that is waited for.

    Args:
        driver: The cluster's driver.
        clustername: Name of the cluster.
        only_id: Leave the cluster alone when it is another one; None for any.

    Raises:
        NetworkInUseError: When hosts of another cluster are in its network.
    """
    if only_id is not None and not _is_meant(await load_record(clustername), only_id):
        return
    async with cluster_lock(clustername):
        record = await load_record(clustername)
        if record is None:
            await remove_record(clustername)  # what was left around it by somebody who was killed
        if record is None or not _is_meant(record, only_id):
            return
        report("delete", f"deleting cluster {clustername}", cluster=clustername)
        # A host that was being made need not be listed yet.
        names = {node.name for node in record.node_specs}
        names |= {host.name for host in await cluster_hosts(driver, clustername)}
        await run_all(*(partial(remove_host, driver, name, clustername) for name in sorted(names)))
        try:
            await driver.delete_network(clustername)
        except NetworkNotFoundError:
            pass
        await delete_cluster_key_pair(clustername)
        await remove_record(clustername)


async def remove_node(driver: VMDriver, description: D, name: str) -> D:
    """Remove a node from a cluster for good; the other nodes are left as they are.

    With Kubernetes its pods end first, and begin elsewhere.

    Args:
        driver: The cluster's driver.
        description: Any description of the cluster on its driver.
        name: Name of the node.

    Returns:
        What the cluster is without it.

    Raises:
        ClusterNotFoundError: When there is no such cluster.
        InvalidSpecError: When it has no such node, or no other, or it is the control plane.
    """
    clustername = description.name
    async with cluster_lock(clustername):
        record = await require_record(clustername)
        present = as_recorded(description, record)
        left = present.without_node(name)
        if present.is_brought_up:
            _refuse_control_plane(present, name)
            await take_out(driver, present, [name])
        await save_record(record_of(left, record, None))
        await remove_host(driver, name, clustername)
        if present.is_brought_up:
            await mend_routes(driver, left)
        return left


async def remove_host(driver: VMDriver, hostname: str, clustername: str) -> None:
    """Remove a host of a cluster, running or not; nothing to do when there is none.

    Args:
        driver: The cluster's driver.
        hostname: Name of the host.
        clustername: Name of the cluster, and of its network.
    """
    report("delete", f"deleting {hostname}", cluster=clustername, host=hostname)
    while True:
        try:
            host = await driver.get_host(hostname, clustername, clustername)
            await host.force_stop()
            await driver.delete_host(hostname, clustername, clustername)
        except HostRunningError:  # somebody started it in between
            continue
        except HostNotFoundError:
            pass
        return


def _refuse_control_plane(description: ClusterDescription, name: str) -> None:
    if name == description.control_plane_name:
        raise InvalidSpecError(
            f"{name} is the control plane, without which there is no cluster",
            hint="Delete the cluster instead.",
            cluster=description.name,
            host=name,
        )


def _is_meant(record: ClusterRecord | None, only_id: str | None) -> bool:
    return record is not None and only_id in (None, record.id)
