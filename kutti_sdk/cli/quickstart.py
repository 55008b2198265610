"""``quickstart``: from nothing to two hosts that talk to each other.

With an image of Kubernetes at hand they become a Kubernetes cluster. Every step
looks first at what is there, so that running it again changes nothing and takes
seconds.
"""

from __future__ import annotations

import argparse
import os
import time

from rich.markup import escape
from rich.table import Table

from kutti_sdk.cli import system_packages
from kutti_sdk.cli.outside import reachable_from
from kutti_sdk.cli.terminal import errors, live_progress, output
from kutti_sdk.clusters import Cluster, ClusterSpec, attach, cluster
from kutti_sdk.core.errors import ClusterNotFoundError, ImageNotFoundError, ResourceError
from kutti_sdk.core.registry import get_driver
from kutti_sdk.core.status import ImageStatus
from kutti_sdk.core.versions import NO_KUBERNETES
from kutti_sdk.images.builder import NodeImageRecipe
from kutti_sdk.images.building import build_into_store

NAME = "quickstart"

_AFTERWARDS = """\
From Python:

    import kutti_sdk as kutti
    cluster = await kutti.attach("{name}")
    print((await cluster["node1"].run("uptime")).stdout)

To delete it:  python -m kutti_sdk cluster delete {name}
"""


def add_command(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to the command line.

    Args:
        commands: Where to add it.
    """
    command = commands.add_parser("quickstart", help="two hosts on one network, from nothing")
    command.add_argument(
        "--no-install",
        action="store_true",
        help="tell which system packages are missing, and install none",
    )
    command.set_defaults(command=run)


async def run(options: argparse.Namespace) -> int:
    """Do the quickstart.

    Args:
        options: The parsed command line.

    Returns:
        The exit status.
    """
    begun = time.monotonic()
    spec = await _choose_spec()
    build = not spec.has_kubernetes and not await _has_image()
    missing = system_packages.packages_to_run()
    if build:
        missing += system_packages.packages_to_build()
    if missing:
        missing = sorted(set(missing))
        output.print(f"Missing system packages: {', '.join(missing)}")
        if options.no_install:
            errors.print(f"Run: apt-get install {' '.join(missing)}")
            return 1
        await system_packages.install(missing)
    if build:
        output.print("Building a node image from Debian packages; this is done once.")
        with live_progress():
            await build_into_store(NodeImageRecipe())
    with live_progress():
        made = await spec.ensure()
    await _show(made)
    if spec.is_brought_up:
        output.print((await made.kubectl("get nodes", check=True)).stdout, markup=False)
    output.print(f"\nReady after {time.monotonic() - begun:.1f} s.\n")
    output.print(escape(_AFTERWARDS.format(name=NAME)))
    return 0


async def _choose_spec() -> ClusterSpec:
    """Take the cluster as it is when it was begun, else Kubernetes when it is at hand."""
    try:
        return (await attach(NAME)).spec
    except ClusterNotFoundError:
        pass
    plain = cluster(NAME).nodes(2, cpus=min(2, os.cpu_count() or 1))
    with_kubernetes = cluster(NAME).workers(1)
    for image in await get_driver("qemu").list_images():
        if image.k8s_version == NO_KUBERNETES or "kubeadm" not in await image.packages():
            continue
        spec = with_kubernetes.kubernetes(image.k8s_version)
        try:
            await get_driver("qemu").check_capacity([node.size for node in spec.node_specs])
        except ResourceError:
            return plain
        output.print(f"Bringing up Kubernetes {image.k8s_version}, of which there is an image.")
        return spec
    return plain


async def _has_image() -> bool:
    try:
        image = await get_driver("qemu").get_image(NO_KUBERNETES)
    except ImageNotFoundError:
        return False
    return await image.status() is ImageStatus.DOWNLOADED


async def _show(made: Cluster) -> None:
    table = Table(title=f"Cluster {made.name}")
    for heading in ("Host", "Status", "Address", "SSH", "Kernel"):
        table.add_column(heading)
    kernels = {result.host: result.stdout.strip() for result in await made.run_all("uname -r")}
    for node in made:
        table.add_row(
            node.name,
            await node.status(),
            await node.ip_address(),
            await node.ssh_address(),
            kernels[node.name],
        )
    output.print(table)
    names = [node.name for node in made]
    for node, other in zip(made, reversed(names), strict=True):
        ping = await node.run(f"ping -c 1 -W 5 {other}", check=True)
        received = next(line for line in ping.stdout.splitlines() if "bytes from" in line)
        output.print(f"{node.name} to {other}: {escape(received)}", soft_wrap=True)
    for node in made:
        answer = await reachable_from(node)
        output.print(f"{node.name} to the outside: {escape(answer)}")
