"""A real Kubernetes without internet: packages and container images in a folder.

It is not part of the repository (100 MB). It lies beside the checkout in
`shared/kubernetes-1.20.2`, or where `KUTTI_TEST_KUBERNETES` says; tests that need
it are skipped where it is absent.
"""

from __future__ import annotations

import os
from pathlib import Path

from container_samples import docker_archive, layer

from kutti_sdk.images.builder import NodeImageRecipe
from kutti_sdk.images.builder.build import COMMAND_LINE
from kutti_sdk.images.building import build_into_store
from kutti_sdk.images.checksums import checksum_of
from kutti_sdk.images.store import LocalImage, local_images

BUNDLE = Path(
    os.environ.get(
        "KUTTI_TEST_KUBERNETES", Path(__file__).parents[2] / "shared" / "kubernetes-1.20.2"
    )
)
PACKAGES, CONTAINER_IMAGES = BUNDLE / "packages", BUNDLE / "container-images"

LAYERED = "kutti.local/layered:1"
"""An image whose later layers remove what the earlier ones brought; see `layered_archive`."""

LEFT_OF_LAYERED = ["new", "replaced/new"]
"""The files that are left of it."""


def layered_archive() -> bytes:
    """Layers that delete a file, empty a folder and replace one, in the OCI's notation.

    https://github.com/opencontainers/image-spec/blob/main/layer.md#whiteouts
    """
    first = {
        "deleted": b"1",
        "emptied/": b"",
        "emptied/old": b"1",
        "replaced/": b"",
        "replaced/old": b"1",
        "replaced/below/": b"",
        "replaced/below/old": b"",
    }
    second = {".wh.deleted": b"", "emptied/": b"", "emptied/.wh..wh..opq": b"", "new": b"2"}
    third = {".wh.replaced": b"", "replaced/": b"", "replaced/new": b"3"}
    return docker_archive(LAYERED, layers=[layer(first), layer(second), layer(third)])


async def find_or_build(folder: Path) -> LocalImage:
    """Find the image in the store, or build it there.

    Args:
        folder: Where the archives are collected.
    """
    for path in CONTAINER_IMAGES.iterdir():
        (folder / path.name).symlink_to(path)
    (folder / "layered.tar").write_bytes(layered_archive())
    wanted = {path.name: await checksum_of(path) for path in folder.iterdir()}
    for image in await local_images():
        manifest = image.manifest
        up_to_date = manifest.boot is not None and manifest.boot.cmdline == COMMAND_LINE
        if manifest.container_archives == wanted and up_to_date:
            return image
    return await build_into_store(
        NodeImageRecipe(k8s_version="1.20", kubernetes_packages=PACKAGES, container_images=folder)
    )
