"""``ensure()`` of hosts that go on from a template, beside the same hosts when they boot."""

from __future__ import annotations

import statistics

import kutti_sdk as kutti
from benchmarks.measure import Measurement, seconds

MANY = 10
"""Hosts in the row of many, unless ``--hosts`` says another number."""

_NAME = "bench-warm"


async def run_one(rounds: int) -> list[Measurement]:
    """Measure one host."""
    return await _measure(1, rounds)


async def run_many(rounds: int, hosts: int = MANY) -> list[Measurement]:
    """Measure many hosts."""
    return await _measure(hosts, rounds)


async def _measure(hosts: int, rounds: int) -> list[Measurement]:
    image = await kutti.get_driver("qemu").get_image("none")
    spec = kutti.cluster(_NAME).nodes(hosts, cpus=1, memory="512MiB")
    await image.warm_up(cpus=1, memory="512MiB")
    try:
        times = [(await _bring_up(spec), await _bring_up(spec.cold())) for _ in range(rounds)]
    finally:
        await image.cool_down()
    warm, cold = zip(*times, strict=True)
    return [
        Measurement(
            f"ensure() of {hosts} warm host{'s' if hosts > 1 else ''} to a command on each",
            statistics.median(warm),
            goal=0.25,
            baseline=statistics.median(cold),
            baseline_name="the same hosts, booted",
        )
    ]


async def _bring_up(spec: kutti.ClusterSpec) -> float:
    """Take the time from nothing to a command on each host; nothing of it is left."""

    async def bring_up() -> None:
        cluster = await spec.ensure(stall_timeout=600)
        await cluster.run_all("hostname", check=True)

    try:
        return await seconds(bring_up)
    finally:
        await (await kutti.attach(spec.name)).delete()
