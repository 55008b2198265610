"""``image``: build, list, import, fetch, remove."""

from __future__ import annotations

import argparse
from pathlib import Path

from rich.table import Table

from kutti_sdk.cli.terminal import live_progress, output
from kutti_sdk.core.registry import get_driver
from kutti_sdk.drivers.qemu import QemuDriver
from kutti_sdk.images.builder import NodeImageRecipe
from kutti_sdk.images.store import build_into_store


def add_commands(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the commands to the command line.

    Args:
        commands: Where to add them.
    """
    group = commands.add_parser("image", help="build, list, import, fetch and remove images")
    actions = group.add_subparsers(required=True, metavar="ACTION")

    build = actions.add_parser("build", help="build a node image from Debian packages")
    build.add_argument("--suite", help="Debian suite (default: bookworm)")
    build.add_argument("--mirror", help="Debian mirror (default: the one apt knows)")
    build.add_argument("--package", action="append", default=[], help="add a Debian package")
    build.set_defaults(command=_build)

    listing = actions.add_parser("list", help="list all images")
    _add_driver(listing)
    listing.set_defaults(command=_list)

    for name, command, text in (
        ("import", _import, "take an image from a file or folder"),
        ("fetch", _fetch, "download an image"),
        ("remove", _remove, "remove the local copy of an image"),
    ):
        action = actions.add_parser(name, help=text)
        action.add_argument("version", help='Kubernetes version, or "none"')
        if name == "import":
            action.add_argument("path", type=Path, help="disk image or image folder")
        else:
            _add_driver(action)
        action.set_defaults(command=command)


def _add_driver(action: argparse.ArgumentParser) -> None:
    action.add_argument("--driver", default="qemu", help="whose images (default: %(default)s)")


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


async def _list(options: argparse.Namespace) -> int:
    table = Table()
    for heading in ("Version", "Status", "Deprecated", "Checksum"):
        table.add_column(heading)
    for image in await get_driver(options.driver).list_images():
        table.add_row(
            image.k8s_version,
            await image.status(),
            "yes" if image.deprecated else "",
            image.checksum[:12],
        )
    output.print(table)
    return 0


async def _import(options: argparse.Namespace) -> int:
    with live_progress():
        image = await QemuDriver().import_image(options.path, options.version)
    output.print(f"Imported image {image.k8s_version}, checksum {image.checksum}", soft_wrap=True)
    return 0


async def _fetch(options: argparse.Namespace) -> int:
    driver = get_driver(options.driver)
    with live_progress():
        await driver.fetch_image_list()
        await (await driver.get_image(options.version)).fetch()
    return 0


async def _remove(options: argparse.Namespace) -> int:
    await (await get_driver(options.driver).get_image(options.version)).purge_local()
    return 0
