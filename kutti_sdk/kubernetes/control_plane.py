"""Makes a control plane by ``kubeadm init``, or continues, or begins again."""

from __future__ import annotations

import secrets
import shlex
import string

from kutti_sdk.core.versions import K8sVersion
from kutti_sdk.kubernetes.guest import FOLDER, Guest
from kutti_sdk.kubernetes.jobs import run_job
from kutti_sdk.kubernetes.kubeadm_config import NodeIdentity, init_config, patches_flag
from kutti_sdk.kubernetes.kubeadm_patches import slow_patches
from kutti_sdk.kubernetes.node_facts import (
    INIT,
    RUNNING,
    NodeFacts,
    ask_node,
    refuse_expired,
    require_kubeadm,
)
from kutti_sdk.kubernetes.options import KubernetesOptions
from kutti_sdk.kubernetes.phases import PREFLIGHT, phase_of_init
from kutti_sdk.kubernetes.removal import reset
from kutti_sdk.kubernetes.slow_init import INIT_COMMAND, slow_init
from kutti_sdk.kubernetes.vigil import Vigil

_PATCHES = f"{FOLDER}/patches"
_CONFIG = f"{FOLDER}/kubeadm-init.yaml"


async def ensure_control_plane(
    guest: Guest,
    k8s_version: str,
    options: KubernetesOptions,
    *,
    alone: bool,
    stall_timeout: float,
) -> tuple[NodeFacts, bool]:
    """Make a node the control plane, unless it is.

    Args:
        guest: The node.
        k8s_version: The version that the cluster shall have.
        options: What the user chose.
        alone: Whether it is the only node of the cluster.
        stall_timeout: Seconds without a sign of life.

    Returns:
        Its facts now, and whether the control plane is a new one.

    Raises:
        KubernetesError: When it has no kubeadm that fits.
        CertificatesExpiredError: When its certificates ran out.
        KubeadmError: When kubeadm fails.
        KubernetesStalledError: When nothing happens any more; kubeadm goes on.
        HypervisorError: When the node stops meanwhile.
    """
    vigil = Vigil(
        guest,
        PREFLIGHT,
        f"asking {guest.name} how far it is",
        stall_timeout=stall_timeout,
        phase_of=phase_of_init,
    )
    async with vigil.watching():
        facts = await ask_node(guest, phase=PREFLIGHT)
        kubeadm = require_kubeadm(guest, facts, k8s_version)
        refuse_expired(guest, facts)
        if facts.is_control_plane:
            return facts, False
        if facts.init != RUNNING:  # else somebody gave up waiting for it: we follow it
            await _prepare(guest, facts, kubeadm, options, alone=alone)
        vigil.hear(f"kubeadm init on {guest.name}")
        arguments = ["--config", _CONFIG, *patches_flag(kubeadm, _folder(facts))]
        init = slow_init(arguments) if facts.emulated else shlex.join([*INIT_COMMAND, *arguments])
        await run_job(guest, INIT, init, vigil)
        return await ask_node(guest, phase=vigil.phase), True


async def _prepare(
    guest: Guest,
    facts: NodeFacts,
    kubeadm: K8sVersion,
    options: KubernetesOptions,
    *,
    alone: bool,
) -> None:
    if facts.is_touched:
        await reset(guest, phase=PREFLIGHT)
    patches = slow_patches() if facts.emulated else {}
    config = init_config(
        kubeadm,
        NodeIdentity(guest.name, guest.host.ip_address),
        options,
        slow=facts.emulated,
        alone=alone,
        token=_new_token(),
        patches=_folder(facts),
    )
    files = {f"{_PATCHES}/{name}": patch for name, patch in patches.items()}
    await guest.write(files | {_CONFIG: config}, phase=PREFLIGHT)


def _folder(facts: NodeFacts) -> str | None:
    """Tell where patches for the control plane's pods are on the node, if there are any."""
    return _PATCHES if facts.emulated else None


def _new_token() -> str:
    """Make up a bootstrap token: 16 letters and digits are secret, 6 are its name."""
    letters = string.ascii_lowercase + string.digits
    text = "".join(secrets.choice(letters) for _ in range(22))
    return f"{text[:6]}.{text[6:]}"
