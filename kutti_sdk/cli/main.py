"""Reading the command line, and telling errors in a form that helps."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from functools import partial

import anyio

from kutti_sdk.cli import checkpoints, clusters, doctor, images, quickstart
from kutti_sdk.cli.terminal import errors
from kutti_sdk.core.errors import KuttiError
from kutti_sdk.runtime.directories import set_workspace

_FAILED = 1
_INTERRUPTED = 130  # 128 + SIGINT, as shells tell it


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command.

    Args:
        arguments: The command line without the program; None for the process's own.

    Returns:
        The exit status.
    """
    options = _parser().parse_args(arguments)
    if options.workspace:
        set_workspace(options.workspace)
    try:
        return int(anyio.run(partial(options.command, options)))
    except KuttiError as error:
        errors.print(f"[red]Error:[/] {_plain(error.message)}")
        if error.hint:
            errors.print(f"[yellow]Hint:[/] {_plain(error.hint)}")
        return _FAILED
    except KeyboardInterrupt:
        errors.print("Interrupted; run the same command again to go on.")
        return _INTERRUPTED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m kutti_sdk",
        description="Small Kubernetes clusters of virtual machines.",
    )
    parser.add_argument(
        "--workspace",
        metavar="DIR",
        help="keep everything below this folder (also: environment variable KUTTI_WORKSPACE)",
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    quickstart.add_command(commands)
    images.add_commands(commands)
    clusters.add_commands(commands)
    checkpoints.add_commands(commands)
    doctor.add_command(commands)
    return parser


def _plain(text: str) -> str:
    from rich.markup import escape

    return escape(text)
