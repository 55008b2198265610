"""Makes workers by ``kubeadm join``.

The token lives for an hour. The worker believes only a control plane that has
the authority whose hash the control plane itself told us over SSH.
"""

from __future__ import annotations

import shlex
from dataclasses import dataclass

from kutti_sdk.core.errors import KubernetesError
from kutti_sdk.core.versions import K8sVersion
from kutti_sdk.kubernetes.guest import FOLDER, Guest
from kutti_sdk.kubernetes.jobs import run_job
from kutti_sdk.kubernetes.kubeadm_config import NodeIdentity, join_config
from kutti_sdk.kubernetes.node_facts import ADMIN_CONF, JOIN, RUNNING, NodeFacts
from kutti_sdk.kubernetes.options import KubernetesOptions
from kutti_sdk.kubernetes.phases import JOIN as JOIN_PHASE
from kutti_sdk.kubernetes.removal import reset
from kutti_sdk.kubernetes.vigil import Vigil

_CONFIG = f"{FOLDER}/kubeadm-join.yaml"

_INVITE = f"KUBECONFIG={ADMIN_CONF} kubeadm token create --ttl 1h0m0s --print-join-command\n"
_OPTIONS = ("--token", "--discovery-token-ca-cert-hash")


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


async def invite(control_plane: Guest) -> Invitation:
    """Ask the control plane for a token, and for what it will prove.

    Args:
        control_plane: The control plane.

    Returns:
        What workers need.

    Raises:
        KubernetesError: When it gives none.
    """
    answer = await control_plane.do("invitation", _INVITE, phase=JOIN_PHASE)
    invitation = parse_invitation(answer)
    if invitation is None:
        raise KubernetesError(
            f"kubeadm on {control_plane.name} did not say how workers join",
            phase=JOIN_PHASE,
            log=answer.strip(),
            cluster=control_plane.cluster,
            host=control_plane.name,
        )
    return invitation


def parse_invitation(answer: str) -> Invitation | None:
    """Read the command that kubeadm prints for those who join by hand.

    Args:
        answer: Its output: warnings, then ``kubeadm join ENDPOINT --token ...``.

    Returns:
        What is in it; None when there is no such command.
    """
    try:
        words = shlex.split(next(filter(_is_join, reversed(answer.splitlines())), ""))
        token, authority_hash = (words[words.index(option) + 1] for option in _OPTIONS)
        return Invitation(words[2], token, authority_hash)
    except (ValueError, IndexError):
        return None


def _is_join(line: str) -> bool:
    return line.strip().startswith("kubeadm join ")


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
    config = join_config(
        kubeadm,
        NodeIdentity(guest.name, guest.host.ip_address),
        options,
        endpoint=invitation.endpoint,
        token=invitation.token,
        authority_hash=invitation.authority_hash,
    )
    await guest.write({_CONFIG: config}, phase=JOIN_PHASE)
