"""What the hypervisor says about a cluster, now."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

from kutti_sdk.core.driver import VMDriver
from kutti_sdk.core.errors import HostNotFoundError, NetworkNotFoundError
from kutti_sdk.core.host import VMHost
from kutti_sdk.core.network import VMNetwork
from kutti_sdk.core.ports import PortForward
from kutti_sdk.core.status import HostStatus
from kutti_sdk.runtime.tasks import run_all


@dataclass(frozen=True, slots=True)
class ObservedHost:
    """A host as it was a moment ago.

    Attributes:
        host: Its handle.
        status: Its status.
        forwards: The ports of this machine that lead to it.
    """

    host: VMHost
    status: HostStatus
    forwards: tuple[PortForward, ...]


@dataclass(frozen=True, slots=True)
class Observation:
    """A cluster as it was a moment ago.

    Attributes:
        network: Its network; None when there is none.
        hosts: Its hosts by name, whether a spec names them or not.
    """

    network: VMNetwork | None
    hosts: Mapping[str, ObservedHost]


async def observe_cluster(driver: VMDriver, clustername: str) -> Observation:
    """Look at a cluster's network and hosts.

    Args:
        driver: Where to look.
        clustername: Name of the cluster, and of its network.

    Returns:
        What there is.
    """
    try:
        network = await driver.get_network(clustername)
    except NetworkNotFoundError:
        network = None
    hosts = await cluster_hosts(driver, clustername)
    seen = await run_all(*(partial(_observe_host, host) for host in hosts))
    return Observation(network, {observed.host.name: observed for observed in seen if observed})


async def cluster_hosts(driver: VMDriver, clustername: str) -> list[VMHost]:
    """List the hosts of a cluster.

    Args:
        driver: Where to look.
        clustername: Name of the cluster, and of its network.

    Returns:
        The hosts, ordered by name.
    """
    return [
        host
        for host in await driver.list_hosts()
        if host.clustername == host.networkname == clustername
    ]


async def _observe_host(host: VMHost) -> ObservedHost | None:
    try:
        return ObservedHost(host, await host.status(), await host.forwards())
    except HostNotFoundError:  # removed while we looked
        return None
