"""``image``: everything that can be done with images."""

from __future__ import annotations

import argparse

from kutti_sdk.cli.images import build, exchange, fetch, store, warm


def add_commands(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the commands to the command line.

    Args:
        commands: Where to add them.
    """
    group = commands.add_parser("image", help="build, list, import, fetch, warm and remove images")
    actions = group.add_subparsers(required=True, metavar="ACTION")
    for part in (build, fetch, exchange, store, warm):
        part.add_commands(actions)
