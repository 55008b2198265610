"""Suspension: what is refused, and what goes on; left out where a driver has none."""

from __future__ import annotations

from pathlib import Path

import pytest

from kutti_sdk.core.driver import VMDriver
from kutti_sdk.core.errors import (
    HostNotFoundError,
    HostNotRunningError,
    InvalidNameError,
    NetworkNotFoundError,
)
from kutti_sdk.core.host import VMHost
from kutti_sdk.core.status import HostStatus
from kutti_sdk.core.suspension import SupportsSuspension
from kutti_sdk.testing.conformance.checkpoints import is_there, leave
from kutti_sdk.testing.conformance.hooks import ConformanceHooks, Lab, nothing_touched


class Suspension(ConformanceHooks):
    """What cannot be suspended is refused, and nothing is touched."""

    async def test_only_what_runs_can_be_suspended(self, driver: VMDriver, lab: Lab) -> None:
        """A network, with a host of the cluster in it, that is not off."""
        suspender = _suspender(driver)
        with pytest.raises(NetworkNotFoundError):
            await suspender.suspend_cluster(lab.network, lab.cluster)
        await lab.add_network()
        with pytest.raises(HostNotFoundError):
            await suspender.suspend_cluster(lab.network, lab.cluster)
        await lab.add_host()
        async with nothing_touched(driver):
            with pytest.raises(HostNotRunningError) as refusal:
                await suspender.suspend_cluster(lab.network, lab.cluster)
            with pytest.raises(InvalidNameError):
                await suspender.suspend_cluster(lab.network, "../lab")
        assert refusal.value.hint


class SuspendedGuests(ConformanceHooks):
    """What was suspended goes on, and nobody else notices."""

    async def test_a_suspended_host_goes_on_where_it_was(
        self, driver: VMDriver, twins: tuple[VMHost, VMHost], tmp_path: Path
    ) -> None:
        """It is off, and everything is as it was when it is started: memory, forwards, way in."""
        suspender, (host, other) = _suspender(driver), twins
        place = host.networkname, host.clustername
        forwards, name = await host.forwards(), Lab.name("in-memory")
        await leave(host, name, tmp_path, folder="/run")
        await suspender.suspend_cluster(*place)
        assert await host.status() is HostStatus.SUSPENDED
        assert await host.usage() is None
        assert await other.status() is HostStatus.RUNNING
        with pytest.raises(HostNotRunningError):
            await host.stop()
        await suspender.suspend_cluster(*place)  # nothing is left to do
        await host.start()
        assert await host.status() is HostStatus.RUNNING
        assert await host.forwards() == forwards
        await self.wait_until_booted(host)
        assert await is_there(host, name, folder="/run")


def _suspender(driver: VMDriver) -> SupportsSuspension:
    if not isinstance(driver, SupportsSuspension):
        pytest.skip("this driver does not suspend clusters")
    return driver
