"""Follows the states of a cluster's hosts.

The iterators hold nothing that must be closed, so that a loop over them may be
left at any time, in a notebook's cell as anywhere.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable

from kutti_sdk.core.driver import HostChange, VMDriver
from kutti_sdk.core.host import VMHost
from kutti_sdk.core.status import HostStatus


class ClusterChanges(AsyncIterator[HostChange]):
    """The changes of one cluster's hosts among those of all.

    Args:
        driver: The cluster's driver.
        clustername: Name of the cluster, and of its network.
    """

    def __init__(self, driver: VMDriver, clustername: str) -> None:
        self._changes = driver.watch()
        self._clustername = clustername

    async def __anext__(self) -> HostChange:
        while True:
            change = await anext(self._changes)
            if change.clustername == change.networkname == self._clustername:
                return change


class NodeChanges(AsyncIterator[HostStatus]):
    """The states of a node's host.

    Args:
        find_host: Finds the host, when the first state is asked for.
    """

    def __init__(self, find_host: Callable[[], Awaitable[VMHost]]) -> None:
        self._find_host = find_host
        self._changes: AsyncIterator[HostStatus] | None = None

    async def __anext__(self) -> HostStatus:
        if self._changes is None:
            self._changes = (await self._find_host()).watch()
        return await anext(self._changes)
