"""Refuses what a cluster that exists cannot become without losing data."""

from __future__ import annotations

from kutti_sdk.clusters.description import ClusterDescription
from kutti_sdk.clusters.observation import Observation
from kutti_sdk.clusters.record import ClusterRecord
from kutti_sdk.core.errors import ClusterDriftError, NetworkExistsError
from kutti_sdk.core.versions import K8sVersion


def refuse_drift(
    description: ClusterDescription, record: ClusterRecord | None, seen: Observation
) -> None:
    """Make sure that what there is can become what shall be.

    Args:
        description: What shall be.
        record: The cluster's record; None when it was never begun.
        seen: What there is.

    Raises:
        ClusterDriftError: When it cannot; names everything that stands in the way.
        NetworkExistsError: When a network of its name belongs to no cluster.
    """
    name = description.name
    if record is None:
        if seen.network is not None:
            raise NetworkExistsError(
                f"a network {name!r} exists, but no cluster of that name was begun",
                hint="Choose another name for the cluster, or remove that network's hosts "
                "and the network with the driver.",
                driver=description.driver_name,
                network=name,
                cluster=name,
            )
        return
    if record.copying:
        raise ClusterDriftError(
            f"cluster {name!r} was to be a copy of checkpoint {record.copying}, and that was "
            "interrupted: what there is of it is not what was saved",
            hint="Delete it, and clone the checkpoint again.",
            driver=record.driver,
            cluster=name,
        )
    differences = _differences(description, record, seen)
    if differences:
        raise ClusterDriftError(
            f"cluster {name!r} cannot be changed as the spec asks: {'; '.join(differences)}",
            hint="Keep what there is in the spec, or delete the cluster (a node, if it is "
            "about its size) first and lose what is on its disks.",
            driver=record.driver,
            cluster=name,
        )


def _differences(
    description: ClusterDescription, record: ClusterRecord, seen: Observation
) -> list[str]:
    if record.driver != description.driver_name:
        # What there is was looked for in the wrong place, so nothing more can be said.
        return [f"its driver is {record.driver}, not {description.driver_name}"]
    differences = []
    if seen.network is not None and seen.network.net_cidr != description.cidr:
        differences.append(f"its network is {seen.network.net_cidr}, not {description.cidr}")
    if seen.hosts:
        differences += _kubernetes_differences(description, record)
    wanted_version = K8sVersion.parse(description.k8s_version)
    for node in description.node_specs:
        observed = seen.hosts.get(node.name)
        if observed is None:
            continue
        host = observed.host
        if not wanted_version.accepts(K8sVersion.parse(host.k8s_version)):
            differences.append(
                f"{node.name} has Kubernetes {host.k8s_version}, not {description.k8s_version}"
            )
        if host.size != node.size:
            differences.append(f"{node.name} has {host.size}, not {node.size}")
    return differences


def _kubernetes_differences(description: ClusterDescription, record: ClusterRecord) -> list[str]:
    wanted, present = description.kubernetes_options, record.kubernetes_options
    differences = []
    if wanted.pod_cidr != present.pod_cidr:
        differences.append(f"its pods are in {present.pod_cidr}, not {wanted.pod_cidr}")
    if wanted.service_cidr != present.service_cidr:
        differences.append(f"its services are in {present.service_cidr}, not {wanted.service_cidr}")
    if wanted.has_own_pod_network != present.has_own_pod_network:
        differences.append("its pod network is another one")
    first, first_now = record.node_specs[0].name, description.control_plane_name
    if description.is_brought_up and first != first_now:
        differences.append(f"its control plane is {first}, not {first_now}")
    return differences
