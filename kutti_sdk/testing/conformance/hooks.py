"""What the suite wants to know of a driver, and the lab that each test works in."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import anyio
import pytest

from kutti_sdk.core.driver import VMDriver
from kutti_sdk.core.errors import HostNotFoundError
from kutti_sdk.core.host import VMHost
from kutti_sdk.core.network import DEFAULT_CIDR
from kutti_sdk.runtime.tasks import run_all


class Lab:
    """Networks and hosts of one test, under names that no other test has.

    Args:
        driver: The driver.
        k8s_version: Version of the image that hosts are made from.
    """

    def __init__(self, driver: VMDriver, k8s_version: str) -> None:
        self.driver = driver
        self.k8s_version = k8s_version
        self.network = self.name("net")
        self.cluster = self.name("cluster")
        self._networks: list[str] = []

    @staticmethod
    def name(what: str) -> str:
        """Make up a name.

        Args:
            what: What it begins with.

        Returns:
            A name that is new.
        """
        return f"{what}-{secrets.token_hex(4)}"

    async def add_network(self, networkname: str | None = None, cidr: str = DEFAULT_CIDR) -> str:
        """Make a network that the lab removes at the end.

        Args:
            networkname: Its name; the lab's own when None.
            cidr: Its address range.

        Returns:
            Its name.
        """
        networkname = networkname or self.network
        await self.driver.create_network(networkname, cidr=cidr)
        self._networks.append(networkname)
        return networkname

    async def add_host(
        self,
        hostname: str = "node1",
        *,
        networkname: str | None = None,
        clustername: str | None = None,
    ) -> VMHost:
        """Make a small host that the lab removes at the end.

        Args:
            hostname: Its name.
            networkname: Its network, made if need be; the lab's own when None.
            clustername: Its cluster; the lab's own when None.

        Returns:
            The host, stopped.
        """
        networkname = networkname or self.network
        if networkname not in self._networks:
            await self.add_network(networkname)
        return await self.driver.create_host(
            hostname,
            networkname,
            clustername or self.cluster,
            self.k8s_version,
            cpus=1,
            memory="256MiB",
        )

    async def remove(self) -> None:
        """Remove all that was made here."""
        for host in await self.driver.list_hosts():
            if host.networkname in self._networks:
                try:
                    await host.force_stop()
                    await self.driver.delete_host(host.name, host.networkname, host.clustername)
                except HostNotFoundError:  # by the test itself, at the same time
                    pass
        for network in await self.driver.list_networks():
            if network.name in self._networks:
                await self.driver.delete_network(network.name)


class ConformanceHooks:
    """What is different from driver to driver.

    Attributes:
        k8s_version: Version of an image that is downloaded and not deprecated.
        image_to_fetch: Version of a small image that can be fetched and purged; None
            to leave these tests out.
        deprecated_image: Version of an image that is deprecated; None to leave it out.
        image_list_is_reachable: Whether `fetch_image_list` works where the tests run.
        boots: Whether hosts have a system inside that serves SSH; without it the tests
            that boot are left out.
        sees_foreign_listeners: Whether ports that other programs listen on are refused.
        boot_timeout: Real seconds that a host may take until SSH answers.
        stop_timeout: Seconds that a booted host may take to shut down.
        event_timeout: Real seconds within which a change must be told.
        cancel_delays: Real seconds after which operations are cancelled, one after the other.
    """

    pytestmark = pytest.mark.anyio

    k8s_version: str = "none"
    image_to_fetch: str | None = None
    deprecated_image: str | None = None
    image_list_is_reachable: bool = True
    boots: bool = True
    sees_foreign_listeners: bool = True
    boot_timeout: float = 180.0
    stop_timeout: float = 90.0
    event_timeout: float = 15.0
    cancel_delays: tuple[float, ...] = (0.0, 0.02, 0.1, 0.3)

    @pytest.fixture(scope="class")
    @classmethod
    def driver(cls) -> VMDriver:
        """Give the driver to be tested; to be overridden."""
        raise NotImplementedError(f"{cls.__name__} must have a fixture named 'driver'")

    @pytest.fixture
    async def lab(self, driver: VMDriver) -> AsyncIterator[Lab]:
        """Give a place for networks and hosts, cleared after the test."""
        lab = Lab(driver, self.k8s_version)
        yield lab
        await lab.remove()

    @pytest.fixture(scope="class")
    @classmethod
    def twins(cls, driver: VMDriver) -> Iterator[tuple[VMHost, VMHost]]:
        """Give two booted hosts alike in name and address range, in two clusters.

        They are shared by all tests of the class; who stops one starts it again.
        """
        if not cls.boots:
            pytest.skip("hosts of this driver have no system inside")
        labs = Lab(driver, cls.k8s_version), Lab(driver, cls.k8s_version)

        async def boot_one(lab: Lab) -> VMHost:
            host = await lab.add_host()
            await host.forward_ssh_port()
            await host.start()
            await cls.wait_until_booted(host)
            return host

        async def boot_both() -> tuple[VMHost, VMHost]:
            first, second = await run_all(*(lambda it=lab: boot_one(it) for lab in labs))
            return first, second

        # Handles keep nothing of the event loop they were made in, so that the tests
        # can go on with them in theirs.
        try:
            yield anyio.run(boot_both)
        finally:
            for lab in labs:
                anyio.run(lab.remove)

    @classmethod
    async def wait_until_booted(cls, host: VMHost) -> None:
        """Wait until a host's SSH server answers.

        Args:
            host: The host, running, with port 22 forwarded.
        """
        client = await host.ssh_client()
        with anyio.fail_after(cls.boot_timeout):
            await client.wait_until_ready(await host.ssh_address())
        await client.aclose()


@asynccontextmanager
async def nothing_touched(driver: VMDriver) -> AsyncIterator[None]:
    """Make sure that a block leaves networks, hosts, forwards and images as they are.

    Args:
        driver: The driver.

    Yields:
        Nothing.
    """
    before = await _inventory(driver)
    yield
    assert await _inventory(driver) == before


async def _inventory(driver: VMDriver) -> list[object]:
    return [
        [(network.name, network.net_cidr) for network in await driver.list_networks()],
        [
            (host.clustername, host.networkname, host.name, host.size, host.ip_address)
            for host in await driver.list_hosts()
        ],
        [(await host.status(), await host.forwards()) for host in await driver.list_hosts()],
        [(image.k8s_version, await image.status()) for image in await driver.list_images()],
    ]
