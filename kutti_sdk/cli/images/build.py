"""``image build``: a node image from Debian packages."""

from __future__ import annotations

import argparse

from kutti_sdk.cli.terminal import live_progress, output
from kutti_sdk.images.builder import NodeImageRecipe
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
    build.set_defaults(command=_build)


async def _build(options: argparse.Namespace) -> int:
    chosen = {"suite": options.suite, "mirror": options.mirror}
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
