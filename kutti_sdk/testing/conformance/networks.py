"""Networks: made, found, listed and removed."""

from __future__ import annotations

import pytest

from kutti_sdk.core.driver import VMDriver
from kutti_sdk.core.errors import NetworkExistsError, NetworkInUseError, NetworkNotFoundError
from kutti_sdk.core.network import DEFAULT_CIDR
from kutti_sdk.testing.conformance.hooks import ConformanceHooks, Lab, nothing_touched


class Networks(ConformanceHooks):
    """Networks have a name, a range, and last as long as they are wanted."""

    async def test_a_network_has_the_name_and_the_range_it_was_given(self, lab: Lab) -> None:
        """And another handle says the same."""
        await lab.add_network(cidr="10.20.30.0/24")
        network = await lab.driver.get_network(lab.network)
        assert (network.name, network.net_cidr) == (lab.network, "10.20.30.0/24")

    async def test_a_network_has_the_default_range_unless_told(self, lab: Lab) -> None:
        """The default is kutti's own."""
        await lab.add_network()
        assert (await lab.driver.get_network(lab.network)).net_cidr == DEFAULT_CIDR

    async def test_networks_are_listed_by_name(self, lab: Lab) -> None:
        """In whatever order they were made, and even with the same range."""
        mine = [lab.name(first) for first in ("b", "c", "a")]
        for name in mine:
            await lab.add_network(name)
        listed = [network.name for network in await lab.driver.list_networks()]
        assert listed == sorted(listed)
        assert set(mine) <= set(listed)

    async def test_a_second_network_of_the_same_name_is_refused(self, lab: Lab) -> None:
        """The first stays as it is."""
        await lab.add_network()
        async with nothing_touched(lab.driver):
            with pytest.raises(NetworkExistsError):
                await lab.driver.create_network(lab.network, cidr="10.20.30.0/24")

    async def test_a_network_that_is_not_there_is_not_found(self, driver: VMDriver) -> None:
        """Neither to get nor to delete."""
        async with nothing_touched(driver):
            with pytest.raises(NetworkNotFoundError):
                await driver.get_network("nowhere")
            with pytest.raises(NetworkNotFoundError):
                await driver.delete_network("nowhere")

    async def test_a_deleted_network_is_gone(self, lab: Lab) -> None:
        """And its name is free again."""
        await lab.add_network()
        await lab.driver.delete_network(lab.network)
        with pytest.raises(NetworkNotFoundError):
            await lab.driver.get_network(lab.network)
        assert lab.network not in [it.name for it in await lab.driver.list_networks()]
        await lab.driver.create_network(lab.network)

    async def test_a_network_with_hosts_is_not_deleted(self, lab: Lab) -> None:
        """Hosts go first, even stopped ones."""
        host = await lab.add_host()
        async with nothing_touched(lab.driver):
            with pytest.raises(NetworkInUseError) as refusal:
                await lab.driver.delete_network(lab.network)
        assert refusal.value.hint
        await lab.driver.delete_host(host.name, host.networkname, host.clustername)
        await lab.driver.delete_network(lab.network)
