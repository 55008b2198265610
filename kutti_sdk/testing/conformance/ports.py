"""Forwarded ports: given, refused, replaced, taken back."""

from __future__ import annotations

import socket

import pytest

from kutti_sdk.core.driver import VMDriver
from kutti_sdk.core.errors import InvalidPortError, PortInUseError, PortNotForwardedError
from kutti_sdk.core.host import VMHost
from kutti_sdk.core.ports import LOOPBACK, SSH_PORT, PortForward
from kutti_sdk.testing.conformance.hooks import ConformanceHooks, Lab, nothing_touched


class Ports(ConformanceHooks):
    """A port of this machine leads to one port of one host, over all clusters."""

    @pytest.fixture
    async def host(self, lab: Lab) -> VMHost:
        """Give a stopped host."""
        return await lab.add_host()

    @pytest.fixture
    async def other(self, lab: Lab) -> VMHost:
        """Give a stopped host of another network and cluster."""
        return await lab.add_host(networkname=lab.name("net"), clustername=lab.name("cluster"))

    async def test_port_0_gives_a_free_port(self, host: VMHost, other: VMHost) -> None:
        """Each time another, and never a privileged one."""
        ports = [await host.forward_port(0, 80), await host.forward_port(0, 81)]
        ports.append(await other.forward_port(0, 80))
        assert len(set(ports)) == len(ports)
        assert min(ports) > 1023

    async def test_forwards_are_listed_by_port_of_this_machine(self, host: VMHost) -> None:
        """They listen on this machine alone unless asked otherwise."""
        ports = {vm_port: await host.forward_port(0, vm_port) for vm_port in (8080, 80, 443)}
        assert await host.forwards() == tuple(
            sorted(PortForward(port, vm_port, LOOPBACK) for vm_port, port in ports.items())
        )

    async def test_a_port_that_was_asked_for_is_given(self, host: VMHost) -> None:
        """And asking again changes nothing."""
        port = _free_port()
        assert await host.forward_port(port, 80) == port
        assert await host.forward_port(port, 80) == port
        assert await host.forward_port(0, 80) == port
        assert await host.forwards() == (PortForward(port, 80),)

    async def test_another_address_can_be_asked_for(self, host: VMHost) -> None:
        """Other loopback addresses are addresses, too."""
        port = _free_port()
        await host.forward_port(port, 80, address="127.0.0.2")
        assert await host.forwards() == (PortForward(port, 80, "127.0.0.2"),)

    async def test_a_new_forward_replaces_the_one_before(self, host: VMHost, other: VMHost) -> None:
        """The port that it had is free again."""
        first = await host.forward_port(0, 80)
        second = _free_port()
        assert await host.forward_port(second, 80) == second
        assert await host.forwards() == (PortForward(second, 80),)
        assert await other.forward_port(first, 80) == first

    async def test_a_port_of_another_host_is_refused(
        self, driver: VMDriver, host: VMHost, other: VMHost
    ) -> None:
        """Whether hosts run or not; the refusal names the owner and leaves all as it is."""
        taken = await host.forward_port(0, 80)
        await other.forward_port(0, 81)
        async with nothing_touched(driver):
            for vm_port in (80, 81):
                with pytest.raises(PortInUseError, match=host.name) as refusal:
                    await other.forward_port(taken, vm_port)
        assert refusal.value.hint

    async def test_a_port_of_the_same_host_is_refused_for_another_port_of_it(
        self, driver: VMDriver, host: VMHost
    ) -> None:
        """One port leads to one place."""
        taken = await host.forward_port(0, 80)
        async with nothing_touched(driver):
            with pytest.raises(PortInUseError):
                await host.forward_port(taken, 81)

    async def test_a_port_on_all_addresses_is_in_the_way_of_each(
        self, driver: VMDriver, host: VMHost, other: VMHost
    ) -> None:
        """And the other way round."""
        everywhere = await host.forward_port(0, 80, address="0.0.0.0")  # noqa: S104 - the test
        here = await host.forward_port(0, 81)
        async with nothing_touched(driver):
            with pytest.raises(PortInUseError):
                await other.forward_port(everywhere, 80)
            with pytest.raises(PortInUseError):
                await other.forward_port(here, 80, address="0.0.0.0")  # noqa: S104 - the test

    async def test_a_port_of_a_foreign_program_is_refused(
        self, driver: VMDriver, host: VMHost
    ) -> None:
        """Before the host is started, not when it is."""
        if not self.sees_foreign_listeners:
            pytest.skip("ports of this driver are not those of this machine")
        with socket.create_server((LOOPBACK, 0)) as listener:
            async with nothing_touched(driver):
                with pytest.raises(PortInUseError):
                    await host.forward_port(listener.getsockname()[1], 80)

    async def test_a_freed_port_can_be_given_to_another(self, host: VMHost, other: VMHost) -> None:
        """Undone means undone."""
        port = await host.forward_port(0, 80)
        await host.unforward_port(80)
        assert await host.forwards() == ()
        assert await other.forward_port(port, 80) == port

    async def test_a_deleted_host_frees_its_ports(
        self, driver: VMDriver, host: VMHost, other: VMHost
    ) -> None:
        """Nothing is left behind."""
        port = await host.forward_port(0, 80)
        await driver.delete_host(host.name, host.networkname, host.clustername)
        assert await other.forward_port(port, 80) == port

    async def test_a_port_that_is_not_forwarded_cannot_be_unforwarded(
        self, driver: VMDriver, host: VMHost
    ) -> None:
        """There is nothing to undo."""
        await host.forward_port(0, 80)
        async with nothing_touched(driver):
            with pytest.raises(PortNotForwardedError):
                await host.unforward_port(81)

    async def test_the_ssh_address_is_the_forwarded_port(
        self, driver: VMDriver, host: VMHost
    ) -> None:
        """Without a forward there is none, where forwarding is required."""
        if driver.requires_port_forwarding:
            with pytest.raises(PortNotForwardedError) as refusal:
                await host.ssh_address()
            assert refusal.value.hint
            port = await host.forward_ssh_port()
            assert await host.ssh_address() == f"{LOOPBACK}:{port}"
            assert await host.forwards() == (PortForward(port, SSH_PORT),)
        else:
            assert await host.ssh_address() == f"{host.ip_address}:{SSH_PORT}"

    @pytest.mark.parametrize(
        ("host_port", "vm_port", "address"),
        [
            (-1, 80, LOOPBACK),
            (65536, 80, LOOPBACK),
            (0, 0, LOOPBACK),
            (0, -1, LOOPBACK),
            (0, 65536, LOOPBACK),
            (True, 80, LOOPBACK),
            (0, 80, "not an address"),
            (0, 80, "203.0.113.7"),  # RFC 5737: of no machine
            (0, 80, "::1"),
        ],
    )
    async def test_what_is_no_port_is_refused(
        self, driver: VMDriver, host: VMHost, host_port: int, vm_port: int, address: str
    ) -> None:
        """Or no address of this machine."""
        async with nothing_touched(driver):
            with pytest.raises(InvalidPortError) as refusal:
                await host.forward_port(host_port, vm_port, address=address)
        assert refusal.value.hint


def _free_port() -> int:
    with socket.create_server((LOOPBACK, 0)) as listener:
        return int(listener.getsockname()[1])
