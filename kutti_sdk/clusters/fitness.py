"""Refuses what kubeadm would refuse, before anything is touched."""

from __future__ import annotations

from kutti_sdk.clusters.description import ClusterDescription
from kutti_sdk.core.errors import ImageFormatError, InvalidSpecError
from kutti_sdk.core.image import VMImage
from kutti_sdk.core.sizes import format_size
from kutti_sdk.kubernetes.options import refuse_clashes

LEAST_CPUS = 2
"""CPUs of a control plane; kubeadm's preflight check NumCPU, all versions."""

LEAST_MEMORY = 1700 * 1000 * 1000
"""Bytes of a control plane's memory; kubeadm's preflight check Mem (1700 MB), from 1.19."""


def refuse_unfit(description: ClusterDescription) -> None:
    """Make sure that Kubernetes can be brought up on what is described.

    Args:
        description: What shall be.

    Raises:
        InvalidSpecError: When kubeadm would refuse the control plane for its size, or
            addresses of nodes, pods and services overlap.
    """
    if not description.is_brought_up:
        return
    refuse_clashes(description.kubernetes_options, description.cidr, len(description.node_specs))
    node = description.node_specs[0]
    problems = []
    if node.size.cpus < LEAST_CPUS:
        problems.append(f"{node.size.cpus} CPU")
    if node.size.memory < LEAST_MEMORY:
        problems.append(f"{format_size(node.size.memory)} of memory")
    if problems:
        raise InvalidSpecError(
            f"{node.name} has {' and '.join(problems)}, and kubeadm refuses a control plane "
            f"with fewer than {LEAST_CPUS} CPUs or 1700 MB",
            hint='Say .control_plane(cpus=2, memory="2GiB"), or .bare() to leave kubeadm to you.',
            cluster=description.name,
            host=node.name,
        )


async def refuse_without_kubeadm(image: VMImage) -> None:
    """Make sure that an image has kubeadm, as far as it tells what is in it.

    Args:
        image: The image.

    Raises:
        ImageFormatError: When it tells its packages, and kubeadm is not among them.
    """
    packages = await image.packages()
    if packages and "kubeadm" not in packages:
        raise ImageFormatError(
            f"the image of Kubernetes {image.k8s_version} has no kubeadm inside",
            hint="Build one with Kubernetes, or say .bare() and install it by hand.",
            image=image.k8s_version,
        )
