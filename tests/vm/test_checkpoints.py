"""A cluster with a connection between its nodes is saved, copied and brought back."""

from __future__ import annotations

import pytest
from counting import counts_on, start_counting

import kutti_sdk as kutti

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.parametrize("anyio_backend", ["asyncio"]),
]

# What no two of them may have in common, in one line each.
_IDENTITY = (
    "head -c 16 /dev/urandom | od -An -tx1; cat /etc/machine-id; cat /sys/class/net/eth0/address; "
    "cat /etc/ssh/ssh_host_ed25519_key.pub; cat /root/.ssh/authorized_keys"
)


async def test_a_cluster_goes_on_from_where_it_was_saved_in_every_copy(scratch: str) -> None:
    cluster = await kutti.cluster(scratch).nodes(2, cpus=1, memory="512MiB").ensure()
    names = [f"{scratch}-{number}" for number in (1, 2)]
    await start_counting(cluster)
    at_least = await counts_on(cluster)
    await cluster.run_all("touch /root/before; sync", check=True)

    saved = await cluster.checkpoint("start", note="both nodes count")
    assert saved.details.pause < 2.0
    await cluster.run_all("touch /root/since /run/since", check=True)
    assert await counts_on(cluster) > at_least

    try:
        copies = await saved.clones(names)
        await cluster.restore("start")
        everyone = [cluster, *copies]
        for one in everyone:
            assert await counts_on(one) > at_least, "the connection is still the same"
            for result in await one.run_all("ls /root /run/since; hostname; date +%s"):
                assert "before" in result.stdout.split()
                assert "since" not in result.stdout.split()

        # They are somebody each: keys, machine ids, addresses of cards, random numbers.
        identities = [
            line for one in everyone for it in await one.run_all(_IDENTITY) for line in _lines(it)
        ]
        own_to_nodes = [line for line in identities if not line.startswith("ssh-")]
        assert len(set(own_to_nodes)) == len(own_to_nodes) == 3 * 2 * 3
        keys = {line for line in identities if line.startswith("ssh-")}
        assert len(keys) == 3 * 2 + 3, "a key of each node, and one to log in for each cluster"

        # A copy is a cluster like any other: it boots, as itself, from its own disk.
        copy = copies[0]
        before = [_lines(it)[1:] for it in await copy.run_all(_IDENTITY)]
        await copy.force_stop()
        await saved.delete()
        await cluster.force_stop()
        await copy["node2"].start()
        assert _lines(await copy["node2"].run(_IDENTITY))[1:] == before[1]
        assert (await copy["node2"].run("test -e /root/before")).ok
        assert await counts_on(copies[1]) > at_least, "no copy needs another"
    finally:
        for name in names:
            try:
                await (await kutti.attach(name)).delete()
            except kutti.ClusterNotFoundError:
                pass


def _lines(result: kutti.CommandResult) -> list[str]:
    return [line.strip() for line in result.stdout.splitlines()]
