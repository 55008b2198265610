"""Asks for what faces show, with patience that ends.

Every question has a time limit of its own. What did not come in time is unknown, and
what failed is told in its place: a face never fails and never waits for long.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import replace
from functools import partial
from typing import TypeVar

import anyio

from kutti_sdk.clusters.cluster import Cluster
from kutti_sdk.clusters.node import Node
from kutti_sdk.core.checkpoints import CheckpointDetails, SupportsCheckpoints
from kutti_sdk.core.driver import VMDriver
from kutti_sdk.core.errors import (
    DriverUnavailableError,
    HostNotFoundError,
    PortNotForwardedError,
)
from kutti_sdk.core.host import VMHost
from kutti_sdk.core.image import VMImage
from kutti_sdk.core.status import DriverStatus
from kutti_sdk.runtime.tasks import run_all, task_group
from kutti_sdk.views.facts import ClusterFacts, DriverFacts, HostFacts, ImageFacts

T = TypeVar("T")

PATIENCE = 0.8
"""Seconds that a question may take; drivers answer in milliseconds, unless something hangs."""

_CONSOLE_LINES = 1


async def read_cluster(cluster: Cluster) -> ClusterFacts:
    """Ask how a cluster is.

    Args:
        cluster: The cluster.

    Returns:
        How it is, or as much of that as came in time.
    """
    spec = cluster.spec
    facts = unknown_cluster(cluster)
    problems: list[str] = []
    hosts = await _answer(lambda: spec.find_driver().list_hosts(), None, problems)
    if hosts is None:
        return replace(facts, problem="; ".join(problems))
    mine = [it for it in hosts if it.clustername == it.networkname == spec.name]
    checkpoints: list[CheckpointDetails] = []

    async def ask_checkpoints() -> None:
        checkpoints.extend(await _answer(partial(_read_checkpoints, cluster), [], problems))

    async with task_group() as group:
        group.start_soon(ask_checkpoints)
        seen = {host.name: host for host in await read_hosts(mine)}
    missing = {host.name: replace(host, status=None) for host in facts.hosts}
    return replace(
        facts,
        hosts=tuple((missing | seen).values()),
        checkpoints=tuple(checkpoints),
        problem="; ".join(problems),
    )


def unknown_cluster(cluster: Cluster) -> ClusterFacts:
    """Tell what is known of a cluster before anybody was asked.

    Args:
        cluster: The cluster.

    Returns:
        Its nodes, with unknown statuses.
    """
    spec = cluster.spec
    return ClusterFacts(
        name=spec.name,
        driver=spec.driver_name,
        kubernetes=spec.kubernetes_text,
        cidr=spec.cidr,
        hosts=tuple(HostFacts(name=node.name, size=node.size) for node in spec.node_specs),
    )


async def read_node(node: Node) -> HostFacts:
    """Ask how a node of a cluster is.

    Args:
        node: The node.

    Returns:
        How it is, or as much of that as came in time.
    """
    problems: list[str] = []

    async def find() -> VMHost | None:
        try:
            return await node.host()
        except HostNotFoundError:
            return None

    host = await _answer(find, None, problems)
    if host is not None:
        return await read_host(host)
    if problems:
        return HostFacts(name=node.name, problem="; ".join(problems))
    return HostFacts(name=node.name, status=None)


async def read_hosts(hosts: Iterable[VMHost]) -> list[HostFacts]:
    """Ask how hosts are, side by side.

    Args:
        hosts: The hosts.

    Returns:
        How they are, in their order.
    """
    return await run_all(*(partial(read_host, host) for host in hosts))


async def read_host(host: VMHost) -> HostFacts:
    """Ask how a host is.

    Args:
        host: The host.

    Returns:
        How it is, or as much of that as came in time.
    """
    facts = unknown_host(host)
    problems: list[str] = []

    async def ask() -> None:
        nonlocal facts
        try:
            facts = replace(facts, status=await host.status())
        except HostNotFoundError:
            facts = replace(facts, status=None)
            return
        try:
            facts = replace(facts, ssh_address=await host.ssh_address())
        except PortNotForwardedError:
            pass
        facts = replace(facts, forwards=await host.forwards())
        facts = replace(facts, usage=await host.usage())
        facts = replace(facts, console=await host.console(_CONSOLE_LINES))

    await _answer(ask, None, problems)
    return replace(facts, problem="; ".join(problems))


def unknown_host(host: VMHost) -> HostFacts:
    """Tell what is known of a host before it was asked.

    Args:
        host: The host.

    Returns:
        What its handle knows.
    """
    return HostFacts(
        name=host.name,
        ip_address=host.ip_address,
        k8s_version=host.k8s_version,
        size=host.size,
    )


async def read_images(images: Iterable[VMImage]) -> list[ImageFacts]:
    """Ask how images are, side by side.

    Args:
        images: The images.

    Returns:
        How they are, in their order.
    """
    return await run_all(*(partial(read_image, image) for image in images))


async def read_image(image: VMImage) -> ImageFacts:
    """Ask how an image is.

    Args:
        image: The image.

    Returns:
        How it is, or as much of that as came in time.
    """
    facts = unknown_image(image)
    problems: list[str] = []

    async def ask() -> None:
        nonlocal facts
        facts = replace(facts, status=await image.status())
        facts = replace(facts, details=await image.details())

    await _answer(ask, None, problems)
    return replace(facts, problem="; ".join(problems))


def unknown_image(image: VMImage) -> ImageFacts:
    """Tell what is known of an image before it was asked.

    Args:
        image: The image.

    Returns:
        What its handle knows.
    """
    return ImageFacts(
        k8s_version=image.k8s_version, checksum=image.checksum, deprecated=image.deprecated
    )


async def read_driver(driver: VMDriver) -> DriverFacts:
    """Ask how a driver is.

    Args:
        driver: The driver.

    Returns:
        How it is, or as much of that as came in time.
    """
    facts = DriverFacts(name=driver.name, description=driver.description)
    problems: list[str] = []

    async def status() -> DriverStatus:
        try:
            await driver.check()
        except DriverUnavailableError as error:
            problems.append(str(error))
            return DriverStatus.UNAVAILABLE
        return DriverStatus.READY

    async def ask_status() -> None:
        nonlocal facts
        facts = replace(facts, status=await _answer(status, None, problems))

    counts: dict[str, int] = {}

    async def count(name: str, of: Callable[[], Awaitable[list[T]]]) -> None:
        found = await _answer(of, None, problems)
        if found is not None:
            counts[name] = len(found)

    async with task_group() as group:
        group.start_soon(ask_status)
        group.start_soon(count, "networks", driver.list_networks)
        group.start_soon(count, "hosts", driver.list_hosts)
        group.start_soon(count, "images", driver.list_images)
    return replace(facts, counts=counts, problem="; ".join(dict.fromkeys(problems)))


async def _read_checkpoints(cluster: Cluster) -> list[CheckpointDetails]:
    driver, name = cluster.spec.find_driver(), cluster.spec.name
    if not isinstance(driver, SupportsCheckpoints):
        return []
    return [
        it for it in await driver.list_checkpoints() if it.clustername == it.networkname == name
    ]


async def _answer(question: Callable[[], Awaitable[T]], otherwise: T, problems: list[str]) -> T:
    with anyio.move_on_after(PATIENCE):
        try:
            return await question()
        except Exception as error:  # noqa: BLE001 - drivers of others may raise anything
            problems.append(str(error) or type(error).__name__)
            return otherwise
    problems.append("no answer in time")
    return otherwise
