"""``image fetch``: an image that a list names."""

from __future__ import annotations

import argparse

from kutti_sdk.cli.images.options import add_driver, add_version
from kutti_sdk.cli.terminal import live_progress, output
from kutti_sdk.core.driver import VMDriver
from kutti_sdk.core.errors import InvalidInputError
from kutti_sdk.core.registry import get_driver
from kutti_sdk.drivers.qemu import QemuDriver


def add_commands(actions: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the commands to ``image``.

    Args:
        actions: Where to add them.
    """
    fetch = actions.add_parser("fetch", help="download an image")
    add_version(fetch)
    add_driver(fetch)
    fetch.add_argument(
        "--list",
        action="append",
        metavar="URL",
        help="image list, a URL or a file; may be given more than once",
    )
    fetch.add_argument("--proxy", metavar="URL", help="proxy to download through")
    fetch.add_argument(
        "--ca-file", metavar="FILE", help="certificate authorities to trust beside the usual ones"
    )
    fetch.set_defaults(command=_fetch)


async def _fetch(options: argparse.Namespace) -> int:
    driver = _driver(options)
    with live_progress():
        await driver.fetch_image_list()
        image = await driver.get_image(options.version)
        await image.fetch()
    output.print(f"Image {image.k8s_version} is here, checksum {image.checksum}", soft_wrap=True)
    return 0


def _driver(options: argparse.Namespace) -> VMDriver:
    if options.list is options.proxy is options.ca_file is None:
        return get_driver(options.driver)
    if options.driver != "qemu":
        raise InvalidInputError(
            f"the driver {options.driver!r} takes no --list, --proxy and --ca-file",
            hint="These are for the driver qemu.",
        )
    return QemuDriver(image_list=options.list, proxy=options.proxy, ca_file=options.ca_file)
