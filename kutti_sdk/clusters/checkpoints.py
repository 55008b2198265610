"""Checkpoints of clusters: saved, listed, brought back, copied."""

from __future__ import annotations

import time
from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING

import anyio
import msgspec

from kutti_sdk.clusters.drift import refuse_drift
from kutti_sdk.clusters.node_spec import NodeForward, NodeSpec
from kutti_sdk.clusters.observation import observe_cluster
from kutti_sdk.clusters.readiness import DEFAULT_STALL_TIMEOUT
from kutti_sdk.clusters.record import as_recorded, new_record_id, record_of
from kutti_sdk.clusters.removal import remove_cluster
from kutti_sdk.clusters.store import cluster_lock, load_record, require_record, save_record
from kutti_sdk.clusters.table import text_table
from kutti_sdk.core.checkpoints import (
    CheckpointDetails,
    require_checkpoint_bundles,
    require_checkpoints,
)
from kutti_sdk.core.display import Displayed, Listing
from kutti_sdk.core.driver import VMDriver
from kutti_sdk.core.errors import ClusterExistsError, InvalidInputError
from kutti_sdk.core.names import validate_name
from kutti_sdk.core.sizes import format_size
from kutti_sdk.runtime.tasks import interruptible, run_all

if TYPE_CHECKING:
    from kutti_sdk.clusters.cluster import Cluster
    from kutti_sdk.clusters.spec import ClusterSpec

DEFAULT_CLONES = 4
"""How many copies are brought to life at once."""

REMOVAL_TIME = 60.0
"""Seconds that the removal may take of what was begun and not finished."""


class Checkpoint(Displayed):
    """A cluster as it was at one instant; holds names only, as `Cluster` does.

    Args:
        spec: What the cluster was asked to be when this handle was made.
        details: What its driver knows about it.
    """

    def __init__(self, spec: ClusterSpec, details: CheckpointDetails) -> None:
        self._spec = spec
        self._details = details

    @property
    def name(self) -> str:
        """Its name, unique for its cluster."""
        return self._details.name

    @property
    def clustername(self) -> str:
        """Name of the cluster that was saved."""
        return self._details.clustername

    @property
    def details(self) -> CheckpointDetails:
        """Note, time, hosts and sizes."""
        return self._details

    async def clone(self, name: str, *, stall_timeout: float = DEFAULT_STALL_TIMEOUT) -> Cluster:
        """Make a running copy of the saved cluster, independent of it and of this checkpoint.

        It has the same nodes at the same addresses, on a network of its own, with keys and
        other identity of its own. Forwarded ports get free ports of this machine. When
        it fails or is cancelled, the copy is removed.

        Args:
            name: Name of the copy.
            stall_timeout: Seconds that a node may give no sign of life.

        Returns:
            The copy; every node answers over SSH and, with Kubernetes, is Ready.

        Raises:
            ClusterExistsError: When there is a cluster of that name.
            NetworkExistsError: When a network of that name belongs to no cluster.
            CheckpointNotFoundError: When the checkpoint was deleted.
            CheckpointMismatchError: When it cannot go on here: QEMU or the CPU is another.
            ResourceError: When this machine has not got enough memory or disk.
            HypervisorError: When a node does not come to life.
        """
        return await self._clone(validate_name(name, "cluster name"), stall_timeout)

    @interruptible
    async def clones(
        self,
        names: Sequence[str],
        *,
        limit: int = DEFAULT_CLONES,
        stall_timeout: float = DEFAULT_STALL_TIMEOUT,
    ) -> list[Cluster]:
        """Make several running copies; what `clone` does, for each of them.

        When one fails, those that are not ready yet are removed, and the others stay.

        Args:
            names: Names of the copies.
            limit: How many are brought to life at once, 1 or more.
            stall_timeout: Seconds that a node may give no sign of life.

        Returns:
            The copies, in the order of their names.

        Raises:
            InvalidInputError: When a name is given twice, or the limit lets nothing run.
            KuttiError: As `clone` does.
        """
        for name in names:
            validate_name(name, "cluster name")
        if len(set(names)) != len(names):
            raise InvalidInputError("a name is given twice", hint="Each copy has its own name.")
        jobs = (partial(self._clone, name, stall_timeout) for name in names)
        return Listing(await run_all(*jobs, limit=limit))

    @interruptible
    async def delete(self) -> None:
        """Remove the checkpoint; its cluster and its copies are not touched.

        Raises:
            CheckpointNotFoundError: When it was deleted already.
        """
        saver = require_checkpoints(self._spec.find_driver())
        await saver.delete_checkpoint(self.name, self._details.networkname, self.clustername)

    @interruptible
    async def export(self, path: str | PathLike[str], *, replace: bool = False) -> None:
        """Write it into one file, with the images it needs, to carry it to another machine.

        The file has all the secrets of the cluster in it: what is in memory, on the disks,
        host keys. Only this user may read it. `import_checkpoint` takes it.

        Args:
            path: The file to write.
            replace: Whether a file that is there may be replaced.

        Raises:
            CheckpointNotFoundError: When the checkpoint was deleted.
            CheckpointsUnsupportedError: When the driver cannot do it.
            ConflictError: When there is a file, and it may not be replaced.
            InvalidInputError: When no file can be at that path.
            NotEnoughDiskError: When it does not fit.
        """
        carrier = require_checkpoint_bundles(self._spec.find_driver())
        description = msgspec.json.encode(await require_record(self.clustername))
        place = self.name, self._details.networkname, self.clustername
        target = Path(path)
        await carrier.export_checkpoint(*place, target, description=description, replace=replace)

    def __repr__(self) -> str:
        return checkpoint_table(f"Checkpoint of {self.clustername}", [self])

    @interruptible
    async def _clone(self, name: str, stall_timeout: float) -> Cluster:
        driver = self._spec.find_driver()
        saver = require_checkpoints(driver)
        spec = self._spec_of_copy(await self._present_spec(), name)
        new_id = new_record_id()
        try:
            async with cluster_lock(name):
                await refuse_taken_name(spec, driver)
                # From here on it is known what the network and the hosts belong to.
                record = record_of(spec, None, new_id)
                await save_record(replace(record, copying=f"{self.name} of {self.clustername}"))
                place = self._details.networkname, self.clustername
                await saver.clone_checkpoint(self.name, *place, to=name)
                await save_record(record)
            return await spec.ensure(stall_timeout=stall_timeout)
        except BaseException:
            with anyio.CancelScope(shield=True), anyio.move_on_after(REMOVAL_TIME):
                await remove_cluster(driver, name, only_id=new_id)
            raise

    async def _present_spec(self) -> ClusterSpec:
        return as_recorded(self._spec, await require_record(self.clustername))

    def _spec_of_copy(self, spec: ClusterSpec, name: str) -> ClusterSpec:
        """Describe the copy: the nodes that were saved, and what leads to them."""
        hosts = {host.name: host for host in self._details.hosts}
        order = [node for node in spec.node_names if node in hosts]
        order += [node for node in hosts if node not in order]
        forwards = (it for it in spec.forwards if it.node in hosts)
        return replace(
            spec,
            name=name,
            node_specs=tuple(NodeSpec(node, hosts[node].size) for node in order),
            forwards=tuple(
                NodeForward(it.node, replace(it.forward, host_port=0)) for it in forwards
            ),
        )


async def refuse_taken_name(spec: ClusterSpec, driver: VMDriver) -> None:
    """Make sure that a cluster can be made under a name; the caller holds its lock.

    Args:
        spec: The cluster to be.
        driver: Its driver.

    Raises:
        ClusterExistsError: When there is a cluster of that name.
        NetworkExistsError: When a network of that name belongs to no cluster.
    """
    present = await load_record(spec.name)
    if present is not None:
        raise ClusterExistsError(
            f"cluster {spec.name!r} exists",
            hint="Choose another name, or delete it first.",
            driver=present.driver,
            cluster=spec.name,
        )
    refuse_drift(spec, None, await observe_cluster(driver, spec.name))


class CheckpointedCluster(Displayed):
    """What a `Cluster` can do with checkpoints."""

    @property
    @abstractmethod
    def name(self) -> str:
        """Its name, and that of its network."""

    @property
    @abstractmethod
    def spec(self) -> ClusterSpec:
        """What it was last asked to be, as far as known."""

    @abstractmethod
    async def start(self, *, stall_timeout: float = DEFAULT_STALL_TIMEOUT) -> None:
        """Start all nodes that are stopped; returns when all answer."""

    @abstractmethod
    async def _refresh(self) -> VMDriver:
        """Learn anew what it was last asked to be; give its driver."""

    @interruptible
    async def checkpoint(self, name: str, *, note: str = "") -> Checkpoint:
        """Save the running cluster: memory and disks of all nodes, at one instant.

        The nodes stand still for a moment and run on. The checkpoint belongs to the
        cluster, and is deleted with it.

        Args:
            name: Name of the checkpoint.
            note: Something to remember it by.

        Returns:
            The checkpoint.

        Raises:
            InvalidNameError: When the name is not valid.
            CheckpointsUnsupportedError: When the driver cannot save clusters.
            CheckpointExistsError: When the cluster has one of that name.
            HostNotRunningError: When a node does not run, or still boots.
            NotEnoughDiskError: When it would not fit.
            HypervisorError: When it could not be saved; the nodes run on, and nothing of
                it is kept.
        """
        saver = require_checkpoints(await self._refresh())
        async with cluster_lock(self.name):
            details = await saver.save_checkpoint(name, self.name, self.name, note=note)
        return Checkpoint(self.spec, details)

    @interruptible
    async def checkpoints(self) -> list[Checkpoint]:
        """List the checkpoints of the cluster.

        Returns:
            The checkpoints, oldest first.

        Raises:
            CheckpointsUnsupportedError: When the driver cannot save clusters.
        """
        saver = require_checkpoints(await self._refresh())
        return Listing(
            Checkpoint(self.spec, details)
            for details in await saver.list_checkpoints()
            if (details.networkname, details.clustername) == (self.name, self.name)
        )

    @interruptible
    async def restore(self, name: str, *, stall_timeout: float = DEFAULT_STALL_TIMEOUT) -> None:
        """Bring the cluster back to a checkpoint; what it did since is lost.

        Connections between its nodes go on, those from outside are lost. Clocks are
        set; forwards and keys stay as they are now.

        Args:
            name: Name of the checkpoint.
            stall_timeout: Seconds that a node may give no sign of life.

        Raises:
            CheckpointNotFoundError: When there is none of that name; names those there are.
            CheckpointMismatchError: When the cluster has other nodes by now, or QEMU or
                the CPU is another; nothing was touched.
            NotEnoughMemoryError: When this machine has not got the memory.
            HypervisorError: When a node does not come back; start the cluster to boot it
                from the disk that it had.
        """
        saver = require_checkpoints(await self._refresh())
        async with cluster_lock(self.name):
            await saver.restore_checkpoint(name, self.name, self.name)
        await self.start(stall_timeout=stall_timeout)


def checkpoint_table(heading: str, checkpoints: Sequence[Checkpoint]) -> str:
    """Write checkpoints as a text table.

    Args:
        heading: A line above it.
        checkpoints: The checkpoints.

    Returns:
        The table.
    """
    return text_table(
        heading,
        ("name", "saved", "nodes", "memory", "disk", "shared", "note"),
        (
            (
                details.name,
                time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(details.created)),
                str(len(details.hosts)),
                format_size(details.memory),
                format_size(details.disk),
                format_size(details.shared),
                details.note,
            )
            for details in (checkpoint.details for checkpoint in checkpoints)
        ),
    )
