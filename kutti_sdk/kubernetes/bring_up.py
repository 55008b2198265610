"""Brings Kubernetes up on the hosts of a cluster, as soon as each can be reached.

The first node becomes the control plane while the others still boot; they join side
by side. Whatever is done already is found done, and what was begun is continued.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import anyio
from anyio.abc import TaskGroup

from kutti_sdk.core.host import VMHost
from kutti_sdk.kubernetes.control_plane import ensure_control_plane
from kutti_sdk.kubernetes.guest import Guest, reach
from kutti_sdk.kubernetes.manifest import PodManifest, apply_manifest
from kutti_sdk.kubernetes.node_facts import NodeFacts, ask_node, refuse_expired, require_kubeadm
from kutti_sdk.kubernetes.node_table import NodeTable
from kutti_sdk.kubernetes.options import KubernetesOptions
from kutti_sdk.kubernetes.phases import JOIN, NODES, POD_NETWORK
from kutti_sdk.kubernetes.pod_network import PodRange, connect_pods, route_pods
from kutti_sdk.kubernetes.vigil import NO_SIGNS, Vigil
from kutti_sdk.kubernetes.workers import Invitation, has_joined, invite, join
from kutti_sdk.runtime.tasks import run_all, task_group

_RARE_NEWS = 3
"""How much longer than for words of kubeadm we wait for those of the API server about a
node: controllers restart when a cluster is new, and back off for a minute and more."""


class BringUp:
    """Kubernetes on its way up, on one cluster.

    Args:
        node_names: Names of all its nodes; the first is the control plane.
        k8s_version: The version that it shall have.
        options: What the user chose.
        manifest: The pod network's manifest, if it is still to be given; None for none.
        stall_timeout: Seconds without a sign of life before a node counts as stalled.
    """

    def __init__(
        self,
        node_names: Sequence[str],
        k8s_version: str,
        options: KubernetesOptions,
        manifest: PodManifest | None,
        *,
        stall_timeout: float,
    ) -> None:
        self._names = tuple(node_names)
        self._k8s_version = k8s_version
        self._options = options
        self._manifest = manifest
        self._stall_timeout = stall_timeout
        self._hosts: dict[str, VMHost] = {}
        self._arrived = {name: anyio.Event() for name in self._names}
        self._control_plane_up = anyio.Event()
        self._inviting = anyio.Lock()
        self._invitation: Invitation | None = None
        self._guests: dict[str, Guest] = {}
        self._facts: dict[str, NodeFacts] = {}
        self._ranges: dict[str, PodRange] = {}
        self._following = False

    def arrived(self, host: VMHost) -> None:
        """Tell that a host can be reached.

        Args:
            host: One of the nodes.
        """
        self._hosts[host.name] = host
        self._arrived[host.name].set()

    async def run(self) -> None:
        """Bring all nodes up; returns when each of them is Ready.

        Raises:
            KuttiError: See `ClusterSpec.ensure`.
        """
        first, *others = self._names
        async with task_group() as followers:
            async with task_group() as nodes:
                for name in others:
                    nodes.start_soon(self._bring_up_worker, name, followers)
                await self._bring_up_control_plane(first, followers)
            followers.cancel_scope.cancel()
        # Now that all ranges are known. Earlier, a node would forget ways that it knows.
        await run_all(
            *(partial(route_pods, self._guests[name], self._ranges) for name in self._ranges)
        )

    async def _bring_up_control_plane(self, name: str, followers: TaskGroup) -> None:
        guest = await self._guest(name)
        facts, is_new = await ensure_control_plane(
            guest,
            self._k8s_version,
            self._options,
            alone=len(self._names) == 1,
            stall_timeout=self._stall_timeout,
        )
        self._facts[name] = facts
        self._table = NodeTable(guest)
        if not is_new:
            message = f"waiting for the API server on {name}"
            vigil = Vigil(guest, NODES, message, stall_timeout=self._stall_timeout)
            async with vigil.watching():
                await self._table.ask()
        if self._manifest is not None:
            await apply_manifest(guest, self._manifest)
        self._control_plane_up.set()
        await self._settle(name, followers)

    async def _bring_up_worker(self, name: str, followers: TaskGroup) -> None:
        guest = await self._guest(name)
        facts = self._facts[name] = await ask_node(guest, phase=JOIN)
        kubeadm = require_kubeadm(guest, facts, self._k8s_version)
        refuse_expired(guest, facts)
        await self._control_plane_up.wait()
        control_plane = self._facts[self._names[0]]
        if not has_joined(facts, control_plane) or name not in self._table.rows:
            invitation = await self._invite()
            await join(
                guest,
                facts,
                kubeadm,
                self._options,
                invitation,
                stall_timeout=self._stall_timeout,
            )
        await self._settle(name, followers)

    async def _guest(self, name: str) -> Guest:
        await self._arrived[name].wait()
        guest = self._guests[name] = await reach(self._hosts[name])
        return guest

    async def _invite(self) -> Invitation:
        async with self._inviting:
            if self._invitation is None:
                self._invitation = await invite(self._guests[self._names[0]])
            return self._invitation

    async def _settle(self, name: str, followers: TaskGroup) -> None:
        """Wait for a node's range of pod addresses, give it its network, wait until Ready."""
        guest, boot_id = self._guests[name], self._facts[name].boot_id
        row = self._table.rows.get(name)
        if (row is None or not row.pod_cidr or not row.is_ready(boot_id)) and not self._following:
            self._following = True
            followers.start_soon(self._table.follow)
        message = f"waiting for the addresses of {name}'s pods"
        # What containers say is no sign: they may talk for ever of a node that is not Ready.
        patience = _RARE_NEWS * self._stall_timeout
        vigil = Vigil(guest, POD_NETWORK, message, stall_timeout=patience, signs=NO_SIGNS)
        async with vigil.watching():
            if self._options.has_own_pod_network:
                row = await self._table.wait_for(name, lambda row: row.pod_cidr, vigil.hear)
                self._ranges[name] = PodRange(row.pod_cidr, guest.host.ip_address)
                vigil.hear(f"{name}'s pods have {row.pod_cidr}")
                await connect_pods(guest, row.pod_cidr, self._options.pod_cidr)
            vigil.phase = NODES
            vigil.hear(f"waiting until {name} is Ready")
            await self._table.wait_for(name, lambda row: row.is_ready(boot_id), vigil.hear)
            vigil.hear(f"{name} is Ready")
