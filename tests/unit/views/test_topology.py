"""A cluster's network as a picture."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest

from kutti_sdk.clusters.spec import ClusterSpec
from kutti_sdk.core.ports import PortForward
from kutti_sdk.core.status import HostStatus
from kutti_sdk.views import questions
from kutti_sdk.views.facts import ClusterFacts, HostFacts
from kutti_sdk.views.topology import topology_picture

pytestmark = pytest.mark.anyio


def texts(facts: ClusterFacts) -> list[str]:
    svg = ElementTree.fromstring(str(topology_picture(facts)))
    return [text for piece in svg.iter() if (text := piece.text)]


async def test_it_shows_network_gateway_hosts_and_ports(lab: ClusterSpec) -> None:
    shown = texts(await questions.read_cluster(await lab.ensure()))

    for text in ("Network lab, 192.168.125.0/24", "gateway (NAT)", "node2", "192.168.125.12"):
        assert text in shown
    assert "← 127.0.0.1:8080 to 80" in shown
    assert shown.count("● Running") == 2
    assert "node1 192.168.125.11 Running with ports 127.0.0.1:8080 to 80" in shown[0]


def test_more_ports_than_fit_are_counted() -> None:
    host = HostFacts(
        name="node1",
        status=HostStatus.STOPPED,
        forwards=tuple(PortForward(8000 + number, 80 + number) for number in range(5)),
    )
    facts = ClusterFacts(
        name="lab", driver="qemu", kubernetes="", cidr="10.0.0.0/24", hosts=(host,)
    )
    assert "+3" in texts(facts)
