"""One of many processes that work on the same clusters and on their own at once.

    crowd_member.py WORKSPACE IMAGE_LIST NUMBER SECONDS

It writes a line for each thing it did, and ends with a traceback when one failed or
something was not as it had left it.
"""

from __future__ import annotations

import random
import sys
import time
from functools import partial
from pathlib import Path

import anyio
from qemu_lab import expect_no_system_inside, make_lab

import kutti_sdk as kutti
from kutti_sdk.clusters.cluster import Cluster
from kutti_sdk.clusters.spec import ClusterSpec
from kutti_sdk.core.errors import NotFoundError
from kutti_sdk.runtime.directories import set_workspace

_FIRST_PORT = 9000  # of hosts; each member has its own


class Member:
    """Does one thing after the other.

    Args:
        spec: What all clusters look like, but for their names.
        number: Which member it is.
    """

    def __init__(self, spec: ClusterSpec, number: int) -> None:
        self._spec = spec
        self._number = number
        self._random = random.Random(number)

    async def work(self, seconds: float) -> None:
        """Work for some time: on a cluster of one's own, one for all, one that comes and goes."""
        own, shared, passing = map(self._spec.named, (f"own{self._number}", "shared", "passing"))
        choices = [
            (self._ensure, own),
            (self._forward, own),
            (self._look, own),
            (self._begin_again, own),
            (self._ensure, shared),
            *[(self._forward, shared)] * 3,
            (self._look, shared),
            (self._ensure, passing),
            (self._delete, passing),
        ]
        for spec in (own, shared):
            await self._ensure(spec)
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            act, spec = self._random.choice(choices)
            await act(spec)
            await self._no_port_is_given_twice()
            print(act.__name__.strip("_"), spec.name, flush=True)  # noqa: T201
        await self._delete(own)

    async def _ensure(self, spec: ClusterSpec) -> None:
        await spec.ensure()

    async def _forward(self, spec: ClusterSpec) -> None:
        """Forward a port of one's own, see it, and take it back."""
        node, port = (await kutti.attach(spec.name))["node1"], _FIRST_PORT + self._number
        given = await node.forward(0, to=port)
        assert (given, port) in [(it.host_port, it.vm_port) for it in await node.forwards()]
        await node.unforward(to=port)
        assert port not in [it.vm_port for it in await node.forwards()]

    async def _look(self, spec: ClusterSpec) -> None:
        await (await kutti.attach(spec.name)).status()
        await kutti.list_clusters()

    async def _delete(self, spec: ClusterSpec) -> None:
        await Cluster(spec).delete()

    async def _begin_again(self, spec: ClusterSpec) -> None:
        await self._delete(spec)
        await self._ensure(spec)

    async def _no_port_is_given_twice(self) -> None:
        given = []
        for host in await self._spec.find_driver().list_hosts():
            try:
                given += [forward.host_port for forward in await host.forwards()]
            except NotFoundError:  # deleted meanwhile
                pass
        assert len(given) == len(set(given)), f"ports were given twice: {sorted(given)}"


def main(workspace: str, image_list: str, number: str, seconds: str) -> None:
    """Be a member."""
    set_workspace(workspace)
    with expect_no_system_inside():
        lab = make_lab(Path(image_list), Path(workspace), port=0)
        kutti.register_driver("qemu", lab.driver)
        spec = lab.spec.without_node("node2")
        anyio.run(partial(Member(spec, int(number)).work, float(seconds)))


if __name__ == "__main__":
    main(*sys.argv[1:])
