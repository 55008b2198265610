"""A cluster that was made, to be looked at and driven."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from functools import partial
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING

from kutti_sdk.clusters import access
from kutti_sdk.clusters.apply import apply_change
from kutti_sdk.clusters.checkpoints import CheckpointedCluster
from kutti_sdk.clusters.kubernetes import bring_up_alone, new_bring_up, pod_manifest
from kutti_sdk.clusters.node import Node
from kutti_sdk.clusters.observation import cluster_hosts
from kutti_sdk.clusters.power import shut_down, switch_on
from kutti_sdk.clusters.readiness import DEFAULT_STALL_TIMEOUT, wait_until_reachable
from kutti_sdk.clusters.record import ClusterRecord, as_recorded
from kutti_sdk.clusters.removal import remove_cluster, remove_node
from kutti_sdk.clusters.status import ClusterStatus, cluster_status
from kutti_sdk.clusters.store import no_such_cluster, require_record
from kutti_sdk.clusters.suspension import SuspendableCluster
from kutti_sdk.clusters.table import text_table
from kutti_sdk.clusters.watching import ClusterChanges
from kutti_sdk.core.driver import HostChange, VMDriver
from kutti_sdk.core.errors import HostNotFoundError
from kutti_sdk.core.host import DEFAULT_STOP_TIMEOUT, VMHost
from kutti_sdk.core.sizes import format_size
from kutti_sdk.core.ssh import CommandResult
from kutti_sdk.core.status import AT_REST
from kutti_sdk.runtime import tasks
from kutti_sdk.runtime.tasks import interruptible
from kutti_sdk.ssh.fanout import DEFAULT_LIMIT, FanOut

if TYPE_CHECKING:
    from kr8s.asyncio import Api

    from kutti_sdk.clusters.spec import ClusterSpec


class Cluster(CheckpointedCluster, SuspendableCluster):
    """A cluster: holds names, no connection and no state of its machines.

    Any number of handles, in any number of cells and processes, may name one
    cluster. The names of its nodes are those last known; `status` and the methods
    that change the cluster learn them anew.

    Args:
        spec: What the cluster was last asked to be.
    """

    def __init__(self, spec: ClusterSpec) -> None:
        self._spec = spec

    @property
    def name(self) -> str:
        """Its name, and that of its network."""
        return self._spec.name

    @property
    def spec(self) -> ClusterSpec:
        """What it was last asked to be, as far as known; change it and `ensure` that."""
        return self._spec

    @property
    def nodes(self) -> tuple[Node, ...]:
        """Its nodes, as far as known."""
        return tuple(Node(self, name) for name in self._spec.node_names)

    def __getitem__(self, name: str) -> Node:
        """Give the handle of a node.

        Args:
            name: Name of the node.

        Returns:
            The node.

        Raises:
            HostNotFoundError: When no node of that name is known; names those that are.
        """
        if name not in self._spec.node_names:
            raise HostNotFoundError(
                f"cluster {self.name!r} has no node {name!r}",
                hint=f"Its nodes: {', '.join(self._spec.node_names)}.",
                cluster=self.name,
                host=name,
            )
        return Node(self, name)

    def __iter__(self) -> Iterator[Node]:
        return iter(self.nodes)

    def __len__(self) -> int:
        return len(self._spec.node_names)

    @interruptible
    async def status(self) -> ClusterStatus:
        """Ask the hypervisor how all nodes are, and Kubernetes where there is any.

        Never waits for a lock, and 20 s for Kubernetes at the most.

        Returns:
            The status now.

        Raises:
            ClusterNotFoundError: When the cluster does not exist any more.
        """
        return await cluster_status(await self._refresh(), self._spec)

    @interruptible
    async def start(self, *, stall_timeout: float = DEFAULT_STALL_TIMEOUT) -> None:
        """Start all nodes that are stopped; returns when all answer, and are Ready.

        Those that are suspended go on where they were.

        Args:
            stall_timeout: Seconds that a booting node's console may be silent, and that
                Kubernetes on it may give no sign of life.

        Raises:
            ClusterNotFoundError: When the cluster does not exist any more.
            ResourceError: When this machine has not got enough for all of them; none
                is started then.
            HypervisorError: When a node could not be started, or stopped meanwhile.
            ReadyTimeoutError: When a node stalled.
            KubernetesError: When Kubernetes does not come back.
        """
        driver = await self._refresh()
        hosts = await cluster_hosts(driver, self.name)
        statuses = await tasks.run_all(*(host.status for host in hosts))
        pairs = zip(hosts, statuses, strict=True)
        stopped = [host for host, status in pairs if status in AT_REST]
        await driver.check_capacity([host.size for host in stopped])

        kubernetes = new_bring_up(self._spec, pod_manifest(self._spec), stall_timeout)

        async def bring_up(host: VMHost) -> None:
            if host in stopped:
                await switch_on(host)
            await wait_until_reachable(host, stall_timeout=stall_timeout)
            if host.name in self._spec.node_names:
                kubernetes.arrived(host)

        async with tasks.task_group() as group:
            for host in hosts:
                group.start_soon(bring_up, host)
            # Not on a half-made cluster, whose other nodes would be waited for in vain.
            if self._spec.is_brought_up and len(hosts) >= len(self._spec.node_names):
                group.start_soon(bring_up_alone, kubernetes, self.name)

    @interruptible
    async def stop(self, timeout: float = DEFAULT_STOP_TIMEOUT) -> None:
        """Shut all running nodes down from inside, side by side.

        Args:
            timeout: Seconds to wait for them.

        Raises:
            ClusterNotFoundError: When the cluster does not exist any more.
            StateChangeTimeoutError: When a node still runs after the time.
        """
        hosts = await cluster_hosts(await self._refresh(), self.name)
        await tasks.run_all(*(partial(shut_down, host, timeout) for host in hosts))

    @interruptible
    async def force_stop(self) -> None:
        """Stop all nodes at once, as if their power had failed.

        Raises:
            ClusterNotFoundError: When the cluster does not exist any more.
        """
        hosts = await cluster_hosts(await self._refresh(), self.name)
        await tasks.run_all(*(host.force_stop for host in hosts))

    @interruptible
    async def delete(self) -> None:
        """Remove the cluster with all that belongs to it: nodes, disks, network, keys.

        Nodes that run are switched off. Works on half-made clusters, goes on where an
        interrupted one ended, and has nothing to do when there is no such cluster.

        Raises:
            NetworkInUseError: When hosts of another cluster are in its network.
        """
        await remove_cluster(self._spec.find_driver(), self.name)

    @interruptible
    async def add_node(
        self,
        name: str,
        *,
        cpus: int | None = None,
        memory: int | str | None = None,
        disk: int | str | None = None,
        stall_timeout: float = DEFAULT_STALL_TIMEOUT,
    ) -> Node:
        """Add a node, and bring up the whole cluster as `ClusterSpec.ensure` does.

        Args:
            name: Its name.
            cpus: Number of CPUs; the first node's when not given, like the others.
            memory: Bytes, or a text such as ``"2GiB"``.
            disk: Bytes, or a text such as ``"20GiB"``.
            stall_timeout: Seconds that a booting node's console may be silent.

        Returns:
            The node.

        Raises:
            ClusterNotFoundError: When the cluster does not exist any more.
            ClusterDriftError: When it has a node of that name and another size; one of
                this size is brought up.
            KuttiError: As `ClusterSpec.ensure` does.
        """

        def with_node(record: ClusterRecord | None) -> ClusterSpec:
            if record is None:
                raise no_such_cluster(self.name)
            spec = as_recorded(self._spec, record)
            return spec.node(name, cpus=cpus, memory=memory, disk=disk)

        self._spec = await apply_change(
            self.name, with_node, self._spec.find_driver(), stall_timeout=stall_timeout
        )
        return Node(self, name)

    @interruptible
    async def remove_node(self, name: str) -> None:
        """Remove a node and its disk for good; the others are left as they are.

        Args:
            name: Its name.

        Raises:
            ClusterNotFoundError: When the cluster does not exist any more.
            InvalidSpecError: When it has no such node, or no other.
        """
        self._spec = await remove_node(self._spec.find_driver(), self._spec, name)

    def run_all(
        self,
        command: str,
        *,
        limit: int = DEFAULT_LIMIT,
        timeout: float | None = None,
        check: bool = False,
        stdin: str | None = None,
    ) -> FanOut[CommandResult]:
        """Run a command on all nodes side by side.

        Await what this returns for a list in the order of the nodes, or iterate over
        it for the results as they come.

        Args:
            command: A shell command line.
            limit: On how many nodes at once.
            timeout: Seconds it may take on each; None for as long as it takes.
            check: Fail when an exit status is not 0.
            stdin: Text for its standard input; None for none.

        Returns:
            The results to be.
        """
        jobs = {
            node.name: partial(node.run, command, timeout=timeout, check=check, stdin=stdin)
            for node in self.nodes
        }
        return FanOut(jobs, limit=limit)

    @interruptible
    async def kubectl(
        self,
        arguments: str,
        *,
        stdin: str | None = None,
        timeout: float | None = None,
        check: bool = False,
    ) -> CommandResult:
        """Run kubectl on the control plane, over SSH, as the cluster's administrator.

        Args:
            arguments: What follows the word ``kubectl``, as in a shell: ``get nodes``.
            stdin: Text for its standard input, such as a manifest for ``apply -f -``.
            timeout: Seconds it may take; None for as long as it takes.
            check: Raise an error when the exit status is not 0.

        Returns:
            The result.

        Raises:
            InvalidSpecError: When the cluster has no Kubernetes.
            HostNotRunningError: When the control plane does not run.
            CommandFailedError: With `check`, when the exit status is not 0.
        """
        driver = await self._refresh()
        return await access.run_kubectl(
            driver, self._spec, arguments, stdin=stdin, timeout=timeout, check=check
        )

    @interruptible
    async def kubeconfig(self) -> Path:
        """Write the administrator's kubeconfig for this machine into a file of its own.

        Only this user may read the file, and it goes with the cluster. Its cluster, user
        and context are named ``kutti-`` and the cluster's name.

        Returns:
            The file.

        Raises:
            InvalidSpecError: When the cluster has no Kubernetes.
            HostNotRunningError: When the control plane does not run.
            KubernetesError: When it was not initialised yet.
        """
        driver = await self._refresh()
        return await access.write_kubeconfig(driver, self._spec)

    @interruptible
    async def merge_kubeconfig(self, into: str | PathLike[str] | None = None) -> Path:
        """Add the administrator's kubeconfig to the user's own, and make it the current one.

        Everything else in the user's file stays, comments too.

        Args:
            into: The user's file; the one that kubectl uses when not given.

        Returns:
            The user's file.

        Raises:
            InvalidInputError: When the user's file is no kubeconfig; it is left alone.
            KuttiError: As `kubeconfig` does.
        """
        driver = await self._refresh()
        return await access.merge_kubeconfig(driver, self._spec, into)

    @interruptible
    async def kube(self) -> Api:
        """Give a client of the Kubernetes API that is ready to use, made by kr8s.

        Returns:
            What ``kr8s.asyncio.api`` gives.

        Raises:
            KuttiError: When kr8s is not installed (extra ``kubernetes``), or as
                `kubeconfig` does.
        """
        driver = await self._refresh()
        return await access.connect_client(driver, self._spec)

    @interruptible
    async def load_image(self, archive: str | PathLike[str]) -> tuple[str, ...]:
        """Bring container images to all nodes side by side, only where they are missing.

        Args:
            archive: What ``docker save``, ``podman save`` or ``ctr images export`` wrote;
                may be compressed by gzip or xz.

        Returns:
            Names of the nodes that did not have them.

        Raises:
            ImageFormatError: When it is no such archive.
            HostNotRunningError: When a node does not run.
            FileTransferError: When it could not be copied.
            KubernetesError: When a node's container runtime refuses it.
        """
        driver = await self._refresh()
        return await access.load_image(driver, self._spec, archive)

    def watch(self) -> AsyncIterator[HostChange]:
        """Follow the state of the cluster's hosts until the caller stops iterating.

        Returns:
            An iterator over the hosts there are, then over every change, also of hosts
            that appear or vanish.
        """
        return ClusterChanges(self._spec.find_driver(), self.name)

    def __repr__(self) -> str:
        return text_table(
            f"Cluster {self.name} on {self._spec.driver_name}, {self._spec.kubernetes_text}",
            ("node", "CPUs", "memory", "disk"),
            (
                (
                    node.name,
                    str(node.size.cpus),
                    format_size(node.size.memory),
                    format_size(node.size.disk),
                )
                for node in self._spec.node_specs
            ),
        )

    async def _refresh(self) -> VMDriver:
        self._spec = as_recorded(self._spec, await require_record(self.name))
        return self._spec.find_driver()
