"""A running cluster saved, copied, and what idle copies have of memory for themselves.

A copy is held against bringing the same cluster up from nothing, in the same run.
"""

from __future__ import annotations

import statistics

import anyio
import psutil

import kutti_sdk as kutti
from benchmarks.kubernetes import kubernetes_version
from benchmarks.measure import Measurement, seconds
from kutti_sdk.core.sizes import MiB
from kutti_sdk.drivers.qemu import records

_NAME = "bench"
_COPIES = 10
_SETTLE = 20.0  # seconds that copies have to come to rest
_STALL = 600.0


async def run(rounds: int) -> list[Measurement]:
    """Measure the pause of a save, and a copy of two hosts to a command on both."""
    spec = kutti.cluster(_NAME).nodes(2, cpus=1, memory="512MiB")
    cold, warm, pauses = [], [], []
    for _ in range(rounds):
        cold.append(await seconds(lambda: _answered_everywhere(spec)))
        cluster = await kutti.attach(_NAME)
        saved = await cluster.checkpoint("start")
        pauses.append(saved.details.pause)

        async def copy(saved: kutti.Checkpoint = saved) -> None:
            for result in await (await saved.clone(f"{_NAME}-copy")).run_all("hostname"):
                assert result.ok

        warm.append(await seconds(copy))
        await (await kutti.attach(f"{_NAME}-copy")).delete()
        await cluster.delete()
    return [
        Measurement("pause of 2 hosts that are saved", statistics.median(pauses), goal=2.0),
        Measurement(
            "copy of 2 running hosts to a command on both",
            statistics.median(warm),
            goal=0.2,
            baseline=statistics.median(cold),
            baseline_name="ensure() of the 2 hosts",
        ),
    ]


async def run_memory(_: int) -> list[Measurement]:
    """Measure what each of ten idle copies of a host has of memory for itself."""
    cluster = await kutti.cluster(_NAME).nodes(1, cpus=1, memory="512MiB").ensure()
    saved = await cluster.checkpoint("start")
    copies = await saved.clones([f"{_NAME}-{number}" for number in range(_COPIES)])
    await anyio.sleep(_SETTLE)
    private = [await _private_memory(copy) for copy in copies]
    for one in (*copies, cluster):
        await one.delete()
    return [
        Measurement(
            f"private memory of each of {_COPIES} idle copies",
            max(private) / MiB,
            goal=60,
            unit="MiB",
        )
    ]


async def run_kubernetes(_: int) -> list[Measurement]:
    """Measure a copy of a cluster with Kubernetes until both its nodes are Ready."""
    version = await kubernetes_version()
    if version is None:
        return []
    spec = kutti.cluster(_NAME).kubernetes(version).workers(1)
    cold = await seconds(lambda: spec.ensure(stall_timeout=_STALL))
    cluster = await kutti.attach(_NAME)
    saved = await cluster.checkpoint("start")

    async def copy() -> None:
        nodes = await (await saved.clone(f"{_NAME}-copy")).kubectl("get nodes", check=True)
        assert nodes.stdout.count(" Ready ") == 2

    warm = await seconds(copy)
    await (await kutti.attach(f"{_NAME}-copy")).delete()
    await cluster.delete()
    return [
        Measurement(
            "copy of Kubernetes on 2 hosts to both Ready",
            warm,
            goal=0.1,
            baseline=cold,
            baseline_name="ensure() of the same",
        )
    ]


async def _answered_everywhere(spec: kutti.ClusterSpec) -> None:
    for result in await (await spec.ensure()).run_all("hostname"):
        assert result.ok


async def _private_memory(cluster: kutti.Cluster) -> int:
    """Tell how many bytes of memory only this cluster's one host has."""
    (host,) = await records.load_hosts(cluster.name)
    return psutil.Process(int(host.files.pid.read_text())).memory_full_info().uss
