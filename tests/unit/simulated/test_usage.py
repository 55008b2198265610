"""What a simulated host takes of the machine."""

from __future__ import annotations

import pytest

from kutti_sdk.core.host import VMHost
from kutti_sdk.drivers.simulated import SimulatedDriver

pytestmark = pytest.mark.anyio


async def test_a_stopped_host_takes_nothing(host: VMHost) -> None:
    assert await host.usage() is None


async def test_a_running_host_is_busy_while_it_boots_and_idle_afterwards(
    driver: SimulatedDriver, host: VMHost
) -> None:
    await host.start()
    await driver.clock.advance(10)
    booted = await host.usage()
    assert booted is not None
    assert (booted.uptime, booted.cpu_time) == pytest.approx((10, 10))
    assert 0 < booted.memory < host.size.memory
    await driver.clock.advance(100)
    idle = await host.usage()
    assert idle is not None
    assert idle.cpu_time - booted.cpu_time < 10
