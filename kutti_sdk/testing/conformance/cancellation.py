"""Cancellation: whatever was begun is left so that it can be gone on with."""

from __future__ import annotations

import anyio
import pytest

from kutti_sdk.core.errors import HostNotFoundError
from kutti_sdk.core.status import HostStatus
from kutti_sdk.testing.conformance.hooks import ConformanceHooks, Lab

_CLEAR_STATES = (HostStatus.RUNNING, HostStatus.STOPPED)


class Cancellation(ConformanceHooks):
    """Any await can be cancelled, at any time, again and again."""

    async def test_a_cancelled_create_leaves_all_of_a_host_or_nothing(self, lab: Lab) -> None:
        """And its name is not lost."""
        await lab.add_network()
        for delay in self.cancel_delays:
            with anyio.move_on_after(delay):
                await lab.add_host()
            try:
                host = await lab.driver.get_host("node1", lab.network, lab.cluster)
            except HostNotFoundError:
                host = await lab.add_host()
            assert await host.status() is HostStatus.STOPPED
            await lab.driver.delete_host("node1", lab.network, lab.cluster)

    async def test_a_cancelled_start_can_be_gone_on_with(self, lab: Lab) -> None:
        """The host runs or it does not; nothing in between stays behind."""
        host = await lab.add_host()
        for delay in self.cancel_delays:
            with anyio.move_on_after(delay):
                await host.start()
            status = await host.status()
            assert status in _CLEAR_STATES
            if status is HostStatus.STOPPED:
                await host.start()
            assert await host.status() is HostStatus.RUNNING
            await host.force_stop()
            assert await host.status() is HostStatus.STOPPED

    async def test_a_cancelled_stop_can_be_gone_on_with(self, lab: Lab) -> None:
        """The plug can be pulled whatever was asked for before."""
        host = await lab.add_host()
        for delay in self.cancel_delays:
            await host.start()
            with anyio.move_on_after(delay):
                await host.stop()
            assert await host.status() in _CLEAR_STATES
            await host.force_stop()
            assert await host.status() is HostStatus.STOPPED

    async def test_a_cancelled_force_stop_can_be_gone_on_with(self, lab: Lab) -> None:
        """It may have worked already."""
        host = await lab.add_host()
        for delay in self.cancel_delays:
            await host.start()
            with anyio.move_on_after(delay):
                await host.force_stop()
            await host.force_stop()
            assert await host.status() is HostStatus.STOPPED

    async def test_a_cancelled_wait_leaves_the_host_alone(self, lab: Lab) -> None:
        """And others that wait."""
        host = await lab.add_host()
        with anyio.move_on_after(0.05) as scope:
            await host.wait_for_state_change()
        assert scope.cancelled_caught
        await host.start()
        with anyio.fail_after(self.event_timeout):
            assert await host.wait_for_state_change(since=HostStatus.STOPPED) is HostStatus.RUNNING

    async def test_a_cancelled_delete_can_be_gone_on_with(self, lab: Lab) -> None:
        """Half of a host is none."""
        for delay in self.cancel_delays:
            await lab.add_host()
            with anyio.move_on_after(delay):
                await lab.driver.delete_host("node1", lab.network, lab.cluster)
            try:
                await lab.driver.delete_host("node1", lab.network, lab.cluster)
            except HostNotFoundError:
                pass
            assert lab.network not in [it.networkname for it in await lab.driver.list_hosts()]

    async def test_a_cancelled_fetch_can_be_gone_on_with(self, lab: Lab) -> None:
        """An image is here as a whole or not at all."""
        if self.image_to_fetch is None:
            pytest.skip("there is no image to fetch")
        image = await lab.driver.get_image(self.image_to_fetch)
        for delay in self.cancel_delays:
            with anyio.move_on_after(delay):
                await image.fetch()
        await image.fetch()
        lab.k8s_version = self.image_to_fetch
        await lab.add_host()
        await lab.remove()
        await image.purge_local()
