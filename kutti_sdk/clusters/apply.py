"""Performs a plan: clears away, then brings all hosts up side by side, and Kubernetes on them.

Nothing is undone when a step fails: what was made stays, and the next `ensure`
goes on from there.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from kutti_sdk.clusters.actions import (
    CreateHost,
    CreateNetwork,
    DeleteHost,
    DrainNode,
    FetchImage,
    ForwardPort,
    HostAction,
    InitControlPlane,
    RestartHost,
    StartHost,
    UnforwardPort,
)
from kutti_sdk.clusters.description import ClusterDescription
from kutti_sdk.clusters.kubernetes import (
    bring_up_alone,
    new_bring_up,
    pod_manifest,
    take_out,
)
from kutti_sdk.clusters.plan import Plan, make_plan
from kutti_sdk.clusters.power import switch_on
from kutti_sdk.clusters.readiness import wait_until_reachable
from kutti_sdk.clusters.record import ClusterRecord, D, record_of
from kutti_sdk.clusters.removal import remove_host
from kutti_sdk.clusters.store import cluster_lock, load_record, save_record
from kutti_sdk.core.driver import VMDriver
from kutti_sdk.core.errors import PortNotForwardedError
from kutti_sdk.core.events import report
from kutti_sdk.core.host import HostSize, VMHost
from kutti_sdk.kubernetes.bring_up import BringUp
from kutti_sdk.runtime.tasks import task_group


async def apply_change(
    clustername: str,
    change: Callable[[ClusterRecord | None], D],
    driver: VMDriver,
    *,
    stall_timeout: float,
    new_id: str | None = None,
) -> D:
    """Make a cluster what it shall be; wait until its hosts can be reached, and are Ready.

    Args:
        clustername: Name of the cluster.
        change: Tells what it shall be from the record of what it was asked to be so
            far, None when it was never begun. Called more than once; may raise.
        driver: The driver of what it shall be.
        stall_timeout: Seconds that a booting host's console may be silent, and that
            Kubernetes on it may give no sign of life.
        new_id: Id of the record when the cluster is new; None to make one up.

    Returns:
        What it is now.

    Raises:
        KuttiError: Whatever stands in the way; see `ClusterSpec.ensure`.
    """
    await driver.check()
    # Looked at twice: first without the lock, because downloading an image may take
    # minutes, in which others may want to change the cluster.
    record = await load_record(clustername)
    plan = await _checked_plan(change(record), record, driver)
    report("plan", plan.heading, cluster=clustername)
    for fetch in plan.of(FetchImage):
        await _fetch(fetch, clustername, driver)
    await _prepare_hosts(plan, change(record), driver)
    # The lock is given back as soon as all hosts are started: others may change the
    # cluster while the hosts still boot.
    async with task_group() as readiness, cluster_lock(clustername):
        before = await load_record(clustername)
        wanted = change(before)
        plan = await _checked_plan(wanted, before, driver)
        kubernetes = await _prepare_kubernetes(wanted, plan, stall_timeout)
        record = record_of(wanted, before, new_id)
        if record != before:
            await save_record(record)
        await take_out(driver, wanted, [it.host for it in plan.of(DrainNode)])
        await _clear_away(plan, driver)
        for network in plan.of(CreateNetwork):
            await _create_network(network, driver)
        if kubernetes is not None:
            readiness.start_soon(bring_up_alone, kubernetes, clustername)

        async def wait(host: VMHost) -> None:
            await wait_until_reachable(host, stall_timeout=stall_timeout)
            if kubernetes is not None:
                kubernetes.arrived(host)

        await _bring_up(plan, wanted, driver, lambda host: readiness.start_soon(wait, host))
        if record.retired:
            await save_record(replace(record, retired=()))
    report("ready", f"cluster {clustername} is ready", cluster=clustername, fraction=1.0)
    return wanted


async def _prepare_kubernetes(
    wanted: ClusterDescription, plan: Plan, stall_timeout: float
) -> BringUp | None:
    if not wanted.is_brought_up:
        return None
    manifest = pod_manifest(wanted)
    if manifest is not None and plan.of(InitControlPlane):
        await manifest.text()  # one that cannot be had is told before anything is touched
    return new_bring_up(wanted, manifest, stall_timeout)


async def _checked_plan(
    wanted: ClusterDescription, record: ClusterRecord | None, driver: VMDriver
) -> Plan:
    """Make the plan, and refuse what cannot work before anything is touched."""
    plan = await make_plan(wanted, record, driver)
    await driver.check_capacity([start.size for start in plan.of(StartHost)])
    await driver.check_ports(plan.forwards_to_check())
    return plan


async def _fetch(fetch: FetchImage, clustername: str, driver: VMDriver) -> None:
    version = fetch.k8s_version
    report("image", f"fetching image {version}", cluster=clustername, image=version)
    image = await driver.get_image(version)
    await image.fetch()


async def _prepare_hosts(plan: Plan, wanted: ClusterDescription, driver: VMDriver) -> None:
    """Let the driver get ready for many new hosts, unless they shall boot."""
    if wanted.cold_start:
        return
    sizes: dict[str, list[HostSize]] = {}
    for create in plan.of(CreateHost):
        sizes.setdefault(create.k8s_version, []).append(create.size)
    for version, of_version in sizes.items():
        await driver.prepare_hosts(version, of_version)


async def _clear_away(plan: Plan, driver: VMDriver) -> None:
    async with task_group() as group:
        for delete in plan.of(DeleteHost):
            group.start_soon(remove_host, driver, delete.host, plan.cluster)
        for unforward in plan.of(UnforwardPort):
            group.start_soon(_unforward, unforward, driver, plan.cluster)


async def _unforward(action: UnforwardPort, driver: VMDriver, cluster: str) -> None:
    report("forward", str(action), cluster=cluster, host=action.host)
    host = await driver.get_host(action.host, cluster, cluster)
    try:
        await host.unforward_port(action.forward.vm_port)
    except PortNotForwardedError:  # undone by hand meanwhile
        pass


async def _create_network(action: CreateNetwork, driver: VMDriver) -> None:
    report("network", str(action), cluster=action.network)
    await driver.create_network(action.network, cidr=action.cidr)


async def _bring_up(
    plan: Plan,
    wanted: ClusterDescription,
    driver: VMDriver,
    started: Callable[[VMHost], object],
) -> None:
    """Create, forward to and start all hosts; returns when they are started.

    Each is told to `started` as soon as it is.
    """

    async def bring_up(host: VMHost) -> None:
        for action in plan.for_host(host.name):
            await _perform(action, host)
        started(host)

    async with task_group() as group:
        # Made one after the other, for addresses in the order of the nodes; all that
        # takes time after that goes on side by side.
        for hostname in wanted.node_names:
            group.start_soon(bring_up, await _host_to_bring_up(plan, wanted, hostname, driver))


async def _host_to_bring_up(
    plan: Plan, wanted: ClusterDescription, hostname: str, driver: VMDriver
) -> VMHost:
    cluster = plan.cluster
    create = driver.create_cold_host if wanted.cold_start else driver.create_host
    for action in plan.for_host(hostname):
        if isinstance(action, CreateHost):
            report("create", str(action), cluster=cluster, host=hostname)
            return await create(
                hostname,
                cluster,
                cluster,
                action.k8s_version,
                cpus=action.size.cpus,
                memory=action.size.memory,
                disk=action.size.disk,
            )
    return await driver.get_host(hostname, cluster, cluster)


async def _perform(action: HostAction, host: VMHost) -> None:
    match action:
        case ForwardPort(forward=forward):
            report("forward", str(action), cluster=host.clustername, host=host.name)
            await host.forward_port(forward.host_port, forward.vm_port, address=forward.address)
        case StartHost():
            await switch_on(host)
        case RestartHost():
            await host.force_stop()
            await switch_on(host)
        case _:  # done before the host was brought up
            pass
