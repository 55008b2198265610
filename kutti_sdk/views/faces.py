"""The static face of everything: what a notebook keeps, GitHub shows and a printer prints.

`face` takes the thing itself and asks for what it does not hold; the functions it
leads to take facts and only write.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import partial, singledispatch
from typing import Any

from kutti_sdk.clusters.checkpoints import Checkpoint
from kutti_sdk.clusters.cluster import Cluster
from kutti_sdk.clusters.description import ClusterDescription
from kutti_sdk.clusters.node import Node
from kutti_sdk.clusters.plan import Plan
from kutti_sdk.clusters.status import ClusterStatus
from kutti_sdk.core.display import Listing
from kutti_sdk.core.driver import VMDriver
from kutti_sdk.core.errors import KuttiError
from kutti_sdk.core.host import VMHost
from kutti_sdk.core.image import VMImage
from kutti_sdk.core.network import VMNetwork
from kutti_sdk.core.sizes import format_size
from kutti_sdk.core.ssh import CommandResult
from kutti_sdk.doctor import Diagnosis
from kutti_sdk.views import questions
from kutti_sdk.views.checkpoint_table import checkpoints_table
from kutti_sdk.views.diagnosis_face import diagnosis_face
from kutti_sdk.views.elements import Element, element
from kutti_sdk.views.error_face import error_face
from kutti_sdk.views.facts import DriverFacts, HostFacts
from kutti_sdk.views.host_tables import cluster_table, hosts_table
from kutti_sdk.views.image_table import images_table
from kutti_sdk.views.reading import read_now
from kutti_sdk.views.results import result_face, results_face
from kutti_sdk.views.tables import face_of, forward_list, problem_note, status_mark, table
from kutti_sdk.views.timeline_picture import timeline_face
from kutti_sdk.views.timeline_record import Timeline
from kutti_sdk.views.topology import topology_picture


@singledispatch
def face(_: object) -> Element | None:
    """Make the static face of something.

    Returns:
        The face, or None when the thing has none but its text.
    """
    return None


@face.register
def _cluster(cluster: Cluster) -> Element:
    facts = read_now(partial(questions.read_cluster, cluster), questions.unknown_cluster(cluster))
    return face_of(
        cluster_table(facts),
        element("details", element("summary", "Network"), topology_picture(facts)),
    )


@face.register
def _node(node: Node) -> Element:
    return face_of(
        hosts_table(
            f"Node {node.name} of cluster {node.cluster.name}",
            [read_now(partial(questions.read_node, node), HostFacts(name=node.name))],
        )
    )


@face.register
def _host(host: VMHost) -> Element:
    return _hosts([host], f"Host {host.name} of cluster {host.clustername}")


def _hosts(hosts: Sequence[VMHost], caption: str) -> Element:
    facts = read_now(partial(questions.read_hosts, hosts), [*map(questions.unknown_host, hosts)])
    return face_of(hosts_table(caption, facts))


@face.register
def _image(image: VMImage) -> Element:
    return _images([image], f"Image {image.k8s_version}")


def _images(images: Sequence[VMImage], caption: str) -> Element:
    facts = read_now(
        partial(questions.read_images, images), [*map(questions.unknown_image, images)]
    )
    return face_of(images_table(facts, caption))


@face.register
def _network(network: VMNetwork) -> Element:
    return _networks([network], f"Network {network.name}")


def _networks(networks: Sequence[VMNetwork], caption: str) -> Element:
    rows = ((network.name, network.net_cidr) for network in networks)
    return face_of(table(caption, ("network", "addresses"), rows))


@face.register
def _driver(driver: VMDriver) -> Element:
    unknown = DriverFacts(name=driver.name, description=driver.description)
    facts = read_now(partial(questions.read_driver, driver), unknown)
    things = ("networks", "hosts", "images")
    row = (
        facts.name,
        "Unknown" if facts.status is None else status_mark(facts.status),
        *(str(facts.counts.get(name, "unknown")) for name in things),
        facts.description,
    )
    columns = ("driver", "status", *things, "description")
    return face_of(table(f"Driver {facts.name}", columns, [row]), problem_note(facts.problem))


@face.register
def _spec(spec: ClusterDescription) -> Element:
    columns = ("node", "CPUs", "memory", "disk", "forwarded ports")
    rows = (
        (
            node.name,
            str(node.size.cpus),
            format_size(node.size.memory),
            format_size(node.size.disk),
            forward_list(it.forward for it in spec.forwards if it.node == node.name),
        )
        for node in spec.node_specs
    )
    caption = f"Spec {spec.name} on {spec.driver_name}, {spec.kubernetes_text}, {spec.cidr}"
    return face_of(table(caption, columns, rows))


@face.register
def _plan(plan: Plan) -> Element:
    if not plan:
        return face_of(element("p", plan.heading))
    rows = [(str(number), *action.columns()) for number, action in enumerate(plan, start=1)]
    return face_of(table(plan.heading, ("step", "action", "name", "details"), rows))


@face.register
def _status(status: ClusterStatus) -> Element:
    hosts = [
        HostFacts(
            name=node.name,
            status=node.status,
            ip_address=node.ip_address or "",
            ssh_address=node.ssh_address or "",
            forwards=node.forwards,
        )
        for node in status.nodes
    ]
    return face_of(hosts_table(f"Cluster {status.name}: {status.summary}", hosts))


@face.register
def _result(result: CommandResult) -> Element:
    return face_of(result_face(result))


@face.register
def _timeline(timeline: Timeline) -> Element:
    return timeline_face(timeline, time.time())


@face.register
def _diagnosis(diagnosis: Diagnosis) -> Element:
    return face_of(diagnosis_face(diagnosis))


@face.register
def _checkpoint(checkpoint: Checkpoint) -> Element:
    return _checkpoints([checkpoint], f"Checkpoint of {checkpoint.clustername}")


def _checkpoints(checkpoints: Sequence[Checkpoint], caption: str) -> Element:
    return face_of(checkpoints_table(caption, [it.details for it in checkpoints]))


@face.register
def _error(error: KuttiError) -> Element:
    return face_of(error_face(error))


def _clusters(clusters: Sequence[Cluster]) -> Element:
    rows = (
        (
            cluster.name,
            cluster.spec.driver_name,
            cluster.spec.kubernetes_text,
            ", ".join(cluster.spec.node_names),
        )
        for cluster in clusters
    )
    return face_of(
        table(f"{len(clusters)} clusters", ("cluster", "driver", "version", "nodes"), rows)
    )


_LISTINGS: tuple[tuple[type[Any], Callable[[Any], Element]], ...] = (
    (VMImage, lambda images: _images(images, f"{len(images)} images")),
    (VMHost, lambda hosts: _hosts(hosts, f"{len(hosts)} hosts")),
    (VMNetwork, lambda networks: _networks(networks, f"{len(networks)} networks")),
    (CommandResult, lambda results: face_of(results_face(results))),
    (Cluster, _clusters),
    (Checkpoint, lambda checkpoints: _checkpoints(checkpoints, f"{len(checkpoints)} checkpoints")),
)


@face.register
def _listing(things: Listing) -> Element | None:  # type: ignore[type-arg]  # read at run time
    for kind, write in _LISTINGS:
        if things and all(isinstance(thing, kind) for thing in things):
            return write(things)
    return None
