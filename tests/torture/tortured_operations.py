"""The operations that are tried with faults, and what must be possible after any fault.

An operation more is one line more in one of the tables below.
"""

from __future__ import annotations

import socket
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import anyio

import kutti_sdk as kutti
from kutti_sdk.clusters.attachment import list_clusters
from kutti_sdk.clusters.cluster import Cluster
from kutti_sdk.clusters.spec import ClusterSpec
from kutti_sdk.core.driver import VMDriver
from kutti_sdk.core.errors import CheckpointMismatchError
from kutti_sdk.core.status import HostStatus, ImageStatus
from kutti_sdk.testing.boot_disk import BOOT_MESSAGE


@dataclass(frozen=True, slots=True)
class Lab:
    """What operations are tried on.

    Attributes:
        spec: A cluster with node1 and node2, port 80 of node1 forwarded.
        k8s_version: Version of an image that no host uses.
        image_file: That image as a file.
        folder: For files that an operation makes.
    """

    spec: ClusterSpec
    k8s_version: str
    image_file: Path
    folder: Path

    @property
    def driver(self) -> VMDriver:
        """The driver."""
        return self.spec.find_driver()

    @property
    def cluster(self) -> Cluster:
        """The cluster, whether it exists or not."""
        return Cluster(self.spec)


PASSING = "passing"
"""Name of another cluster, which an operation makes and deletes."""

Act = Callable[[Lab], Awaitable[object]]


@dataclass(frozen=True, slots=True)
class Operation:
    """An operation that is tried.

    Attributes:
        name: What the tables call it.
        prepare: Makes what it needs; works whatever an earlier try left.
        act: The operation.
    """

    name: str
    prepare: Act
    act: Act

    def __str__(self) -> str:
        return self.name


async def no_cluster(lab: Lab) -> None:
    """Begin with nothing."""
    await lab.cluster.delete()


async def running(lab: Lab) -> None:
    """Begin with the cluster as its spec says."""
    await lab.spec.ensure()


async def stopped(lab: Lab) -> None:
    """Begin with the cluster switched off."""
    await lab.spec.ensure()
    await lab.cluster.force_stop()


async def saved(lab: Lab) -> None:
    """Begin with a running cluster that has one checkpoint."""
    await lab.spec.ensure()
    await _forget(lab)
    await lab.cluster.checkpoint("one")


async def suspended(lab: Lab) -> None:
    """Begin with the cluster suspended; it has one checkpoint as well."""
    await saved(lab)
    await lab.cluster.suspend()


async def fetch(lab: Lab) -> None:
    """Bring the image here."""
    await (await lab.driver.get_image(lab.k8s_version)).fetch()


async def purge(lab: Lab) -> None:
    """Remove what there is of the image."""
    await (await lab.driver.get_image(lab.k8s_version)).purge_local()


async def _use_for_a_moment(lab: Lab) -> None:
    async with lab.spec.named(PASSING).without_forward(to=80).ephemeral() as cluster:
        await cluster["node1"].run("true")


async def _run_everywhere(lab: Lab) -> None:
    # The commands run on the island, which has steps of its own: each loop meets it elsewhere.
    for command in ("true", "echo one; echo two", "hostname", "false"):
        async for _ in lab.cluster.run_all(command):
            pass
    await lab.cluster.run_all("true")


async def _follow(lab: Lab) -> None:
    async with lab.spec.apply() as run:
        async for _ in run:
            pass


async def _copy(lab: Lab) -> None:
    await lab.cluster["node1"].put(lab.image_file, "/tmp/copied")
    await lab.cluster["node1"].get("/tmp/copied", lab.folder / "copied")


async def _import(lab: Lab) -> None:
    await (await lab.driver.get_image(lab.k8s_version)).from_file(lab.image_file)


async def _export(lab: Lab) -> None:
    image = await lab.driver.get_image(lab.k8s_version)
    await image.export(lab.folder / "exported", replace=True)


async def _forget(lab: Lab) -> None:
    for checkpoint in await lab.cluster.checkpoints():
        await checkpoint.delete()


async def _clone(lab: Lab) -> None:
    (checkpoint,) = await lab.cluster.checkpoints()
    copy = await checkpoint.clone(PASSING)
    with anyio.CancelScope(shield=True):  # what is tried is over
        await copy.delete()


HOST_OPERATIONS = (
    Operation("ensure", no_cluster, lambda lab: lab.spec.ensure()),
    Operation("ensure what was changed", running, lambda lab: changed(lab.spec).ensure()),
    Operation("delete", running, lambda lab: lab.cluster.delete()),
    Operation("start", stopped, lambda lab: lab.cluster.start()),
    Operation("force_stop", running, lambda lab: lab.cluster.force_stop()),
    Operation("add_node", running, lambda lab: lab.cluster.add_node("more")),
    Operation("remove_node", running, lambda lab: lab.cluster.remove_node("node2")),
    Operation("forward", running, lambda lab: lab.cluster["node2"].forward(0, to=81)),
    Operation("unforward", running, lambda lab: lab.cluster["node1"].unforward(to=80)),
)
"""Operations that want nothing of the system inside of the hosts."""

GUEST_OPERATIONS = (
    Operation("apply", no_cluster, _follow),
    Operation("ephemeral", no_cluster, _use_for_a_moment),
    Operation("stop", running, lambda lab: lab.cluster.stop()),
    Operation("run", running, lambda lab: lab.cluster["node1"].run("true")),
    Operation("run_all", running, _run_everywhere),
    Operation("put and get", running, _copy),
)
"""Operations that talk to the system inside."""

MEMORY_OPERATIONS = (
    Operation("checkpoint", saved, lambda lab: lab.cluster.checkpoint("two")),
    Operation("clone", saved, _clone),
    Operation("suspend", saved, lambda lab: lab.cluster.suspend()),
    Operation("resume", suspended, lambda lab: lab.cluster.resume()),
    Operation("delete a checkpoint", saved, _forget),
)
"""Operations on the memory of hosts, who keep it whatever happens."""

RESTORE = Operation("restore", saved, lambda lab: lab.cluster.restore("one"))
"""The operation that gives hosts another memory and another disk."""

IMAGE_OPERATIONS = (
    Operation("fetch", purge, fetch),
    Operation("import", purge, _import),
    Operation("export", fetch, _export),
    Operation("purge", fetch, purge),
)
"""Operations on an image."""


def changed(spec: ClusterSpec) -> ClusterSpec:
    """Describe the cluster with other nodes and forwards."""
    return spec.node("db").without_node("node2").without_forward(to=80).forward(0, to=81, node="db")


async def ensure_and_delete(lab: Lab) -> None:
    """Bring the cluster to its spec, see that it is, and delete it."""
    try:
        await lab.spec.ensure()
    except CheckpointMismatchError:  # it is brought back half, and to be brought back again
        await lab.cluster.restore("one")
        await lab.spec.ensure()
    plan = await lab.spec.plan()
    assert not plan, f"ensure() left this to be done: {plan}"
    status = await lab.cluster.status()
    nodes = {node.name: node.status for node in status.nodes}
    assert nodes == dict.fromkeys(lab.spec.node_names, HostStatus.RUNNING)
    if lab.driver.name != "simulated":
        assert_listening(it.host_port for node in status.nodes for it in node.forwards)
    await lab.cluster.delete()


async def go_on_and_delete(lab: Lab) -> None:
    """Bring the cluster to its spec, see that no host has booted for it, and delete it."""
    await lab.spec.ensure()
    for host in await lab.driver.list_hosts():
        assert (await host.console(100)).count(BOOT_MESSAGE) <= 1, f"{host.name} booted again"
    await ensure_and_delete(lab)


async def restore_and_delete(lab: Lab) -> None:
    """Bring the cluster back to the checkpoint that it had before, and go on from there."""
    if not await lab.cluster.checkpoints():  # that was what was deleted
        await lab.spec.ensure()
        await lab.cluster.checkpoint("one")
    await lab.cluster.restore("one")
    await ensure_and_delete(lab)


def assert_listening(ports: Iterable[int]) -> None:
    """See that somebody listens on ports of this machine."""
    for port in ports:
        socket.create_connection(("127.0.0.1", port), timeout=30).close()


async def delete(lab: Lab) -> None:
    """Delete what there is."""
    for cluster in await list_clusters():
        assert cluster.name == lab.spec.name, "what passes was deleted by itself"
    await lab.cluster.delete()


async def mend_and_delete(lab: Lab) -> None:
    """Have the doctor mend what is left, see that it finds no more of that, and delete."""
    diagnosis = await (await kutti.diagnose(lab.driver.name)).mend()
    assert not [str(it) for it in diagnosis.findings if it.mend is not None], diagnosis
    await delete(lab)


async def delete_passing(lab: Lab) -> None:
    """Delete the other cluster, as who made it would have done had it not been killed."""
    await Cluster(lab.spec.named(PASSING)).delete()


async def fetch_and_purge(lab: Lab) -> None:
    """Bring the image here, see that it is whole, and remove it."""
    image = await lab.driver.get_image(lab.k8s_version)
    await image.fetch()
    assert await image.status() is ImageStatus.DOWNLOADED
    await image.purge_local()
    assert await image.status() is ImageStatus.NOT_DOWNLOADED


CLUSTER_ENDS = (ensure_and_delete, delete)
"""What brings a cluster to a clean end after any fault."""

KILLED_CLUSTER_ENDS = (*CLUSTER_ENDS, mend_and_delete)
"""What does so when nothing could be cleaned up."""

MEMORY_ENDS = (ensure_and_delete, restore_and_delete, delete)
"""What brings a cluster with a checkpoint to a clean end after any fault."""

MEMORY_TRIALS = (
    *product(MEMORY_OPERATIONS, (go_on_and_delete, restore_and_delete, delete)),
    *product([RESTORE], MEMORY_ENDS),
)
"""The operations on the memory of hosts, each with what must be possible after them."""

IMAGE_ENDS = (fetch_and_purge, purge)
"""What brings an image to a clean end after any fault."""


def name_of(it: Operation | Act) -> str:
    """Give the name that a test's id has for an operation or an end."""
    return it.name if isinstance(it, Operation) else it.__name__
