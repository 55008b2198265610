"""What a user may choose about Kubernetes, as it is kept in a cluster's record."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import IPv4Network
from itertools import combinations
from typing import Any

from kutti_sdk.core.errors import InvalidCIDRError, InvalidSpecError
from kutti_sdk.core.network import validate_cidr

DEFAULT_POD_CIDR = "10.244.0.0/16"
"""The range of pods when none is asked for: 256 nodes of 254 pods."""

DEFAULT_SERVICE_CIDR = "10.96.0.0/16"
"""The range of services when none is asked for; kubeadm's own is the /12 around it."""

KUBEADM_KINDS = (
    "InitConfiguration",
    "ClusterConfiguration",
    "JoinConfiguration",
    "KubeletConfiguration",
    "KubeProxyConfiguration",
)
"""The documents of kubeadm's file, each of which a user may change."""

_NODE_PREFIX = 24  # what kube-controller-manager gives to each node for its pods
_LARGEST_SERVICES = 12  # kube-apiserver takes no more than 20 bits (all versions)


@dataclass(frozen=True, slots=True)
class KubernetesOptions:
    """What was chosen about Kubernetes.

    Attributes:
        bare: Whether nodes are left for somebody to initialise by hand.
        pod_cidr: Address range of pods.
        service_cidr: Address range of services.
        pod_manifest: File or URL of the pod network's manifest, or its text; None for the
            network that needs none.
        kubeadm: What is changed in kubeadm's file, by kind of its documents, as JSON.
    """

    bare: bool = False
    pod_cidr: str = DEFAULT_POD_CIDR
    service_cidr: str = DEFAULT_SERVICE_CIDR
    pod_manifest: str | None = None
    kubeadm: str = "{}"

    @property
    def kubeadm_changes(self) -> dict[str, dict[str, Any]]:
        """What is changed in kubeadm's file, by kind of its documents."""
        changes: dict[str, dict[str, Any]] = json.loads(self.kubeadm)
        return changes

    @property
    def has_own_pod_network(self) -> bool:
        """Whether pods are connected by us, without a manifest."""
        return self.pod_manifest is None


def parse_kubeadm_changes(change: str | Mapping[str, Mapping[str, Any]]) -> str:
    """Read what a user wants to have changed in kubeadm's file.

    Args:
        change: A mapping of mappings by kind, or YAML documents that each name a ``kind``.

    Returns:
        The changes by kind, as JSON.

    Raises:
        InvalidSpecError: When it is neither, or of a kind that kubeadm does not read.
    """
    documents = _read_documents(change) if isinstance(change, str) else dict(change)
    for kind, document in documents.items():
        if kind not in KUBEADM_KINDS or not isinstance(document, Mapping):
            raise InvalidSpecError(
                f"{kind!r} is not a document of kubeadm's file",
                hint=f"Kinds there are: {', '.join(KUBEADM_KINDS)}; each is a mapping.",
            )
    changes = {
        kind: {key: value for key, value in document.items() if key not in ("kind", "apiVersion")}
        for kind, document in documents.items()
    }
    try:
        return json.dumps(changes, sort_keys=True)
    except (TypeError, ValueError) as error:
        raise InvalidSpecError(
            f"kubeadm's configuration cannot be written down: {error}",
            hint="Use texts, numbers, booleans, lists and mappings.",
        ) from None


def validate_range(cidr: str, what: str) -> str:
    """Check that an address range can be that of pods or services.

    Args:
        cidr: Address and prefix length.
        what: ``pods`` or ``services``.

    Returns:
        The range, in its usual spelling.

    Raises:
        InvalidCIDRError: When it is not private IPv4, or of a size that cannot work.
    """
    largest, smallest = (8, _NODE_PREFIX) if what == "pods" else (_LARGEST_SERVICES, 27)
    try:
        network = IPv4Network(cidr)
    except (ValueError, TypeError) as error:
        raise InvalidCIDRError(f"{cidr!r} is not an IPv4 range: {error}") from None
    if not network.is_private or not largest <= network.prefixlen <= smallest:
        raise InvalidCIDRError(
            f"{cidr!r} cannot be the range of {what}",
            hint=f"Use a private range with a prefix between /{largest} and /{smallest}.",
        )
    return str(network)


def refuse_clashes(options: KubernetesOptions, network_cidr: str, nodes: int) -> None:
    """Make sure that nodes, pods and services have addresses of their own, and enough.

    Args:
        options: What was chosen.
        network_cidr: Address range of the nodes.
        nodes: How many nodes there shall be.

    Raises:
        InvalidSpecError: When two ranges overlap, or there are more nodes than pod ranges.
    """
    ranges = {
        "nodes": validate_cidr(network_cidr),
        "pods": IPv4Network(options.pod_cidr),
        "services": IPv4Network(options.service_cidr),
    }
    for one, other in combinations(ranges, 2):
        if ranges[one].overlaps(ranges[other]):
            raise InvalidSpecError(
                f"addresses of {one} ({ranges[one]}) and {other} ({ranges[other]}) overlap",
                hint="Choose others with network(), or with pod_network(cidr=..., services=...).",
            )
    room = 2 ** (_NODE_PREFIX - ranges["pods"].prefixlen)
    if nodes > room:
        raise InvalidSpecError(
            f"{nodes} nodes do not fit into the pod range {options.pod_cidr}",
            hint=f"Each node takes a /{_NODE_PREFIX} of it, so there is room for {room}.",
        )


def _read_documents(text: str) -> dict[str, Any]:
    from kutti_sdk.kubernetes.yaml_documents import read_documents

    documents: dict[str, Any] = {}
    for document in read_documents(text, what="kubeadm's configuration"):
        kind = document.get("kind")
        if not isinstance(kind, str):
            raise InvalidSpecError(
                "a document of kubeadm's configuration names no kind",
                hint="Each YAML document needs a line like: kind: ClusterConfiguration",
            )
        documents[kind] = document
    return documents
