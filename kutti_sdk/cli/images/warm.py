"""``image warm``: templates, from which new hosts go on in place of booting."""

from __future__ import annotations

import argparse

from kutti_sdk.cli.images.options import add_driver, add_version
from kutti_sdk.cli.terminal import live_progress, output
from kutti_sdk.core.host import HostSize
from kutti_sdk.core.registry import get_driver
from kutti_sdk.core.sizes import format_size


def add_commands(actions: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the commands to ``image``.

    Args:
        actions: Where to add them.
    """
    warm = actions.add_parser("warm", help="make a template, so that new hosts need not boot")
    add_version(warm)
    add_driver(warm)
    warm.add_argument("--cpus", type=int, help="CPUs of the hosts; default: 2")
    warm.add_argument("--memory", metavar="SIZE", help="their memory, as 2GiB; default: 1GiB")
    warm.add_argument("--disk", metavar="SIZE", help="their disk; default: 20GiB")
    warm.add_argument(
        "--remove", action="store_true", help="remove all templates of the image instead"
    )
    warm.set_defaults(command=_warm)


async def _warm(options: argparse.Namespace) -> int:
    image = await get_driver(options.driver).get_image(options.version)
    before = (await image.details()).templates
    if options.remove:
        await image.cool_down()
        left = (await image.details()).templates
        output.print(f"Removed templates; {format_size(before - left)} are free again.")
        return 0
    size = HostSize.parse(options.cpus, options.memory, options.disk)
    with live_progress():
        await image.warm_up(cpus=size.cpus, memory=size.memory, disk=size.disk)
    taken = format_size((await image.details()).templates)
    output.print(
        f"New hosts of image {image.k8s_version} with {size} need not boot. "
        f"Its templates take {taken}.",
        soft_wrap=True,
    )
    return 0
