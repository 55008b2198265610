"""Timelines: what each node went through, as a picture that stays."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest
from markup import parse, rows
from test_elements import HOSTILE

import kutti_sdk as kutti
from kutti_sdk.clusters.spec import ClusterSpec
from kutti_sdk.drivers.simulated import SimulatedDriver
from kutti_sdk.views.timeline_picture import timeline_face, timeline_picture

pytestmark = pytest.mark.anyio

START = 1_000_000.0


def event(
    phase: str, at: float, message: str = "", *, host: str | None = None, image: str | None = None
) -> kutti.ProgressEvent:
    cluster = None if image else "lab"
    return kutti.ProgressEvent(
        phase=phase, message=message, cluster=cluster, host=host, image=image, time=START + at
    )


def durations(line: kutti.Timeline) -> dict[str, list[tuple[str, float | None]]]:
    return {
        lane.name: [
            (phase.name, None if phase.end is None else phase.end - phase.start)
            for phase in lane.phases
        ]
        for lane in line.lanes
    }


async def test_it_follows_a_bring_up_node_by_node(lab: ClusterSpec) -> None:
    with kutti.timeline() as line:
        await lab.ensure()

    assert [lane.name for lane in line.lanes] == ["lab", "node1", "node2"]
    assert all(lane.ready for lane in line.lanes)
    phases = [phase.name for phase in line.lanes[1].phases]
    assert phases == ["create", "forward", "start", "boot", "ssh"]
    assert line.end is not None
    assert line.failure == ""


async def test_phases_of_kubernetes_are_in_the_lanes_of_their_nodes(lab: ClusterSpec) -> None:
    with kutti.timeline() as line:
        await lab.kubernetes("1.34").ensure()

    phases = {lane.name: [phase.name for phase in lane.phases] for lane in line.lanes}
    cluster = ["preflight", "certs", "control-plane", "addons", "pod-network", "nodes"]
    assert phases["node1"][-6:] == cluster
    assert phases["node2"][-3:] == ["join", "pod-network", "nodes"]


async def test_a_failure_ends_it_and_goes_on(driver: SimulatedDriver, lab: ClusterSpec) -> None:
    driver.faults.fail("start", host="node2")
    with pytest.raises(kutti.HypervisorError), kutti.timeline() as line:
        await lab.ensure()

    assert line.failure == "ended early by HypervisorError"
    assert all(phase.end is not None for lane in line.lanes for phase in lane.phases)
    assert not line.lanes[2].ready
    assert "ended early by HypervisorError" in line._repr_mimebundle_()["text/html"]


def test_a_phase_lasts_until_the_next_and_messages_do_not_make_new_ones() -> None:
    line = kutti.Timeline()
    line.add(event("start", 0, host="node1"))
    line.add(event("boot", 1, "one", host="node1"))
    line.add(event("boot", 3, "two", host="node1"))
    line.add(event("ready", 6, host="node1"))

    assert durations(line) == {"node1": [("start", 1), ("boot", 5)]}
    assert line.lanes[0].phases[1].message == "two"
    assert line.lanes[0].ready


def test_the_cluster_is_not_worked_at_any_more_when_its_nodes_are() -> None:
    line = kutti.Timeline()
    line.add(event("network", 0))
    line.add(event("create", 2, host="node1"))
    assert durations(line) == {"lab": [("network", 2)], "node1": [("create", None)]}
    line.add(event("ready", 5))
    assert durations(line)["node1"] == [("create", 3)]


def test_a_look_at_the_machine_ends_when_the_node_goes_on_that_it_was_for() -> None:
    line = kutti.Timeline()
    line.add(event("start", 0, host="node1"))
    line.add(kutti.ProgressEvent(phase="accelerator", message="", time=START + 1))
    line.add(event("start", 2, host="node2"))
    line.add(event("start", 3, "still", host="node1"))
    assert durations(line)["this machine"] == [("accelerator", None)]
    line.add(event("boot", 5, host="node1"))
    assert durations(line)["this machine"] == [("accelerator", 4)]


def test_downloads_have_a_lane_of_their_own() -> None:
    line = kutti.Timeline()
    line.add(event("image", 0))
    line.add(event("download", 1, image="1.34.2"))
    assert [lane.name for lane in line.lanes] == ["lab", "image 1.34.2"]


def test_nodes_of_two_clusters_with_one_name_do_not_share_a_lane() -> None:
    line = kutti.Timeline()
    for cluster in ("one", "two"):
        line.add(kutti.ProgressEvent(phase="boot", message="", cluster=cluster, host="node1"))
    assert [lane.name for lane in line.lanes] == ["node1", "node1"]


def test_bars_are_as_long_as_phases_took() -> None:
    line = kutti.Timeline()
    line.add(event("start", 0, host="node1"))
    line.add(event("boot", 10, host="node1"))
    svg = ElementTree.fromstring(str(timeline_picture(line, START + 40)))

    bars = {
        group.findtext("{*}title"): float(group.find("{*}rect").attrib["width"])  # type: ignore[union-attr]
        for group in svg.iter("{http://www.w3.org/2000/svg}g")
        if group.find("{*}title") is not None
    }
    assert bars["boot: 30 s"] == pytest.approx(3 * bars["start: 10 s"], abs=0.2)


def test_it_is_a_table_too_for_who_cannot_see_it() -> None:
    line = kutti.Timeline()
    line.add(event("boot", 0, "Linux version 6.1\nand more", host="node1"))
    page = parse(str(timeline_face(line, START + 4)))

    assert rows(page) == [
        {"node": "node1", "phase": "boot", "took": "4.0 s", "last message": "Linux version 6.1"}
    ]
    assert "node1: boot 4.0 s" in page.all("svg")[0].all("title")[0].text


def test_consoles_are_shown_and_not_obeyed() -> None:
    line = kutti.Timeline()
    line.add(event("boot", 0, HOSTILE, host="node1"))
    bundle = line._repr_mimebundle_()

    assert parse(bundle["text/html"]).all("script") == []
    ElementTree.fromstring(bundle["image/svg+xml"])


def test_an_empty_one_can_be_shown() -> None:
    bundle = kutti.Timeline()._repr_mimebundle_()
    ElementTree.fromstring(bundle["image/svg+xml"])
    assert bundle["text/plain"] == "Timeline"
