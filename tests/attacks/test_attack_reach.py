"""Nothing listens to other machines unless it was asked for in words."""

from __future__ import annotations

import pytest

from kutti_sdk.clusters.spec import cluster
from kutti_sdk.core.ports import LOOPBACK
from kutti_sdk.drivers.simulated import SimulatedDriver

pytestmark = pytest.mark.anyio


async def test_every_forward_listens_on_loopback_unless_another_address_is_named(
    workspace: object,
) -> None:
    spec = cluster("lab").using(SimulatedDriver()).nodes(2).forward(0, to=80, node="node1")
    made = await spec.ensure()
    await made["node2"].forward(0, to=443)
    forwards = [forward for node in made for forward in await node.forwards()]
    assert {forward.vm_port for forward in forwards} == {22, 80, 443}
    assert {forward.address for forward in forwards} == {LOOPBACK} == {"127.0.0.1"}
    await made["node2"].forward(0, to=8080, address="0.0.0.0")
    (wide,) = (it for it in await made["node2"].forwards() if it.address != LOOPBACK)
    assert (wide.vm_port, wide.address) == (8080, "0.0.0.0")
