"""The words: each returns a new spec, and refuses nonsense at once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import FrozenInstanceError
from pathlib import Path

import pytest

from kutti_sdk.clusters.node_spec import NodeForward
from kutti_sdk.clusters.spec import ClusterSpec, cluster
from kutti_sdk.core.errors import (
    DriverNotFoundError,
    InvalidCIDRError,
    InvalidNameError,
    InvalidPortError,
    InvalidSizeError,
    InvalidSpecError,
    InvalidVersionError,
    KuttiError,
)
from kutti_sdk.core.host import HostSize
from kutti_sdk.core.ports import PortForward
from kutti_sdk.core.sizes import GiB
from kutti_sdk.drivers.simulated import SimulatedDriver

BASE = cluster("lab").nodes(2)


def test_a_new_spec_is_one_plain_node_on_qemu() -> None:
    spec = cluster("lab")
    assert (spec.name, spec.driver_name, spec.k8s_version) == ("lab", "qemu", "none")
    assert spec.node_names == ("node1",)
    assert spec.node_specs[0].size == HostSize()


@pytest.mark.parametrize(
    "word",
    [
        lambda spec: spec.named("other"),
        lambda spec: spec.using("simulated"),
        lambda spec: spec.kubernetes("1.34"),
        lambda spec: spec.network("10.1.2.0/24"),
        lambda spec: spec.nodes(3),
        lambda spec: spec.node("db", cpus=4),
        lambda spec: spec.without_node("node2"),
        lambda spec: spec.forward(8080, to=80),
    ],
)
def test_every_word_leaves_the_spec_it_was_said_to_alone(
    word: Callable[[ClusterSpec], ClusterSpec],
) -> None:
    before = repr(BASE)
    changed = word(BASE)
    assert isinstance(changed, ClusterSpec)
    assert changed != BASE
    assert repr(BASE) == before


def test_a_spec_cannot_be_changed_in_place() -> None:
    with pytest.raises(FrozenInstanceError):
        BASE.name = "other"  # type: ignore[misc]


def test_the_order_of_words_makes_no_difference() -> None:
    one = cluster("a").nodes(2, memory="2GiB").network("10.0.0.0/24").kubernetes("1.34")
    other = cluster("a").kubernetes("v1.34").network("10.0.0.0/24").nodes(2, memory=2 * GiB)
    assert one == other


def test_sizes_given_are_for_all_numbered_nodes_and_others_stay() -> None:
    spec = cluster("lab").nodes(2, cpus=4).node("db", memory="8GiB").nodes(3, disk="5GiB")
    sizes = {node.name: node.size for node in spec.node_specs}
    numbered = HostSize(cpus=4, disk=5 * GiB)
    assert sizes == {
        "node1": numbered,
        "node2": numbered,
        "node3": numbered,
        "db": HostSize(cpus=4, memory=8 * GiB),
    }


def test_more_nodes_are_like_the_first() -> None:
    spec = cluster("lab").nodes(1, memory="3GiB").nodes(2)
    assert [node.size.memory for node in spec.node_specs] == [3 * GiB, 3 * GiB]


def test_a_node_that_was_changed_alone_keeps_its_size() -> None:
    spec = cluster("lab").nodes(2).node("node2", cpus=8).nodes(3)
    assert [node.size.cpus for node in spec.node_specs] == [2, 8, 2]


def test_forwards_go_with_their_node() -> None:
    spec = BASE.forward(8080, to=80, node="node2").forward(8081, to=80)
    assert [it.node for it in spec.without_node("node2").forwards] == ["node1"]
    assert [it.node for it in spec.nodes(1).forwards] == ["node1"]


def test_a_second_forward_to_a_port_replaces_the_first() -> None:
    spec = BASE.forward(8080, to=80).forward(9090, to=80)
    assert spec.forwards == (NodeForward("node1", PortForward(9090, 80)),)


def test_a_forward_can_be_left_out_again() -> None:
    assert BASE.forward(8080, to=80).without_forward(to=80) == BASE


def test_a_driver_is_known_by_name_in_any_case_or_given_itself() -> None:
    driver = SimulatedDriver(name="mine")
    assert cluster("lab").using("SIMULATED").driver_name == "simulated"
    assert cluster("lab").using(driver).find_driver() is driver
    assert cluster("lab").using(driver).driver_name == "mine"


@pytest.mark.parametrize(
    ("word", "error"),
    [
        (lambda: cluster("Lab"), InvalidNameError),
        (lambda: cluster("a" * 33), InvalidNameError),
        (lambda: cluster(""), InvalidNameError),
        (lambda: BASE.named("-x"), InvalidNameError),
        (lambda: BASE.node("no_de"), InvalidNameError),
        (lambda: BASE.using("nonsense"), DriverNotFoundError),
        (lambda: BASE.kubernetes("latest"), InvalidVersionError),
        (lambda: BASE.kubernetes("1"), InvalidVersionError),
        (lambda: BASE.network("8.8.8.0/24"), InvalidCIDRError),
        (lambda: BASE.network("10.0.0.0/28"), InvalidCIDRError),
        (lambda: BASE.network("10.0.0.1/24"), InvalidCIDRError),
        (lambda: BASE.network("fd00::/64"), InvalidCIDRError),
        (lambda: BASE.nodes(0), InvalidSpecError),
        (lambda: BASE.nodes(-1), InvalidSpecError),
        (lambda: BASE.nodes(True), InvalidSpecError),
        (lambda: BASE.nodes(245), InvalidSpecError),
        (lambda: BASE.nodes(10**12), InvalidSpecError),
        (lambda: BASE.nodes(21).network("10.0.0.0/27"), InvalidSpecError),
        (lambda: BASE.nodes(2, cpus=0), InvalidSizeError),
        (lambda: BASE.nodes(2, memory="lots"), InvalidSizeError),
        (lambda: BASE.nodes(2, memory="1MiB"), InvalidSizeError),
        (lambda: BASE.nodes(2, disk=-1), InvalidSizeError),
        (lambda: BASE.node("db", cpus=1000), InvalidSizeError),
        (lambda: BASE.without_node("db"), InvalidSpecError),
        (lambda: cluster("lab").without_node("node1"), InvalidSpecError),
        (lambda: BASE.forward(70000, to=80), InvalidPortError),
        (lambda: BASE.forward(-1, to=80), InvalidPortError),
        (lambda: BASE.forward(8080, to=0), InvalidPortError),
        (lambda: BASE.forward(8080, to=80, address="localhost"), InvalidPortError),
        (lambda: BASE.forward(8080, to=80, node="db"), InvalidSpecError),
        (lambda: BASE.forward(8080, to=80).forward(8080, to=81), InvalidSpecError),
        (
            lambda: BASE.forward(8080, to=80).forward(8080, to=80, node="node2", address="0.0.0.0"),
            InvalidSpecError,
        ),
        (lambda: BASE.without_forward(to=80), InvalidSpecError),
    ],
)
def test_nonsense_is_refused_at_once_with_a_hint(
    word: Callable[[], object], error: type[KuttiError], workspace: Path
) -> None:
    with pytest.raises(error) as caught:
        word()
    assert caught.value.hint
    assert not list(workspace.rglob("*")), "nothing was touched"


def test_free_ports_and_other_addresses_do_not_contradict_each_other() -> None:
    spec = BASE.forward(0, to=80).forward(0, to=81).forward(8080, to=82)
    assert len(spec.forward(8080, to=83, address="127.0.0.2").forwards) == 4


def test_repr_tells_everything_in_one_line() -> None:
    text = repr(cluster("lab").kubernetes("1.34").nodes(2).forward(0, to=80))
    assert text == (
        "<ClusterSpec lab on qemu, Kubernetes 1.34, 192.168.125.0/24: "
        "node1 (2 CPUs, 2 GiB memory, 20 GiB disk), node2 (2 CPUs, 2 GiB memory, 20 GiB disk); "
        "127.0.0.1:any free port to node1:80>"
    )
