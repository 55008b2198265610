"""The words of a cluster's description that are about Kubernetes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from os import PathLike, fspath
from pathlib import Path
from typing import Any, Self

from kutti_sdk.clusters.description import ClusterDescription
from kutti_sdk.core.errors import InvalidSpecError
from kutti_sdk.core.host import HostSize
from kutti_sdk.core.versions import NO_KUBERNETES, K8sVersion
from kutti_sdk.kubernetes.options import parse_kubeadm_changes, validate_range

DEFAULT_MEMORY = "2GiB"
"""Memory of nodes with Kubernetes when nothing was said of sizes; kubeadm asks for 1700 MB."""


class KubernetesWords(ClusterDescription):
    """Says which Kubernetes a cluster shall have, and how."""

    __slots__ = ()

    def kubernetes(self, version: str) -> Self:
        """Choose the Kubernetes version; `ensure` brings it up with kubeadm.

        The first node is the control plane, all others are workers. Unless something was
        said of their sizes, nodes have 2 GiB of memory from now on, and not 1.

        Args:
            version: ``1.34.2``, ``1.34`` for its newest patch, or ``none`` for plain
                nodes without Kubernetes, as they are without this word.

        Returns:
            A new spec.

        Raises:
            InvalidVersionError: When it is not a version.
        """
        parsed = K8sVersion.parse(version).text
        nodes = self.node_specs
        if parsed != NO_KUBERNETES and all(node.size == HostSize() for node in nodes):
            nodes = tuple(node.resized(None, DEFAULT_MEMORY, None) for node in nodes)
        return replace(self, k8s_version=parsed, node_specs=nodes)

    def bare(self) -> Self:
        """Leave the nodes for somebody to run ``kubeadm init`` and ``join`` by hand.

        Returns:
            A new spec.
        """
        return replace(self, kubernetes_options=replace(self.kubernetes_options, bare=True))

    def control_plane(
        self,
        *,
        cpus: int | None = None,
        memory: int | str | None = None,
        disk: int | str | None = None,
    ) -> Self:
        """Change the size of the control plane, which is the first node.

        Args:
            cpus: Number of CPUs; as it is when not given, like the others. kubeadm asks
                for 2.
            memory: Bytes, or a text such as ``"2GiB"``. kubeadm asks for 1700 MB.
            disk: Bytes, or a text such as ``"20GiB"``.

        Returns:
            A new spec.

        Raises:
            InvalidSizeError: When a size makes no sense.
        """
        return self.node(self.control_plane_name, cpus=cpus, memory=memory, disk=disk)

    def workers(
        self,
        count: int,
        *,
        cpus: int | None = None,
        memory: int | str | None = None,
        disk: int | str | None = None,
    ) -> Self:
        """Say how many numbered workers there are: node2, node3, and so on.

        What `nodes` does, but for the size of the control plane, which stays.

        Args:
            count: How many, 0 or more.
            cpus: Number of CPUs of each; what is not given stays as it is, and a worker
                that is new has it from the control plane.
            memory: Bytes, or a text such as ``"2GiB"``.
            disk: Bytes, or a text such as ``"20GiB"``.

        Returns:
            A new spec.

        Raises:
            InvalidSpecError: When the number makes no sense or does not fit the network.
            InvalidSizeError: When a size makes no sense.
        """
        if not isinstance(count, int) or isinstance(count, bool) or count < 0:
            raise InvalidSpecError(
                f"{count!r} is not a number of workers",
                hint="A cluster has none or more, beside its control plane.",
                cluster=self.name,
            )
        first = self.node_specs[0]
        all_sized = self.nodes(count + 1, cpus=cpus, memory=memory, disk=disk)
        return all_sized._with_nodes(first, *all_sized.node_specs[1:])

    def pod_network(
        self,
        manifest: str | PathLike[str] | None = None,
        *,
        cidr: str | None = None,
        services: str | None = None,
    ) -> Self:
        """Choose how pods are connected, and the addresses of pods and services.

        Without a manifest, pods are connected by a bridge on each node and routes
        between the nodes, which needs no download. A manifest (of flannel, calico,
        cilium ...) is applied once, when the control plane is new; that its images can
        be had, and that it knows the range of pods, is up to you.

        Args:
            manifest: Its file, its URL, or its text; None for the network without.
            cidr: Address range of pods; 10.244.0.0/16 when never said.
            services: Address range of services; 10.96.0.0/16 when never said.

        Returns:
            A new spec.

        Raises:
            InvalidCIDRError: When a range cannot be used.
        """
        options = self.kubernetes_options
        return replace(
            self,
            kubernetes_options=replace(
                options,
                pod_manifest=None if manifest is None else _manifest_source(manifest),
                pod_cidr=options.pod_cidr if cidr is None else validate_range(cidr, "pods"),
                service_cidr=(
                    options.service_cidr
                    if services is None
                    else validate_range(services, "services")
                ),
            ),
        )

    def kubeadm(self, changes: str | Mapping[str, Mapping[str, Any]]) -> Self:
        """Change what is written into kubeadm's file; holds for nodes yet to be made.

        Mappings are merged key by key, everything else is replaced, and None takes a
        key away. Changes said before are forgotten.

        Args:
            changes: YAML documents, or a mapping of their contents by kind:
                ``{"ClusterConfiguration": {"clusterName": "lab"}}``.

        Returns:
            A new spec.

        Raises:
            InvalidInputError: When it is no YAML, or not what kubeadm reads.
        """
        options = replace(self.kubernetes_options, kubeadm=parse_kubeadm_changes(changes))
        return replace(self, kubernetes_options=options)


def _manifest_source(manifest: str | PathLike[str]) -> str:
    source = fspath(manifest)
    if "\n" in source or source.startswith(("http://", "https://")):
        return source
    return str(Path(source).expanduser().absolute())  # the record is read from elsewhere too
