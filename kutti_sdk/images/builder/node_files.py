"""Files that are added to a root file system: those of every node, and Kubernetes' own."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from importlib.abc import Traversable
from importlib.resources import files

_UNITS = "etc/systemd/system"

_CONFIGURATION_1 = """\
# Written for containerd {version}, configuration version 2.
version = 2

[plugins."io.containerd.grpc.v1.cri"]
  # The image that kubeadm takes for the first container of each pod.
  sandbox_image = "{pause}"

  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/opt/cni/bin"
    conf_dir = "/etc/cni/net.d"

  [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"

    # systemd owns the control groups, as the kubelet expects.
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
      SystemdCgroup = true
"""

_CONFIGURATION_2 = """\
# Written for containerd {version}, configuration version 3.
version = 3

# The image that kubeadm takes for the first container of each pod.
[plugins."io.containerd.cri.v1.images".pinned_images]
  sandbox = "{pause}"

# Network plugins are where containerd looks unless told: in /opt/cni/bin. The option
# that says so was renamed in containerd 2.1.

[plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc]
  runtime_type = "io.containerd.runc.v2"

  # systemd owns the control groups, as the kubelet expects.
  [plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc.options]
    SystemdCgroup = true
"""


@dataclass(frozen=True, slots=True)
class NodeFiles:
    """Files and links of a root file system, by their paths in it.

    Attributes:
        files: Contents of files.
        links: Targets of symbolic links.
    """

    files: dict[str, bytes] = field(default_factory=dict)
    links: dict[str, str] = field(default_factory=dict)


NO_FILES = NodeFiles()
"""Nothing beside what every node has."""


def kubernetes_files(*, containerd: str, pause: str) -> NodeFiles:
    """Give what a Kubernetes node has beside what every node has.

    Args:
        containerd: Version of the package containerd.
        pause: The image that every pod's first container is made from.

    Returns:
        Files and links.
    """
    return NodeFiles(
        files=packaged_files("kubernetes_root")
        | {
            "etc/containerd/config.toml": containerd_configuration(
                version=containerd, pause=pause
            ).encode()
        },
        links={
            f"{_UNITS}/multi-user.target.wants/kubelet.service": (
                "/lib/systemd/system/kubelet.service"
            )
        },
    )


def containerd_configuration(*, version: str, pause: str) -> str:
    """Write containerd's configuration for nodes that kubeadm sets up.

    Containerd 1 knows configuration version 2, containerd 2 version 3:
    https://github.com/containerd/containerd/blob/main/docs/cri/config.md.

    Args:
        version: Version of the package containerd.
        pause: The image that every pod's first container is made from.

    Returns:
        ``/etc/containerd/config.toml``.
    """
    major = int(version.rpartition(":")[2].partition(".")[0])
    template = _CONFIGURATION_1 if major < 2 else _CONFIGURATION_2
    return template.format(version=version, pause=pause)


def packaged_files(root: str) -> dict[str, bytes]:
    """Read a tree of files that comes with the builder.

    Args:
        root: Its folder beside this module.

    Returns:
        The contents of its files, by their paths below the folder.
    """
    return dict(_below(files(__package__) / root, ""))


def _below(folder: Traversable, prefix: str) -> Iterator[tuple[str, bytes]]:
    for item in folder.iterdir():
        if item.is_dir():
            yield from _below(item, f"{prefix}{item.name}/")
        else:
            yield f"{prefix}{item.name}", item.read_bytes()
