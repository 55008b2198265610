"""How Kubernetes is: its nodes and the pods of its own, as the API server says."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import msgspec

from kutti_sdk.core.errors import CommandTimeoutError, SSHConnectionError
from kutti_sdk.kubernetes.guest import Guest
from kutti_sdk.kubernetes.kubectl import kubectl

_PATIENCE = 20.0  # seconds; a status that takes longer is not worth waiting for


@dataclass(frozen=True, slots=True)
class NodeCondition:
    """How Kubernetes finds a node.

    Attributes:
        name: Name of the node.
        ready: Whether it takes pods and runs them.
        version: Version of its kubelet.
        problems: What else is wrong with it, such as ``MemoryPressure``, and why it is
            not ready; empty when nothing is.
    """

    name: str
    ready: bool
    version: str = ""
    problems: tuple[str, ...] = ()

    def __str__(self) -> str:
        text = "Ready" if self.ready else "NotReady"
        return f"{text} ({'; '.join(self.problems)})" if self.problems else text


@dataclass(frozen=True, slots=True)
class SystemPod:
    """A pod of the namespace ``kube-system``.

    Attributes:
        name: Its name.
        node: The node that it is on; empty while it has none.
        phase: ``Running``, ``Pending``, ``Failed`` ...
        ready: Whether all of its containers are.
        restarts: How often they were restarted, in all.
    """

    name: str
    node: str
    phase: str
    ready: bool
    restarts: int


@dataclass(frozen=True, slots=True)
class KubernetesStatus:
    """How Kubernetes is.

    Attributes:
        nodes: Its nodes, ordered by name.
        system_pods: The pods that are Kubernetes' own, ordered by name.
        problem: Why nothing is known; None when it is.
    """

    nodes: tuple[NodeCondition, ...] = ()
    system_pods: tuple[SystemPod, ...] = ()
    problem: str | None = None


async def kubernetes_status(control_plane: Guest) -> KubernetesStatus:
    """Ask the API server how nodes and system pods are.

    Args:
        control_plane: The control plane.

    Returns:
        The status; never an error, because a status is asked for when things are broken.
    """
    try:
        answer = await kubectl(
            control_plane, "get nodes,pods --namespace kube-system -o json", timeout=_PATIENCE
        )
    except (SSHConnectionError, CommandTimeoutError) as error:
        return KubernetesStatus(problem=error.message)
    if not answer.ok:
        last = (answer.stderr.strip().splitlines() or ["no reason given"])[-1]
        return KubernetesStatus(problem=_with_mend(last))
    try:
        items = msgspec.json.decode(answer.stdout)["items"]
        nodes = [_node(item) for item in items if item["kind"] == "Node"]
        pods = [_pod(item) for item in items if item["kind"] == "Pod"]
    except (msgspec.DecodeError, KeyError, TypeError) as error:
        return KubernetesStatus(problem=f"the API server's answer is not understood: {error!r}")
    return KubernetesStatus(
        tuple(sorted(nodes, key=lambda node: node.name)),
        tuple(sorted(pods, key=lambda pod: pod.name)),
    )


def _node(item: dict[str, Any]) -> NodeCondition:
    status = item.get("status", {})
    conditions = {it["type"]: it for it in status.get("conditions", ())}
    ready = conditions.pop("Ready", {})
    is_ready = ready.get("status") == "True"
    problems = [kind for kind, it in conditions.items() if it.get("status") == "True"]
    if not is_ready:
        problems.insert(0, ready.get("message") or ready.get("reason") or "no word of its kubelet")
    if item.get("spec", {}).get("unschedulable"):
        problems.append("takes no new pods")
    version = status.get("nodeInfo", {}).get("kubeletVersion", "")
    return NodeCondition(item["metadata"]["name"], is_ready, version, tuple(problems))


def _pod(item: dict[str, Any]) -> SystemPod:
    status = item.get("status", {})
    containers = status.get("containerStatuses") or []
    return SystemPod(
        item["metadata"]["name"],
        item.get("spec", {}).get("nodeName", ""),
        status.get("phase", ""),
        bool(containers) and all(it.get("ready") for it in containers),
        sum(it.get("restartCount", 0) for it in containers),
    )


def _with_mend(problem: str) -> str:
    if "certificate has expired" in problem:
        return f'{problem}; on the control plane, run "kubeadm certs renew all" and restart it'
    return problem
