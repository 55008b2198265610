"""Writes kubeadm's file for the kubeadm at hand.

| kubeadm | API | what is different |
|---|---|---|
| up to 1.21 | v1beta2 | patches by a command-line flag; paths of sockets without a scheme |
| 1.22 to 1.30 | v1beta3 | `patches.directory` |
| from 1.31 | v1beta4 | arguments as a list of names and values; `timeouts` of their own |

Source: kubernetes.io, reference of the kubeadm configuration, v1beta2 to v1beta4.
Pure: nothing is read, asked or written here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from kutti_sdk.core.versions import K8sVersion
from kutti_sdk.kubernetes.options import KubernetesOptions
from kutti_sdk.kubernetes.yaml_documents import write_documents

API_PORT = 6443

_CRI_SOCKET = "/run/containerd/containerd.sock"

# kubeadm's own limits. Whether something stalls is noticed sooner, and by other
# signs; on a slow machine kubeadm's defaults of one to five minutes are not enough.
_PATIENCE = "30m0s"

# An emulated machine answers etcd's heartbeats late, and loses leases that a
# cluster of one control plane does not need. Milliseconds.
_SLOW_ETCD = {"heartbeat-interval": "500", "election-timeout": "5000"}
_SLOW_CONTROLLER = {"leader-elect": "false"}

_FIRST_WITH_PATCHES = (1, 22)
_FIRST_WITH_LISTS = (1, 31)
_FIRST_WITH_SCHEMES = (1, 24)

Document = dict[str, Any]


@dataclass(frozen=True, slots=True)
class NodeIdentity:
    """Who a node is.

    Attributes:
        name: Its name.
        address: Its address in the cluster's network.
    """

    name: str
    address: str


def init_config(
    kubeadm: K8sVersion,
    node: NodeIdentity,
    options: KubernetesOptions,
    *,
    slow: bool,
    alone: bool,
    token: str,
    patches: str | None,
) -> str:
    """Write the file for ``kubeadm init --config``.

    Args:
        kubeadm: Version of the kubeadm that reads it, which is also that of the cluster.
        node: The control plane.
        options: What the user chose.
        slow: Whether the node's processor is emulated.
        alone: Whether it is the only node, and must take the users' pods as well.
        token: A bootstrap token, because kubeadm makes one that lives for a day unless it
            is given one.
        patches: Folder of patches on the node; None for none.

    Returns:
        The YAML documents.
    """
    cluster: Document = {
        "apiVersion": _api_version(kubeadm),
        "kind": "ClusterConfiguration",
        "kubernetesVersion": f"v{kubeadm}",
        "networking": {
            "podSubnet": options.pod_cidr,
            "serviceSubnet": options.service_cidr,
        },
        # Beside its own names: whoever comes through a forwarded port of this machine.
        "apiServer": {"certSANs": ["127.0.0.1", "localhost", node.name, node.address]},
    }
    if slow:
        for controller in ("controllerManager", "scheduler"):
            cluster[controller] = {"extraArgs": _arguments(kubeadm, _SLOW_CONTROLLER)}
        cluster["etcd"] = {"local": {"extraArgs": _arguments(kubeadm, _SLOW_ETCD)}}
    init: Document = {
        "apiVersion": _api_version(kubeadm),
        "kind": "InitConfiguration",
        "bootstrapTokens": [{"token": token, "ttl": "1h0m0s"}],
        "localAPIEndpoint": {"advertiseAddress": node.address, "bindPort": API_PORT},
        "nodeRegistration": _registration(kubeadm, node),
        **_patches(kubeadm, patches),
    }
    if alone:
        init["nodeRegistration"]["taints"] = []
    if _minor(kubeadm) < _FIRST_WITH_LISTS:
        cluster["apiServer"]["timeoutForControlPlane"] = _PATIENCE
    else:
        init["timeouts"] = _timeouts()
    kubelet: Document = {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "cgroupDriver": "systemd",  # as containerd's; kubeadm's default from 1.22 only
    }
    proxy: Document = {
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
    }
    documents = _changed((init, cluster, kubelet, proxy), options.kubeadm_changes)
    # A document that says nothing would only make a reader wonder.
    return write_documents(*(it for it in documents if it.keys() - {"apiVersion", "kind"}))


def join_config(
    kubeadm: K8sVersion,
    node: NodeIdentity,
    options: KubernetesOptions,
    *,
    endpoint: str,
    token: str,
    authority_hash: str,
) -> str:
    """Write the file for ``kubeadm join --config``.

    Args:
        kubeadm: Version of the kubeadm that reads it.
        node: The worker.
        options: What the user chose.
        endpoint: ``address:port`` of the API server.
        token: A bootstrap token of the control plane.
        authority_hash: What the control plane must prove: ``sha256:`` and the hash of its
            authority's public key.

    Returns:
        The YAML document.
    """
    join: Document = {
        "apiVersion": _api_version(kubeadm),
        "kind": "JoinConfiguration",
        "discovery": {
            "bootstrapToken": {
                "apiServerEndpoint": endpoint,
                "token": token,
                "caCertHashes": [authority_hash],
            }
        },
        "nodeRegistration": _registration(kubeadm, node),
    }
    if _minor(kubeadm) < _FIRST_WITH_LISTS:
        join["discovery"]["timeout"] = _PATIENCE
    else:
        join["timeouts"] = _timeouts()
    return write_documents(*_changed((join,), options.kubeadm_changes))


def patches_flag(kubeadm: K8sVersion, patches: str | None) -> list[str]:
    """Give the arguments that name the folder of patches where the file cannot.

    Args:
        kubeadm: Version of kubeadm.
        patches: Folder of patches on the node; None for none.

    Returns:
        The arguments of ``kubeadm init``; none where the file can.
    """
    if patches is None or _minor(kubeadm) >= _FIRST_WITH_PATCHES:
        return []
    return ["--experimental-patches", patches]


def merged(base: Mapping[str, Any], change: Mapping[str, Any]) -> Document:
    """Merge a change into a document.

    Args:
        base: The document.
        change: Mappings are merged key by key; everything else takes the place of what
            was there. None takes a key away.

    Returns:
        A new document.
    """
    result = dict(base)
    for key, value in change.items():
        present = result.get(key)
        if value is None:
            result.pop(key, None)
        elif isinstance(value, Mapping) and isinstance(present, Mapping):
            result[key] = merged(present, value)
        elif isinstance(value, list) and _is_arguments(present) and _is_arguments(value):
            # v1beta4's lists of arguments are mappings in disguise.
            names = {argument["name"] for argument in value}
            result[key] = [it for it in present or [] if it["name"] not in names] + value
        else:
            result[key] = value
    return result


def _changed(
    documents: tuple[Document, ...], changes: Mapping[str, Mapping[str, Any]]
) -> list[Document]:
    return [merged(document, changes.get(document["kind"], {})) for document in documents]


def _registration(kubeadm: K8sVersion, node: NodeIdentity) -> Document:
    scheme = "unix://" if _minor(kubeadm) >= _FIRST_WITH_SCHEMES else ""
    return {
        "name": node.name,
        "criSocket": f"{scheme}{_CRI_SOCKET}",
        "kubeletExtraArgs": _arguments(kubeadm, {"node-ip": node.address}),
    }


def _patches(kubeadm: K8sVersion, folder: str | None) -> Document:
    if folder is None or _minor(kubeadm) < _FIRST_WITH_PATCHES:
        return {}
    return {"patches": {"directory": folder}}


def _arguments(
    kubeadm: K8sVersion, arguments: Mapping[str, str]
) -> dict[str, str] | list[Document]:
    if _minor(kubeadm) < _FIRST_WITH_LISTS:
        return dict(arguments)
    return [{"name": name, "value": value} for name, value in arguments.items()]


def _is_arguments(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(it, dict) and "name" in it for it in value)


def _timeouts() -> Document:
    return dict.fromkeys(
        (
            "controlPlaneComponentHealthCheck",
            "kubeletHealthCheck",
            "kubernetesAPICall",
            "etcdAPICall",
            "tlsBootstrap",
            "discovery",
        ),
        _PATIENCE,
    )


def _api_version(kubeadm: K8sVersion) -> str:
    minor = _minor(kubeadm)
    number = 4 if minor >= _FIRST_WITH_LISTS else 3 if minor >= _FIRST_WITH_PATCHES else 2
    return f"kubeadm.k8s.io/v1beta{number}"


def _minor(version: K8sVersion) -> tuple[int, int]:
    major, minor = version.minor_version.split(".")
    return int(major), int(minor)
