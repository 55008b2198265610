"""``cluster``: list, show, suspend, delete, and ways in."""

from __future__ import annotations

import argparse

from kutti_sdk.cli.terminal import live_progress, output
from kutti_sdk.clusters import attach, list_clusters


def add_commands(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the commands to the command line.

    Args:
        commands: Where to add them.
    """
    group = commands.add_parser("cluster", help="list, show, suspend and delete clusters")
    actions = group.add_subparsers(required=True, metavar="ACTION")

    listing = actions.add_parser("list", help="list all clusters")
    listing.set_defaults(command=_list)

    for name, command, text in (
        ("show", _show, "tell the status of a cluster and its hosts"),
        ("suspend", _suspend, "write the memory of a cluster to the disk, and end its hosts"),
        ("resume", _resume, "let a suspended cluster go on"),
        ("delete", _delete, "delete a cluster with its hosts and their disks"),
        ("shell", _shell, "open a shell on a host"),
    ):
        action = actions.add_parser(name, help=text)
        action.add_argument("name", help="name of the cluster")
        if name == "shell":
            action.add_argument("node", nargs="?", default="node1", help="default: %(default)s")
        action.set_defaults(command=command)

    kubeconfig = actions.add_parser("kubeconfig", help="write the kubeconfig of a cluster")
    kubeconfig.add_argument("name", help="name of the cluster")
    kubeconfig.add_argument(
        "--merge", action="store_true", help="add it to your own kubeconfig, which it leaves whole"
    )
    kubeconfig.set_defaults(command=_kubeconfig)


async def _list(_: argparse.Namespace) -> int:
    for found in await list_clusters():
        output.print(str(await found.status()), markup=False, soft_wrap=True)
    return 0


async def _show(options: argparse.Namespace) -> int:
    status = await (await attach(options.name)).status()
    output.print(str(status), markup=False, soft_wrap=True)
    return 0


async def _suspend(options: argparse.Namespace) -> int:
    with live_progress():
        await (await attach(options.name)).suspend()
    output.print(f"Suspended cluster {options.name}.")
    return 0


async def _resume(options: argparse.Namespace) -> int:
    cluster = await attach(options.name)
    with live_progress():
        await cluster.resume()
    output.print(str(await cluster.status()), markup=False, soft_wrap=True)
    return 0


async def _delete(options: argparse.Namespace) -> int:
    with live_progress():
        await (await attach(options.name)).delete()
    output.print(f"Deleted cluster {options.name}.")
    return 0


async def _shell(options: argparse.Namespace) -> int:
    return await (await attach(options.name))[options.node].shell()


async def _kubeconfig(options: argparse.Namespace) -> int:
    found = await attach(options.name)
    path = await (found.merge_kubeconfig() if options.merge else found.kubeconfig())
    output.print(str(path), markup=False, soft_wrap=True)
    return 0
