"""How Kubernetes is: its nodes and the pods of its own, as the API server says."""

from __future__ import annotations

from dataclasses import dataclass

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
        return parse_status(answer.stdout)
    except ValueError as error:
        return KubernetesStatus(problem=f"the API server's answer is not understood: {error}")


def parse_status(text: str) -> KubernetesStatus:
    """Read nodes and pods as kubectl writes them.

    Args:
        text: A list of the API, in JSON.

    Returns:
        The status.

    Raises:
        ValueError: When it is none.
    """
    try:
        items = msgspec.json.decode(text, type=_List).items
    except (UnicodeEncodeError, RecursionError) as error:
        raise ValueError(str(error)) from error
    nodes = (_node(item) for item in items if isinstance(item, _Node))
    pods = (_pod(item) for item in items if isinstance(item, _Pod))
    return KubernetesStatus(
        tuple(sorted(nodes, key=lambda node: node.name)),
        tuple(sorted(pods, key=lambda pod: pod.name)),
    )


# What is read of the API's objects; Go writes null for what is empty.


class _Named(msgspec.Struct):
    name: str


class _Condition(msgspec.Struct):
    type: str
    status: str
    reason: str | None = None
    message: str | None = None


class _NodeSpec(msgspec.Struct):
    unschedulable: bool | None = None


class _NodeInfo(msgspec.Struct, rename="camel"):
    kubelet_version: str = ""


class _NodeStatus(msgspec.Struct, rename="camel"):
    conditions: list[_Condition] | None = None
    node_info: _NodeInfo | None = None


class _Node(msgspec.Struct, tag_field="kind", tag="Node"):
    metadata: _Named
    spec: _NodeSpec | None = None
    status: _NodeStatus | None = None


class _PodSpec(msgspec.Struct, rename="camel"):
    node_name: str | None = None


class _Container(msgspec.Struct, rename="camel"):
    ready: bool = False
    restart_count: int = 0


class _PodStatus(msgspec.Struct, rename="camel"):
    phase: str = ""
    container_statuses: list[_Container] | None = None


class _Pod(msgspec.Struct, tag_field="kind", tag="Pod"):
    metadata: _Named
    spec: _PodSpec | None = None
    status: _PodStatus | None = None


class _List(msgspec.Struct):
    items: list[_Node | _Pod]


def _node(item: _Node) -> NodeCondition:
    status = item.status or _NodeStatus()
    conditions = {it.type: it for it in status.conditions or ()}
    ready = conditions.pop("Ready", None)
    is_ready = ready is not None and ready.status == "True"
    problems = [kind for kind, it in conditions.items() if it.status == "True"]
    if not is_ready:
        told = (ready.message or ready.reason) if ready else None
        problems.insert(0, told or "no word of its kubelet")
    if item.spec and item.spec.unschedulable:
        problems.append("takes no new pods")
    version = status.node_info.kubelet_version if status.node_info else ""
    return NodeCondition(item.metadata.name, is_ready, version, tuple(problems))


def _pod(item: _Pod) -> SystemPod:
    status = item.status or _PodStatus()
    containers = status.container_statuses or []
    return SystemPod(
        item.metadata.name,
        (item.spec.node_name if item.spec else None) or "",
        status.phase,
        bool(containers) and all(it.ready for it in containers),
        sum(it.restart_count for it in containers),
    )


def _with_mend(problem: str) -> str:
    if "certificate has expired" in problem:
        return f'{problem}; on the control plane, run "kubeadm certs renew all" and restart it'
    return problem
