"""``image fetch``: an image that a list names."""

from __future__ import annotations

import argparse

from kutti_sdk.cli.images.options import add_driver, add_version
from kutti_sdk.cli.terminal import live_progress
from kutti_sdk.core.registry import get_driver


def add_commands(actions: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the commands to ``image``.

    Args:
        actions: Where to add them.
    """
    fetch = actions.add_parser("fetch", help="download an image")
    add_version(fetch)
    add_driver(fetch)
    fetch.set_defaults(command=_fetch)


async def _fetch(options: argparse.Namespace) -> int:
    driver = get_driver(options.driver)
    with live_progress():
        await driver.fetch_image_list()
        await (await driver.get_image(options.version)).fetch()
    return 0
