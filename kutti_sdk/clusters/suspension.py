"""Clusters that are suspended, and go on."""

from __future__ import annotations

from abc import abstractmethod

from kutti_sdk.clusters.observation import cluster_hosts
from kutti_sdk.clusters.readiness import DEFAULT_STALL_TIMEOUT
from kutti_sdk.clusters.store import cluster_lock
from kutti_sdk.core.display import Displayed
from kutti_sdk.core.driver import VMDriver
from kutti_sdk.core.errors import ConflictError
from kutti_sdk.core.status import HostStatus
from kutti_sdk.core.suspension import require_suspension
from kutti_sdk.runtime.tasks import interruptible, run_all


class SuspendableCluster(Displayed):
    """What a `Cluster` can do to leave this machine's memory for a while."""

    @property
    @abstractmethod
    def name(self) -> str:
        """Its name, and that of its network."""

    @abstractmethod
    async def start(self, *, stall_timeout: float = DEFAULT_STALL_TIMEOUT) -> None:
        """Start all nodes that do not run; returns when all answer."""

    @abstractmethod
    async def _refresh(self) -> VMDriver:
        """Learn anew what it was last asked to be; give its driver."""

    @interruptible
    async def suspend(self) -> None:
        """Write the memory of all nodes to the disk, at one instant, and end their machines.

        A suspended cluster takes no memory, and outlives a restart of this machine. `resume`
        lets it go on, and so do `start` and `ClusterSpec.ensure`. Connections between its
        nodes outlive it, those from outside end. `force_stop` gives up what was in memory.

        Nodes that do not run stay as they are. A cluster that is suspended stays so.

        Raises:
            ClusterNotFoundError: When the cluster does not exist any more.
            SuspensionUnsupportedError: When the driver cannot suspend clusters.
            HostNotRunningError: When no node runs or is suspended, or one still boots.
            NotEnoughDiskError: When what is in memory would not fit on the disk.
            HypervisorError: When it could not be done; the nodes run on.
        """
        suspender = require_suspension(await self._refresh())
        async with cluster_lock(self.name):
            await suspender.suspend_cluster(self.name, self.name)

    @interruptible
    async def resume(self, *, stall_timeout: float = DEFAULT_STALL_TIMEOUT) -> None:
        """Let a suspended cluster go on; as `start`, but of no other cluster.

        Clocks are set, and there are new random numbers. A node of which the saved memory
        is damaged boots from its disk; an event of phase ``warning`` says so.

        Args:
            stall_timeout: Seconds that a node may give no sign of life.

        Raises:
            ClusterNotFoundError: When the cluster does not exist any more.
            ConflictError: When no node is suspended.
            CheckpointMismatchError: When QEMU or the CPU is another one than before; the
                cluster stays suspended.
            KuttiError: As `start` does.
        """
        driver = await self._refresh()
        hosts = await cluster_hosts(driver, self.name)
        if HostStatus.SUSPENDED not in await run_all(*(host.status for host in hosts)):
            raise ConflictError(
                f"cluster {self.name!r} is not suspended",
                hint="Use start() for one that is stopped.",
                driver=driver.name,
                cluster=self.name,
            )
        await self.start(stall_timeout=stall_timeout)
