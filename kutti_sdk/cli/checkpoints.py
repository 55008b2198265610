"""``checkpoint``: save clusters, bring them back, copy them, carry them elsewhere."""

from __future__ import annotations

import argparse
from pathlib import Path

import anyio

from kutti_sdk.cli.terminal import live_progress, output
from kutti_sdk.clusters import Checkpoint, attach, import_checkpoint
from kutti_sdk.clusters.checkpoints import DEFAULT_CLONES, checkpoint_table
from kutti_sdk.core.errors import CheckpointNotFoundError
from kutti_sdk.core.sizes import format_size


def add_commands(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the commands to the command line.

    Args:
        commands: Where to add them.
    """
    group = commands.add_parser("checkpoint", help="save clusters, bring them back, copy them")
    actions = group.add_subparsers(required=True, metavar="ACTION")

    listing = actions.add_parser("list", help="list the checkpoints of a cluster")
    listing.add_argument("cluster", help="name of the cluster")
    listing.set_defaults(command=_list)

    for name, command, text in (
        ("save", _save, "save a running cluster"),
        ("restore", _restore, "bring a cluster back; what it did since is lost"),
        ("clone", _clone, "make running copies of a saved cluster"),
        ("delete", _delete, "delete a checkpoint; the cluster and its copies stay"),
    ):
        action = actions.add_parser(name, help=text)
        action.add_argument("cluster", help="name of the cluster")
        action.add_argument("checkpoint", help="name of the checkpoint")
        action.set_defaults(command=command)
        if name == "save":
            action.add_argument("--note", default="", help="something to remember it by")
        if name == "clone":
            action.add_argument("copies", nargs="+", metavar="COPY", help="names of the copies")
            action.add_argument(
                "--limit",
                type=int,
                default=DEFAULT_CLONES,
                help="how many are brought to life at once; default: %(default)s",
            )

    export = actions.add_parser("export", help="write a checkpoint with its images to one file")
    export.add_argument("cluster", help="name of the cluster")
    export.add_argument("checkpoint", help="name of the checkpoint")
    export.add_argument("path", type=Path, help="file to write, for example lab.checkpoint")
    export.add_argument("--force", action="store_true", help="replace a file that is there")
    export.set_defaults(command=_export)

    importing = actions.add_parser("import", help="take a checkpoint from a file of `export`")
    importing.add_argument("path", type=Path, help="the file")
    importing.add_argument(
        "--name", help="name of the cluster that it is to belong to; default: as it was saved"
    )
    importing.set_defaults(command=_import)


async def _list(options: argparse.Namespace) -> int:
    found = await (await attach(options.cluster)).checkpoints()
    _print(checkpoint_table(f"Checkpoints of {options.cluster}", found))
    return 0


async def _save(options: argparse.Namespace) -> int:
    cluster = await attach(options.cluster)
    with live_progress():
        saved = await cluster.checkpoint(options.checkpoint, note=options.note)
    pause = saved.details.pause
    _print(f"Saved {cluster.name} as {saved.name}; it stood still for {pause:.2f} s.")
    return 0


async def _restore(options: argparse.Namespace) -> int:
    cluster = await attach(options.cluster)
    with live_progress():
        await cluster.restore(options.checkpoint)
    _print(f"{cluster.name} is back at {options.checkpoint}.")
    return 0


async def _clone(options: argparse.Namespace) -> int:
    saved = await _find(options)
    with live_progress():
        copies = await saved.clones(options.copies, limit=options.limit)
    for copy in copies:
        _print(str(await copy.status()))
    return 0


async def _delete(options: argparse.Namespace) -> int:
    await (await _find(options)).delete()
    _print(f"Deleted checkpoint {options.checkpoint} of {options.cluster}.")
    return 0


async def _export(options: argparse.Namespace) -> int:
    saved = await _find(options)
    with live_progress():
        await saved.export(options.path, replace=options.force)
    size = (await anyio.Path(options.path).stat()).st_size
    _print(
        f"Exported {saved.name} of {saved.clustername} to {options.path}, {format_size(size)}.\n"
        "All secrets of the cluster are in this file."
    )
    return 0


async def _import(options: argparse.Namespace) -> int:
    with live_progress():
        saved = await import_checkpoint(options.path, options.name)
    _print(f"Imported {saved.name} as a checkpoint of {saved.clustername}; clone it to use it.")
    return 0


async def _find(options: argparse.Namespace) -> Checkpoint:
    found = await (await attach(options.cluster)).checkpoints()
    for checkpoint in found:
        if checkpoint.name == options.checkpoint:
            return checkpoint
    raise CheckpointNotFoundError(
        f"cluster {options.cluster!r} has no checkpoint {options.checkpoint!r}",
        hint=f"Checkpoints it has: {', '.join(it.name for it in found) or 'none'}.",
        cluster=options.cluster,
    )


def _print(text: str) -> None:
    output.print(text, markup=False, soft_wrap=True)
