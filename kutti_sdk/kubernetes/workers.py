"""Makes workers by ``kubeadm join``.

The token lives for an hour. The worker believes only a control plane that has
the authority whose key we read over SSH from the control plane itself.
"""

from __future__ import annotations

import shlex
from dataclasses import dataclass

from kutti_sdk.core.versions import K8sVersion
from kutti_sdk.kubernetes.control_plane import PATCHES
from kutti_sdk.kubernetes.guest import FOLDER, Guest
from kutti_sdk.kubernetes.jobs import run_job
from kutti_sdk.kubernetes.kubeadm_config import API_PORT, NodeIdentity, join_config
from kutti_sdk.kubernetes.node_facts import ADMIN_CONF, JOIN, RUNNING, NodeFacts
from kutti_sdk.kubernetes.options import KubernetesOptions
from kutti_sdk.kubernetes.phases import JOIN as JOIN_PHASE
from kutti_sdk.kubernetes.removal import reset
from kutti_sdk.kubernetes.vigil import Vigil

_CONFIG = f"{FOLDER}/kubeadm-join.yaml"

_NEW_TOKEN = f"KUBECONFIG={ADMIN_CONF} kubeadm token create --ttl 1h0m0s\n"


@dataclass(frozen=True, slots=True)
class Invitation:
    """What a worker needs to join.

    Attributes:
        endpoint: ``address:port`` of the API server.
        token: A bootstrap token.
        authority_hash: What the control plane must prove.
    """

    endpoint: str
    token: str
    authority_hash: str


async def invite(control_plane: Guest, facts: NodeFacts) -> Invitation:
    """Ask the control plane for a token.

    Args:
        control_plane: The control plane.
        facts: Its facts.

    Returns:
        What workers need.

    Raises:
        KubernetesError: When it gives none.
    """
    answer = await control_plane.do("new token", _NEW_TOKEN, phase=JOIN_PHASE)
    return Invitation(
        f"{control_plane.host.ip_address}:{API_PORT}",
        answer.split()[-1],
        facts.authority_hash,
    )


def has_joined(facts: NodeFacts, control_plane: NodeFacts) -> bool:
    """Tell whether a worker has joined this control plane, and not an earlier one.

    Args:
        facts: The worker's facts.
        control_plane: The control plane's facts.

    Returns:
        Whether it has.
    """
    return facts.is_worker and facts.authority == control_plane.authority


async def join(
    guest: Guest,
    facts: NodeFacts,
    kubeadm: K8sVersion,
    options: KubernetesOptions,
    invitation: Invitation,
    *,
    stall_timeout: float,
) -> None:
    """Make a node a worker, or follow the join that runs.

    Args:
        guest: The node.
        facts: Its facts.
        kubeadm: Version of its kubeadm.
        options: What the user chose.
        invitation: Whom to join.
        stall_timeout: Seconds without a sign of life.

    Raises:
        KubeadmError: When kubeadm fails.
        KubernetesStalledError: When nothing happens any more; kubeadm goes on.
        HypervisorError: When the node stops meanwhile.
    """
    vigil = Vigil(guest, JOIN_PHASE, f"preparing {guest.name}", stall_timeout=stall_timeout)
    async with vigil.watching():
        if facts.join != RUNNING:
            if facts.is_touched:
                await reset(guest, phase=JOIN_PHASE)
            await _prepare(guest, kubeadm, options, invitation)
        command = shlex.join(["kubeadm", "join", "--config", _CONFIG])
        if facts.emulated:  # parts of kubeadm wait for ten seconds and no longer
            command = f"{command} || {{ kubeadm reset --force && {command}; }}"
        vigil.hear(f"kubeadm join on {guest.name}")
        await run_job(guest, JOIN, command, vigil)


async def _prepare(
    guest: Guest, kubeadm: K8sVersion, options: KubernetesOptions, invitation: Invitation
) -> None:
    await guest.do("patches folder", f"mkdir -p {PATCHES}\n", phase=JOIN_PHASE)
    config = join_config(
        kubeadm,
        NodeIdentity(guest.name, guest.host.ip_address),
        options,
        endpoint=invitation.endpoint,
        token=invitation.token,
        authority_hash=invitation.authority_hash,
        patches=PATCHES,
    )
    await guest.write(_CONFIG, config, phase=JOIN_PHASE)
