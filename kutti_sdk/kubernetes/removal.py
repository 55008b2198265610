"""Takes nodes out of Kubernetes, and Kubernetes off nodes."""

from __future__ import annotations

from kutti_sdk.core.events import report
from kutti_sdk.kubernetes.guest import FOLDER, Guest
from kutti_sdk.kubernetes.jobs import forget_job
from kutti_sdk.kubernetes.kubectl import kubectl
from kutti_sdk.kubernetes.node_facts import INIT, JOIN
from kutti_sdk.kubernetes.phases import LEAVE

_DRAIN_TIME = 120  # seconds for pods to end by themselves; what has not by then is lost

_RESET = f"""\
kubeadm reset --force || exit
rm -rf /etc/cni/net.d/10-kutti.conflist {FOLDER}/patches {FOLDER}/kubeadm-*.yaml
ip link delete cni0 2>/dev/null
ip link delete kube-ipvs0 2>/dev/null
exit 0
"""


async def reset(guest: Guest, *, phase: str) -> None:
    """Take off a node what kubeadm put on it.

    Args:
        guest: The node.
        phase: What is going on, for events and errors.

    Raises:
        KubernetesError: When kubeadm cannot.
    """
    report(phase, f"resetting {guest.name}", cluster=guest.cluster, host=guest.name)
    for job in (INIT, JOIN):
        await forget_job(guest, job, phase=phase)
    await guest.do("reset", _RESET, phase=phase)


async def leave(control_plane: Guest, node: str) -> None:
    """Take a node out of Kubernetes: its pods end and begin elsewhere.

    Pods that do not end in two minutes are lost with the node. That is not an
    error: the node goes in any case.

    Args:
        control_plane: The control plane.
        node: Name of the node; nothing to do when Kubernetes does not know it.

    Raises:
        KubernetesError: When Kubernetes will not forget it.
    """
    cluster = control_plane.cluster
    known = await kubectl(control_plane, f"get node {node} --ignore-not-found -o name")
    if known.ok and not known.stdout.strip():
        return
    report(LEAVE, f"draining {node}", cluster=cluster, host=node)
    # Called --delete-local-data before 1.20, and that word is gone since 1.25.
    drain = f"drain {node} --ignore-daemonsets --delete-emptydir-data --force"
    drained = await kubectl(control_plane, f"{drain} --timeout={_DRAIN_TIME}s")
    if not drained.ok:
        last = (drained.stderr.strip().splitlines() or ["no reason given"])[-1]
        report(LEAVE, f"{node} was not drained: {last}", cluster=cluster, host=node)
    report(LEAVE, f"deleting {node} from Kubernetes", cluster=cluster, host=node)
    await kubectl(control_plane, f"delete node {node} --ignore-not-found", phase=LEAVE)
