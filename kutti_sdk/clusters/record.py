"""What is remembered of a cluster: what it was last asked to be."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field, replace
from typing import TypeVar

from kutti_sdk.clusters.description import ClusterDescription
from kutti_sdk.clusters.node_spec import NodeForward, NodeSpec
from kutti_sdk.core.names import validate_name
from kutti_sdk.kubernetes.options import KubernetesOptions

D = TypeVar("D", bound=ClusterDescription)


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterRecord:
    """A cluster that was begun; what became of it, only the hypervisor knows.

    Attributes:
        id: Eight hexadecimal digits that no other cluster has, not even a later one of
            the same name.
        name: Name of the cluster.
        driver: Name of its driver.
        k8s_version: Kubernetes version as the spec has it.
        cidr: Address range of its network.
        node_specs: Nodes of the spec.
        forwards: Forwards of the spec.
        retired: Forwards of earlier specs that are still to be undone. Forwards that
            were made by hand are in neither, and stay.
        kubernetes_options: What was chosen about Kubernetes.
        copying: The checkpoint that it becomes a copy of, until it is one; then empty.
        cold_start: Whether new nodes boot in any case.
        format: Version of this record.
    """

    id: str
    name: str
    driver: str
    k8s_version: str
    cidr: str
    node_specs: tuple[NodeSpec, ...]
    forwards: tuple[NodeForward, ...]
    retired: tuple[NodeForward, ...] = ()
    kubernetes_options: KubernetesOptions = field(default_factory=KubernetesOptions)
    copying: str = ""
    cold_start: bool = False
    format: int = 1

    def __post_init__(self) -> None:
        """Refuse a name that cannot be, since paths are made from it."""
        validate_name(self.name, "cluster name")


def new_record_id() -> str:
    """Make up an id for a cluster that is about to be begun.

    Returns:
        Eight hexadecimal digits.
    """
    return secrets.token_hex(4)


def record_of(
    description: ClusterDescription, before: ClusterRecord | None, new_id: str | None
) -> ClusterRecord:
    """Write down what a cluster shall be from now on.

    Args:
        description: What it shall be.
        before: Its record so far; None when it is new.
        new_id: Its id when it is new; None to make one up.

    Returns:
        The record.
    """
    wanted = {forward.key for forward in description.forwards}
    earlier = (*before.retired, *before.forwards) if before else ()
    return ClusterRecord(
        id=before.id if before else new_id or new_record_id(),
        name=description.name,
        driver=description.driver_name,
        k8s_version=description.k8s_version,
        cidr=description.cidr,
        node_specs=description.node_specs,
        forwards=description.forwards,
        kubernetes_options=description.kubernetes_options,
        cold_start=description.cold_start,
        retired=tuple(
            dict.fromkeys(
                forward
                for forward in earlier
                if forward.key not in wanted and forward.node in description.node_names
            )
        ),
    )


def as_recorded(description: D, record: ClusterRecord) -> D:
    """Describe a cluster as it was last asked to be.

    Args:
        description: Any description on the cluster's driver.
        record: The cluster's record.

    Returns:
        The description, on the same driver.
    """
    return replace(
        description,
        name=record.name,
        k8s_version=record.k8s_version,
        cidr=record.cidr,
        node_specs=record.node_specs,
        forwards=record.forwards,
        kubernetes_options=record.kubernetes_options,
        cold_start=record.cold_start,
    )
