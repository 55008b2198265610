"""The fluent face of a cluster: words describe, verbs act."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial

import anyio

from kutti_sdk.clusters.apply import apply_change
from kutti_sdk.clusters.cluster import Cluster
from kutti_sdk.clusters.kubernetes_words import KubernetesWords
from kutti_sdk.clusters.plan import Plan, make_plan
from kutti_sdk.clusters.progress import ClusterRun, following
from kutti_sdk.clusters.readiness import DEFAULT_STALL_TIMEOUT
from kutti_sdk.clusters.record import ClusterRecord, new_record_id
from kutti_sdk.clusters.removal import remove_cluster
from kutti_sdk.clusters.store import load_record
from kutti_sdk.core.driver import VMDriver
from kutti_sdk.core.errors import ClusterExistsError, WaitTimeoutError
from kutti_sdk.runtime.tasks import interruptible

_REMOVAL_TIME = 60.0  # seconds that the end of an ephemeral cluster may take


def cluster(name: str) -> ClusterSpec:
    """Begin to describe a cluster: one plain node on QEMU, until told otherwise.

    Args:
        name: Name of the cluster.

    Returns:
        The spec.

    Raises:
        InvalidNameError: When the name is not valid.
    """
    return ClusterSpec(name)


class ClusterSpec(KubernetesWords):
    """What a cluster shall be, and the verbs that make it so.

    Immutable: each word returns a new spec. Nothing is touched before a verb is
    awaited, and `ensure` may be awaited any number of times.
    """

    __slots__ = ()

    @interruptible
    async def plan(self) -> Plan:
        """Tell what `ensure` would change; nothing is changed.

        Returns:
            The steps; none when all is as described.

        Raises:
            ClusterDriftError: When the cluster there is cannot become what is described
                without losing data.
            NetworkExistsError: When a network of its name belongs to no cluster.
            ImageNotFoundError: When a host is to be made, and there is no image for it.
            ImageDeprecatedError: When that image is not for new hosts any more.
        """
        return await make_plan(self, await load_record(self.name), self.find_driver())

    async def ensure(self, *, stall_timeout: float = DEFAULT_STALL_TIMEOUT) -> Cluster:
        """Make the cluster as described: create, continue, change or leave it as it is.

        Returns when every node answers over SSH and, with Kubernetes, is Ready. When
        it fails or is cancelled, what was made stays, kubeadm goes on where it runs, and
        the next `ensure` goes on from there.

        Args:
            stall_timeout: Seconds that a booting node's console may be silent, and that
                Kubernetes on it may give no sign of life.

        Returns:
            The cluster.

        Raises:
            DriverUnavailableError: When the driver cannot work on this machine.
            ClusterDriftError: When the cluster there is cannot become what is described
                without losing data.
            ResourceError: When this machine has not got enough memory, CPUs or disk.
            PortInUseError: When a port of this machine is taken.
            ImageError: When the image cannot be had.
            HypervisorError: When a node could not be started, or stopped meanwhile.
            ReadyTimeoutError: When a node stalled.
            KubernetesError: When kubeadm failed, stalled, or found no place to work.
        """
        return await self._apply(lambda _: self, stall_timeout)

    async def create(self, *, stall_timeout: float = DEFAULT_STALL_TIMEOUT) -> Cluster:
        """Make the cluster, which must not exist.

        Args:
            stall_timeout: Seconds that a booting node's console may be silent, and that
                Kubernetes on it may give no sign of life.

        Returns:
            The cluster.

        Raises:
            ClusterExistsError: When it exists, complete or not.
            KuttiError: As `ensure` does.
        """
        return await self._apply(self._if_new, stall_timeout)

    def apply(
        self, *, stall_timeout: float = DEFAULT_STALL_TIMEOUT
    ) -> AbstractAsyncContextManager[ClusterRun]:
        """Do what `ensure` does, and follow its progress; leaving the block cancels it.

        Args:
            stall_timeout: Seconds that a booting node's console may be silent, and that
                Kubernetes on it may give no sign of life.

        Returns:
            A context manager for the run; iterate over that.
        """
        return following(partial(self.ensure, stall_timeout=stall_timeout))

    @asynccontextmanager
    async def ephemeral(
        self, *, stall_timeout: float = DEFAULT_STALL_TIMEOUT
    ) -> AsyncIterator[Cluster]:
        """Make a cluster for the length of a block; it is deleted however the block ends.

        Args:
            stall_timeout: Seconds that a booting node's console may be silent, and that
                Kubernetes on it may give no sign of life.

        Yields:
            The cluster.

        Raises:
            ClusterExistsError: When it exists; it is left alone.
            WaitTimeoutError: When it could not be deleted within a minute.
            KuttiError: As `ensure` does.
        """
        driver = self.find_driver()
        new_id = new_record_id()
        try:
            yield await self._apply(self._if_new, stall_timeout, new_id)
        finally:
            await self._remove_in_time(driver, new_id)

    @interruptible
    async def _apply(
        self,
        change: Callable[[ClusterRecord | None], ClusterSpec],
        stall_timeout: float,
        new_id: str | None = None,
    ) -> Cluster:
        driver = self.find_driver()
        made = await apply_change(
            self.name, change, driver, stall_timeout=stall_timeout, new_id=new_id
        )
        return Cluster(made)

    def _if_new(self, record: ClusterRecord | None) -> ClusterSpec:
        if record is not None:
            raise ClusterExistsError(
                f"cluster {self.name!r} exists",
                hint="Use ensure() to continue or change it, or delete it first.",
                driver=record.driver,
                cluster=self.name,
            )
        return self

    async def _remove_in_time(self, driver: VMDriver, record_id: str) -> None:
        try:
            with anyio.fail_after(_REMOVAL_TIME, shield=True):
                await remove_cluster(driver, self.name, only_id=record_id)
        except TimeoutError as error:
            raise WaitTimeoutError(
                f"cluster {self.name!r} could not be deleted within {_REMOVAL_TIME:.0f} s",
                hint=f"What is left of it goes with: await (await attach({self.name!r})).delete()",
                cluster=self.name,
            ) from error
