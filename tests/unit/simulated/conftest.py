"""A simulated cluster for each test."""

from __future__ import annotations

import pytest

from kutti_sdk.core.host import VMHost
from kutti_sdk.drivers.simulated import SimulatedDriver


@pytest.fixture
def driver() -> SimulatedDriver:
    return SimulatedDriver()


@pytest.fixture
async def host(driver: SimulatedDriver) -> VMHost:
    """node1 of cluster lab, stopped, its SSH port forwarded."""
    await driver.create_network("lab")
    host = await driver.create_host("node1", "lab", "lab", "1.34")
    await host.forward_ssh_port()
    return host
