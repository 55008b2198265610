"""Records of clusters: whether they can be read, and whether their nodes are there."""

from __future__ import annotations

from functools import partial

import anyio.to_thread

from kutti_sdk.clusters import Cluster, attach
from kutti_sdk.clusters.store import known_names
from kutti_sdk.core.errors import KuttiError
from kutti_sdk.core.findings import Finding, note, ok, problem
from kutti_sdk.core.status import HostStatus
from kutti_sdk.runtime.tasks import run_all


async def look() -> list[Finding]:
    """Look at all clusters.

    Returns:
        What was found.
    """
    names = await anyio.to_thread.run_sync(known_names)
    return await run_all(*(partial(_look_at, name) for name in names)) or [
        ok("clusters", "there is none")
    ]


async def _look_at(name: str) -> Finding:
    subject = f"cluster {name}"
    try:
        cluster = await attach(name)
        hosts = await _hosts(cluster)
    except KuttiError as error:
        return problem(subject, error.message, error.hint or "")
    missing = [node for node in cluster.spec.node_names if node not in hosts]
    running = sum(status is HostStatus.RUNNING for status in hosts.values())
    message = f"{running} of {len(hosts) + len(missing)} hosts run"
    if missing:
        return note(
            subject,
            f"{message}; missing: {', '.join(missing)}",
            "It is half made or half deleted: ensure() completes it, delete() removes it.",
        )
    return ok(subject, message)


async def _hosts(cluster: Cluster) -> dict[str, HostStatus]:
    """What the hypervisor says of its hosts; nobody is asked over SSH."""
    hosts = [
        host
        for host in await cluster.spec.find_driver().list_hosts()
        if host.clustername == host.networkname == cluster.name
    ]
    return {host.name: await host.status() for host in hosts}
