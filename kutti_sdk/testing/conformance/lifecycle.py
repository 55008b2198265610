"""Starting and stopping, as the hypervisor sees it: no test here waits for a boot."""

from __future__ import annotations

import pytest

from kutti_sdk.core.errors import (
    HostRunningError,
    ImageInUseError,
    NetworkInUseError,
    StateChangeTimeoutError,
)
from kutti_sdk.core.status import HostStatus
from kutti_sdk.testing.conformance.hooks import ConformanceHooks, Lab, nothing_touched


class Lifecycle(ConformanceHooks):
    """A host runs, or it does not, and every handle of it knows."""

    async def test_a_started_host_runs_for_every_handle(self, lab: Lab) -> None:
        """And a stopped one is stopped for every handle."""
        host = await lab.add_host()
        other = await lab.driver.get_host(host.name, host.networkname, host.clustername)
        await host.start()
        assert await host.status() is await other.status() is HostStatus.RUNNING
        await other.force_stop()
        assert await host.status() is await other.status() is HostStatus.STOPPED

    async def test_a_running_host_refuses_what_needs_it_stopped(self, lab: Lab) -> None:
        """Starting it again, deleting it, its network or its image."""
        host = await lab.add_host()
        image = await lab.driver.get_image(self.k8s_version)
        await host.start()
        async with nothing_touched(lab.driver):
            with pytest.raises(HostRunningError):
                await host.start()
            with pytest.raises(HostRunningError) as refusal:
                await lab.driver.delete_host(host.name, host.networkname, host.clustername)
            assert refusal.value.hint
            with pytest.raises(NetworkInUseError):
                await lab.driver.delete_network(lab.network)
            with pytest.raises(ImageInUseError):
                await image.purge_local()
        assert await host.status() is HostStatus.RUNNING

    async def test_a_host_keeps_its_address_and_its_forwards_when_it_is_off(self, lab: Lab) -> None:
        """And forwards may change while it runs."""
        host = await lab.add_host()
        await host.forward_port(0, 80)
        await host.start()
        await host.forward_port(0, 443)
        running = await host.forwards()
        assert {forward.vm_port for forward in running} == {80, 443}
        await host.force_stop()
        assert await host.forwards() == running
        await host.unforward_port(80)
        await host.start()
        assert [forward.vm_port for forward in await host.forwards()] == [443]
        again = await lab.driver.get_host(host.name, host.networkname, host.clustername)
        assert again.ip_address == host.ip_address

    async def test_a_shutdown_that_takes_too_long_leaves_the_host_running(self, lab: Lab) -> None:
        """A host that has only begun to boot does not hear of it."""
        host = await lab.add_host()
        await host.start()
        with pytest.raises(StateChangeTimeoutError) as refusal:
            await host.stop(timeout=0.2)
        assert refusal.value.hint
        assert isinstance(refusal.value, TimeoutError)
        assert await host.status() is HostStatus.RUNNING

    async def test_things_are_deleted_from_the_host_upwards(self, lab: Lab) -> None:
        """Host stopped, host deleted, network deleted; nothing is left."""
        host = await lab.add_host()
        await host.forward_ssh_port()
        await host.start()
        await host.force_stop()
        await lab.driver.delete_host(host.name, host.networkname, host.clustername)
        await lab.driver.delete_network(lab.network)
        assert lab.network not in [it.name for it in await lab.driver.list_networks()]
        assert lab.network not in [it.networkname for it in await lab.driver.list_hosts()]
