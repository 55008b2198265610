"""Two nodes of a cluster that count together, over one TCP connection that is never renewed."""

from __future__ import annotations

import anyio

import kutti_sdk as kutti

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


async def start_counting(cluster: kutti.Cluster) -> None:
    """Let node1 and node2 count together, each for as long as it runs."""
    begin = "cat >/run/count.pl; systemd-run --quiet --unit=count perl /run/count.pl"
    await cluster["node1"].run(f"{begin} listen", stdin=_COUNTER, check=True)
    address = await cluster["node1"].ip_address()
    await cluster["node2"].run(f"{begin} {address}", stdin=_COUNTER, check=True)


async def counts_on(cluster: kutti.Cluster) -> int:
    """Wait until both nodes have counted on; give the lower number."""
    first = await _counts(cluster)
    with anyio.fail_after(60):
        while not all(now > then for now, then in zip(await _counts(cluster), first, strict=True)):
            await anyio.sleep(0.1)
    return min(await _counts(cluster))


async def _counts(cluster: kutti.Cluster) -> list[int]:
    results = await cluster.run_all("cat /run/count || echo 0")
    return [int(result.stdout) for result in results]
