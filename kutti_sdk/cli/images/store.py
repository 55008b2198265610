"""``image list`` and ``image remove``: the images on this machine."""

from __future__ import annotations

import argparse

from rich.table import Table

from kutti_sdk.cli.images.options import add_driver, add_version
from kutti_sdk.cli.terminal import output
from kutti_sdk.core.registry import get_driver


def add_commands(actions: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the commands to ``image``.

    Args:
        actions: Where to add them.
    """
    listing = actions.add_parser("list", help="list all images")
    add_driver(listing)
    listing.set_defaults(command=_list)

    remove = actions.add_parser("remove", help="remove the local copy of an image")
    add_version(remove)
    add_driver(remove)
    remove.set_defaults(command=_remove)


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


async def _remove(options: argparse.Namespace) -> int:
    await (await get_driver(options.driver).get_image(options.version)).purge_local()
    return 0
