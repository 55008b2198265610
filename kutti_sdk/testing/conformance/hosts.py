"""Hosts: made, found, listed and removed, without ever being started."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network

import pytest

from kutti_sdk.core.driver import VMDriver
from kutti_sdk.core.errors import (
    HostExistsError,
    HostNotFoundError,
    HostNotRunningError,
    InvalidCIDRError,
)
from kutti_sdk.core.host import HostSize
from kutti_sdk.core.sizes import GiB
from kutti_sdk.core.status import HostStatus
from kutti_sdk.testing.conformance.hooks import ConformanceHooks, Lab, nothing_touched

_ROOM_IN_A_27 = 20
"""Hosts that the smallest network must have room for."""


class Hosts(ConformanceHooks):
    """Hosts are what they were made to be, under their three names."""

    async def test_a_new_host_is_stopped(self, lab: Lab) -> None:
        """Making is not starting; nothing is on the console, and nothing is forwarded."""
        host = await lab.add_host()
        assert await host.status() is HostStatus.STOPPED
        assert await host.console() == ""
        assert await host.forwards() == ()

    async def test_a_host_is_what_it_was_made_to_be(self, lab: Lab) -> None:
        """All handles of it say the same."""
        await lab.add_network()
        made = await lab.driver.create_host(
            "node1",
            lab.network,
            lab.cluster,
            self.k8s_version,
            cpus=1,
            memory="256MiB",
            disk=8 * GiB,
        )
        found = await lab.driver.get_host("node1", lab.network, lab.cluster)
        for host in (made, found):
            assert host.name == "node1"
            assert host.networkname == lab.network
            assert host.clustername == lab.cluster
            assert host.k8s_version == self.k8s_version
            assert host.size == HostSize.parse(1, "256MiB", "8GiB")
        assert made.ip_address == found.ip_address

    async def test_a_host_that_is_to_boot_is_a_host_as_any_other(self, lab: Lab) -> None:
        """How a host begins is between it and its driver, prepared for or not."""
        await lab.add_network()
        size = HostSize.parse(1, "256MiB", "8GiB")
        await lab.driver.prepare_hosts(self.k8s_version, [size])
        made = await lab.driver.create_cold_host(
            "node1",
            lab.network,
            lab.cluster,
            self.k8s_version,
            cpus=size.cpus,
            memory=size.memory,
            disk=size.disk,
        )
        found = await lab.driver.get_host("node1", lab.network, lab.cluster)
        assert found.size == made.size == size
        assert await found.status() is HostStatus.STOPPED

    async def test_hosts_have_addresses_of_their_own_in_their_network(self, lab: Lab) -> None:
        """Never the network's, the broadcast's or another host's."""
        await lab.add_network(cidr="10.77.0.0/27")
        addresses = {
            IPv4Address((await lab.add_host(f"node{number}")).ip_address) for number in (1, 2, 3)
        }
        assert len(addresses) == 3
        assert addresses <= set(IPv4Network("10.77.0.0/27").hosts())

    async def test_a_freed_address_can_be_used_again_in_a_full_network(self, lab: Lab) -> None:
        """The smallest network has room for twenty hosts, and says when it is full."""
        await lab.add_network(cidr="10.77.0.0/27")
        for number in range(_ROOM_IN_A_27):
            await lab.add_host(f"node{number}")
        refusal = await self._fill(lab)
        assert refusal.hint
        await lab.driver.delete_host("node0", lab.network, lab.cluster)
        await lab.add_host("another")

    async def _fill(self, lab: Lab) -> InvalidCIDRError:
        for number in range(32 - _ROOM_IN_A_27):
            try:
                await lab.add_host(f"more{number}")
            except InvalidCIDRError as refusal:
                return refusal
        raise AssertionError("a network of 32 addresses took 32 hosts")

    async def test_hosts_are_listed_by_cluster_network_and_name(self, lab: Lab) -> None:
        """In whatever order they were made."""
        other = lab.name("a-cluster")
        await lab.add_host("node2")
        await lab.add_host("node1")
        await lab.add_host("node3", clustername=other)
        listed = [(it.clustername, it.networkname, it.name) for it in await lab.driver.list_hosts()]
        assert listed == sorted(listed)
        assert [it for it in listed if it[1] == lab.network] == [
            (other, lab.network, "node3"),
            (lab.cluster, lab.network, "node1"),
            (lab.cluster, lab.network, "node2"),
        ]

    async def test_a_second_host_of_the_same_name_is_refused(self, lab: Lab) -> None:
        """Names are unique in a network, over its clusters: its DNS answers to them."""
        await lab.add_host()
        async with nothing_touched(lab.driver):
            with pytest.raises(HostExistsError):
                await lab.add_host()
            with pytest.raises(HostExistsError):
                await lab.add_host(clustername=lab.name("other"))

    async def test_networks_have_hosts_of_the_same_name(self, lab: Lab) -> None:
        """And deleting one leaves the other."""
        first = await lab.add_host()
        second = await lab.add_host(networkname=lab.name("net"), clustername=lab.name("cluster"))
        await lab.driver.delete_host(first.name, first.networkname, first.clustername)
        assert await second.status() is HostStatus.STOPPED
        with pytest.raises(HostNotFoundError):
            await first.status()

    async def test_a_host_that_is_not_there_is_not_found(self, lab: Lab) -> None:
        """All three names count."""
        await lab.add_host()
        async with nothing_touched(lab.driver):
            for names in (
                ("node2", lab.network, lab.cluster),
                ("node1", "nowhere", lab.cluster),
                ("node1", lab.network, "nobody"),
            ):
                with pytest.raises(HostNotFoundError):
                    await lab.driver.get_host(*names)
                with pytest.raises(HostNotFoundError):
                    await lab.driver.delete_host(*names)

    async def test_handles_of_a_deleted_host_say_that_it_is_gone(self, lab: Lab) -> None:
        """Even when another host has its name."""
        host = await lab.add_host()
        await lab.driver.delete_host(host.name, host.networkname, host.clustername)
        for attempt in (host.status, host.start, host.stop, host.force_stop, host.forwards):
            with pytest.raises(HostNotFoundError):
                await attempt()
        await lab.add_host()
        with pytest.raises(HostNotFoundError):
            await host.start()

    async def test_a_stopped_host_cannot_be_stopped(self, lab: Lab) -> None:
        """Yet pulling its plug does no harm."""
        host = await lab.add_host()
        with pytest.raises(HostNotRunningError):
            await host.stop()
        await host.force_stop()
        assert await host.status() is HostStatus.STOPPED

    async def test_lists_are_new_at_every_call(self, driver: VMDriver) -> None:
        """Changing one changes nothing else."""
        async with nothing_touched(driver):
            (await driver.list_hosts()).clear()
            (await driver.list_networks()).clear()
            (await driver.list_images()).clear()
