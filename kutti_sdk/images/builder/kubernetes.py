"""The steps of a build that make a Kubernetes node of a node.

In their order: `choose_contents` before anything is made, `prepare` in the empty
scratch folder, `node_files` when the packages are installed, and `load_images`
when the root file system is unpacked. Each does nothing for an image without
Kubernetes and container images.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import anyio

from kutti_sdk.core.events import report
from kutti_sdk.core.versions import NO_KUBERNETES, K8sVersion
from kutti_sdk.images.builder.bootstrap import KUBERNETES_FOLDER
from kutti_sdk.images.builder.container_archives import ContainerArchive, container_archives
from kutti_sdk.images.builder.container_images import (
    check_complete,
    import_images,
    needed_images,
    pause_image,
)
from kutti_sdk.images.builder.kubernetes_packages import KubernetesPackages
from kutti_sdk.images.builder.namespace import UserNamespace
from kutti_sdk.images.builder.node_files import NO_FILES, NodeFiles, kubernetes_files
from kutti_sdk.images.builder.overlay_marks import opaque_folders
from kutti_sdk.images.builder.package_folder import packages_in_folder
from kutti_sdk.images.builder.package_repository import packages_in_repository
from kutti_sdk.images.builder.recipe import KUBERNETES_REPOSITORY, NodeImageRecipe
from kutti_sdk.images.builder.scratch_files import put_files

_KUBEADM = "usr/bin/kubeadm"


@dataclass(frozen=True, slots=True)
class KubernetesContents:
    """What an image gets beside Debian's packages.

    Attributes:
        packages: The packages of Kubernetes, or None for an image without it.
        archives: Archives of container images.
    """

    packages: KubernetesPackages | None
    archives: tuple[ContainerArchive, ...]

    @property
    def k8s_version(self) -> str:
        """The Kubernetes version, with its patch number, or ``none``."""
        return NO_KUBERNETES if self.packages is None else self.packages.version

    @property
    def package_files(self) -> dict[str, str]:
        """SHA-256 of the packages' files, by name."""
        return {} if self.packages is None else self.packages.checksums

    @property
    def archive_files(self) -> dict[str, str]:
        """SHA-256 of the archives, by file name."""
        return {archive.path.name: archive.sha256 for archive in self.archives}


@dataclass(frozen=True, slots=True)
class LoadedImages:
    """Container images in the root file system.

    Attributes:
        digests: Their digests, by name.
        opaque: Folders that the disk must mark; see `overlay_marks`.
    """

    digests: dict[str, str] = field(default_factory=dict)
    opaque: tuple[str, ...] = ()


async def choose_contents(recipe: NodeImageRecipe) -> KubernetesContents:
    """Find out what goes into an image, and refuse what does not fit.

    Args:
        recipe: What is wanted.

    Returns:
        What was chosen.

    Raises:
        ImageBuildError: When packages or archives are missing, cannot be read or do
            not fit together, or the repository cannot be reached.
    """
    packages = None
    if recipe.has_kubernetes:
        wanted = K8sVersion.parse(recipe.k8s_version)
        if recipe.kubernetes_packages is not None:
            _tell(recipe, f"Reading the packages in {recipe.kubernetes_packages}")
            packages = await packages_in_folder(recipe.kubernetes_packages, wanted)
        else:
            repository = recipe.kubernetes_repository or KUBERNETES_REPOSITORY
            _tell(recipe, f"Asking {repository} for Kubernetes {wanted}")
            packages = await packages_in_repository(repository, wanted, key=recipe.kubernetes_key)
    if recipe.container_images is None:
        if recipe.has_kubernetes:
            _tell(recipe, "No container images were given: nodes will have to download them")
        return KubernetesContents(packages, ())
    archives = await container_archives(
        recipe.container_images, on_progress=lambda message: _tell(recipe, message)
    )
    return KubernetesContents(packages, archives)


async def prepare(contents: KubernetesContents, namespace: UserNamespace, folder: Path) -> None:
    """Put the files that apt needs into place, and check the archives where that can be done.

    Args:
        contents: What goes into the image.
        namespace: Where to do it.
        folder: The build's scratch folder.

    Raises:
        ImageBuildError: When a container image is missing that kubeadm needs.
    """
    packages = contents.packages
    if packages is None:
        return
    await put_files(
        namespace,
        folder,
        {f"{KUBERNETES_FOLDER}/{name}": content for name, content in packages.files.items()},
    )
    if packages.kubeadm is not None and contents.archives:
        package = f"{KUBERNETES_FOLDER}/{packages.kubeadm}"
        await namespace.run("dpkg-deb", "--extract", package, KUBERNETES_FOLDER, folder=folder)
        check_complete(
            await needed_images(namespace, folder / KUBERNETES_FOLDER, packages.version),
            contents.archives,
        )


async def node_files(
    contents: KubernetesContents,
    namespace: UserNamespace,
    folder: Path,
    archive: Path,
    installed: Mapping[str, str],
) -> NodeFiles:
    """Give the files of a Kubernetes node that fit to the packages in it.

    Args:
        contents: What goes into the image.
        namespace: Where to run kubeadm.
        folder: The build's scratch folder.
        archive: The root file system as the packages made it.
        installed: Versions of the packages in it, by name.

    Returns:
        Files and links to add.

    Raises:
        ImageBuildError: When a container image is missing that kubeadm needs.
    """
    packages = contents.packages
    if packages is None:
        return NO_FILES
    async with await anyio.open_file(archive, "rb") as file:
        await namespace.run(
            *("tar", "--extract", f"--directory={KUBERNETES_FOLDER}", f"./{_KUBEADM}"),
            folder=folder,
            stdin=file.wrapped,
        )
    needed = await needed_images(namespace, folder / KUBERNETES_FOLDER, packages.version)
    if contents.archives:
        check_complete(needed, contents.archives)
    return kubernetes_files(containerd=installed["containerd"], pause=pause_image(needed))


async def load_images(
    contents: KubernetesContents,
    namespace: UserNamespace,
    folder: Path,
    *,
    timestamp: int,
    on_progress: Callable[[str, float], None],
) -> LoadedImages:
    """Load the container images into the unpacked root file system.

    Args:
        contents: What goes into the image.
        namespace: Where to do it.
        folder: The build's scratch folder, with the root file system in ``tree``.
        timestamp: No file is younger, in seconds since the epoch.
        on_progress: Called with a message and a fraction.

    Returns:
        What was loaded.

    Raises:
        ImageBuildError: When an image cannot be loaded.
    """
    if not contents.archives:
        return LoadedImages()
    on_progress("Loading container images", 0.0)
    digests = await import_images(
        namespace, folder, contents.archives, timestamp=timestamp, on_progress=on_progress
    )
    return LoadedImages(digests, await opaque_folders(namespace, folder))


def _tell(recipe: NodeImageRecipe, message: str) -> None:
    report("build", message, image=recipe.k8s_version)
