from __future__ import annotations

import pytest

from kutti_sdk.clusters.spec import ClusterSpec, cluster
from kutti_sdk.drivers.simulated import SimulatedDriver


@pytest.fixture
def driver() -> SimulatedDriver:
    return SimulatedDriver()


@pytest.fixture
def lab(driver: SimulatedDriver, workspace: object) -> ClusterSpec:
    """A cluster of two nodes that nothing was done for yet."""
    return cluster("lab").using(driver).nodes(2).forward(8080, to=80, node="node1")
