"""A cluster with a connection between its nodes is saved, copied and brought back."""

from __future__ import annotations

import anyio
import pytest

import kutti_sdk as kutti

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.parametrize("anyio_backend", ["asyncio"]),
]

# One end listens, the other begins; each adds one to what it hears and says it. The
# number is kept in memory only, and nobody connects a second time.
_COUNTER = r"""
use IO::Socket::INET;
my $end;
if ($ARGV[0] eq "listen") {
    $end = IO::Socket::INET->new(LocalPort => 7000, Listen => 1)->accept;
} else {
    until ($end) { $end = IO::Socket::INET->new(PeerAddr => "$ARGV[0]:7000") }
    print $end "1\n"; $end->flush;
}
while (my $number = <$end>) {
    chomp $number;
    open(my $file, ">", "/run/count.new"); print $file $number; close $file;
    rename "/run/count.new", "/run/count";
    select(undef, undef, undef, 0.2);
    print $end $number + 1, "\n"; $end->flush;
}
"""

# What no two of them may have in common, in one line each.
_IDENTITY = (
    "head -c 16 /dev/urandom | od -An -tx1; cat /etc/machine-id; cat /sys/class/net/eth0/address; "
    "cat /etc/ssh/ssh_host_ed25519_key.pub; cat /root/.ssh/authorized_keys"
)


async def test_a_cluster_goes_on_from_where_it_was_saved_in_every_copy(scratch: str) -> None:
    cluster = await kutti.cluster(scratch).nodes(2, cpus=1, memory="512MiB").ensure()
    names = [f"{scratch}-{number}" for number in (1, 2)]
    await _start_counting(cluster)
    at_least = await _counts_on(cluster)
    await cluster.run_all("touch /root/before; sync", check=True)

    saved = await cluster.checkpoint("start", note="both nodes count")
    assert saved.details.pause < 2.0
    await cluster.run_all("touch /root/since /run/since", check=True)
    assert await _counts_on(cluster) > at_least

    try:
        copies = await saved.clones(names)
        await cluster.restore("start")
        everyone = [cluster, *copies]
        for one in everyone:
            assert await _counts_on(one) > at_least, "the connection is still the same"
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
        assert await _counts_on(copies[1]) > at_least, "no copy needs another"
    finally:
        for name in names:
            try:
                await (await kutti.attach(name)).delete()
            except kutti.ClusterNotFoundError:
                pass


async def _start_counting(cluster: kutti.Cluster) -> None:
    begin = "cat >/run/count.pl; systemd-run --quiet --unit=count perl /run/count.pl"
    await cluster["node1"].run(f"{begin} listen", stdin=_COUNTER, check=True)
    address = await cluster["node1"].ip_address()
    await cluster["node2"].run(f"{begin} {address}", stdin=_COUNTER, check=True)


async def _counts_on(cluster: kutti.Cluster) -> int:
    """Wait until both nodes have counted on; give the lower number."""
    first = await _counts(cluster)
    with anyio.fail_after(60):
        while not all(now > then for now, then in zip(await _counts(cluster), first, strict=True)):
            await anyio.sleep(0.1)
    return min(await _counts(cluster))


async def _counts(cluster: kutti.Cluster) -> list[int]:
    results = await cluster.run_all("cat /run/count || echo 0")
    return [int(result.stdout) for result in results]


def _lines(result: kutti.CommandResult) -> list[str]:
    return [line.strip() for line in result.stdout.splitlines()]
