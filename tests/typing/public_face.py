"""What a type checker makes of the public face; checked, never run."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import assert_type

import kutti_sdk as kutti


async def words_and_verbs(driver: kutti.VMDriver) -> None:
    spec = kutti.cluster("lab").using("qemu").using(driver).kubernetes("1.34")
    spec = spec.nodes(3, cpus=2, memory="2GiB", disk=20 * 2**30).node("db").without_node("node3")
    spec = spec.network("10.0.0.0/24").forward(8080, to=80).without_forward(to=80).named("other")
    spec = spec.control_plane(memory="2GiB").workers(2, cpus=1).bare()
    spec = spec.pod_network("net.yaml", cidr="10.20.0.0/16").kubeadm({"KubeletConfiguration": {}})
    assert_type(spec, kutti.ClusterSpec)
    assert_type(await spec.plan(), kutti.Plan)
    assert_type(await spec.ensure(), kutti.Cluster)
    assert_type(await spec.create(stall_timeout=300), kutti.Cluster)
    assert_type(await kutti.attach("lab"), kutti.Cluster)
    assert_type(await kutti.list_clusters(), list[kutti.Cluster])
    assert_type(kutti.list_drivers(), tuple[str, ...])
    assert_type(await asyncio.create_task(spec.ensure()), kutti.Cluster)
    async with spec.apply() as run:
        async for event in run:
            assert_type(event, kutti.ProgressEvent)
        assert_type(run.cluster, kutti.Cluster)
    async with spec.ephemeral() as cluster:
        assert_type(cluster, kutti.Cluster)
    assert_type(kutti.__version__, str)


async def cluster_and_nodes(cluster: kutti.Cluster) -> None:
    assert_type(cluster.spec, kutti.ClusterSpec)
    assert_type(await cluster.status(), kutti.ClusterStatus)
    assert_type((await cluster.status()).kubernetes, kutti.KubernetesStatus | None)
    assert_type(await cluster.kubectl("get nodes", check=True), kutti.CommandResult)
    assert_type(await cluster.kubeconfig(), Path)
    assert_type(await cluster.merge_kubeconfig(), Path)
    assert_type(await cluster.load_image("app.tar"), tuple[str, ...])
    assert_type(await cluster.run_all("uptime"), list[kutti.CommandResult])
    async for result in cluster.run_all("uptime", limit=2):
        assert_type(result, kutti.CommandResult)
    for node in cluster:
        assert_type(node, kutti.Node)
    assert_type(cluster.nodes, tuple[kutti.Node, ...])
    assert_type(cluster.watch(), AsyncIterator[kutti.HostChange])
    assert_type(await cluster.add_node("db"), kutti.Node)
    node = cluster["node1"]
    assert_type(await node.run("uptime", check=True), kutti.CommandResult)
    async with node.stream("uptime") as running:
        async for piece in running:
            assert_type(piece, kutti.Output)
    assert_type(await node.forward(to=80), int)
    assert_type(await node.forwards(), tuple[kutti.PortForward, ...])
    assert_type(await node.status(), kutti.HostStatus)
    assert_type(node.watch(), AsyncIterator[kutti.HostStatus])


def errors(error: kutti.KuttiError) -> None:
    assert_type(error.hint, str | None)
    if isinstance(error, kutti.CommandFailedError):
        assert_type(error.result, kutti.CommandResult)


async def mistakes(cluster: kutti.Cluster) -> None:
    kutti.cluster(1)  # type: ignore[arg-type]
    kutti.cluster("lab").nodes("3")  # type: ignore[arg-type]
    kutti.cluster("lab").forward(8080)  # type: ignore[call-arg]
    cluster.spec.name = "other"  # type: ignore[misc]
    await cluster["node1"].run(b"uptime")  # type: ignore[arg-type]
    print(kutti.nonsense)  # type: ignore[attr-defined]  # noqa: T201
