"""``image build``: a node image from Debian packages."""

from __future__ import annotations

import argparse
from pathlib import Path

from kutti_sdk.cli.terminal import live_progress, output
from kutti_sdk.images.builder import NodeImageRecipe
from kutti_sdk.images.builder.recipe import KUBERNETES_REPOSITORY
from kutti_sdk.images.building import build_into_store


def add_commands(actions: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the commands to ``image``.

    Args:
        actions: Where to add them.
    """
    build = actions.add_parser("build", help="build a node image from Debian packages")
    build.add_argument("--suite", help="Debian suite (default: bookworm)")
    build.add_argument("--mirror", help="Debian mirror (default: the one apt knows)")
    build.add_argument("--package", action="append", default=[], help="add a Debian package")
    build.add_argument(
        "--kubernetes", metavar="VERSION", help="Kubernetes to install, such as 1.34 or 1.34.2"
    )
    build.add_argument(
        "--kubernetes-repository",
        metavar="URL",
        help=f"package repository of Kubernetes (default: {KUBERNETES_REPOSITORY})",
    )
    build.add_argument(
        "--kubernetes-key",
        metavar="FILE",
        type=Path,
        help="public key of the repository (default: the one it offers over HTTPS)",
    )
    build.add_argument(
        "--packages",
        metavar="DIR",
        type=Path,
        help="install Kubernetes from the .deb files in a folder, with no repository",
    )
    build.add_argument(
        "--container-images",
        metavar="DIR",
        type=Path,
        help="load the archives of container images in a folder",
    )
    build.set_defaults(command=_build)


async def _build(options: argparse.Namespace) -> int:
    chosen = {
        "suite": options.suite,
        "mirror": options.mirror,
        "k8s_version": options.kubernetes,
        "kubernetes_repository": options.kubernetes_repository,
        "kubernetes_key": options.kubernetes_key,
        "kubernetes_packages": options.packages,
        "container_images": options.container_images,
    }
    recipe = NodeImageRecipe(
        packages=tuple(options.package),
        **{name: value for name, value in chosen.items() if value is not None},
    )
    with live_progress():
        image = await build_into_store(recipe)
    output.print(
        f"Built image {image.manifest.k8s_version}, checksum {image.checksum}", soft_wrap=True
    )
    return 0
