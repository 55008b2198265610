"""A cluster with a connection between its nodes is suspended, and goes on."""

from __future__ import annotations

import time

import pytest
from counting import counts_on, start_counting

import kutti_sdk as kutti

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.slow,  # `make test` has single hosts that go on, and what goes wrong
    pytest.mark.parametrize("anyio_backend", ["asyncio"]),
]

_BOOT = "cat /proc/sys/kernel/random/boot_id"


async def test_a_suspended_cluster_goes_on_with_its_connections_and_the_right_time(
    scratch: str,
) -> None:
    cluster = await kutti.cluster(scratch).nodes(2, cpus=1, memory="512MiB").ensure()
    await start_counting(cluster)
    at_least = await counts_on(cluster)
    boots = [it.stdout for it in await cluster.run_all(_BOOT, check=True)]

    await cluster.suspend()
    assert "2 suspended" in (await cluster.status()).summary
    await cluster.resume()

    assert await counts_on(cluster) > at_least, "the connection is still the same"
    assert [it.stdout for it in await cluster.run_all(_BOOT, check=True)] == boots
    for node in cluster:
        before = time.time()
        shown = float((await node.run("date +%s.%N", check=True)).stdout)
        assert before - 1 < shown < time.time() + 1

    # What goes on is a cluster like any other: saved, suspended once more, and on by `ensure`.
    await cluster.checkpoint("later")
    await cluster.suspend()
    await cluster.spec.ensure()
    assert await counts_on(cluster) > at_least
