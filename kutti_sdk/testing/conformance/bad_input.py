"""Bad input: each kind its own error with a hint, and nothing touched."""

from __future__ import annotations

from typing import Any

import pytest

from kutti_sdk.core.driver import VMDriver
from kutti_sdk.core.errors import (
    ImageNotFoundError,
    InvalidCIDRError,
    InvalidInputError,
    InvalidNameError,
    InvalidSizeError,
    InvalidVersionError,
    KuttiError,
    NetworkNotFoundError,
    NotEnoughMemoryError,
    ResourceError,
)
from kutti_sdk.testing.conformance.hooks import ConformanceHooks, Lab, nothing_touched

_BAD_NAMES = [
    "",
    "-node",
    "node-",
    "Node",
    "node_1",
    "node.1",
    "node 1",
    "node\n",
    "..",
    "a/b",
    "nöde",
    "n" * 33,
]

_BAD_RANGES = [
    "",
    "192.168.125.0",
    "192.168.125.1/24",
    "192.168.125.0/33",
    "8.8.8.0/24",
    "127.0.0.0/24",
    "169.254.0.0/16",
    "10.0.0.0/8",
    "10.0.0.0/28",
    "172.32.0.0/16",
    "fd00::/64",
    "ten/24",
]

_BAD_HOSTS: list[tuple[type[KuttiError], dict[str, Any]]] = [
    (InvalidSizeError, {"cpus": 0}),
    (InvalidSizeError, {"cpus": -1}),
    (InvalidSizeError, {"cpus": 100_000}),
    (InvalidSizeError, {"cpus": True}),
    (InvalidSizeError, {"memory": 0}),
    (InvalidSizeError, {"memory": "1MiB"}),
    (InvalidSizeError, {"memory": "much"}),
    (InvalidSizeError, {"memory": "-1GiB"}),
    (InvalidSizeError, {"disk": 0}),
    (InvalidSizeError, {"disk": "1KiB"}),
    (InvalidSizeError, {"disk": "1GiB, or two"}),
    (NotEnoughMemoryError, {"memory": "1000TiB"}),
    (ResourceError, {"disk": "1000000TiB"}),
    (InvalidVersionError, {"k8sversion": "newest"}),
    (InvalidVersionError, {"k8sversion": ""}),
    (ImageNotFoundError, {"k8sversion": "1.2.3"}),
    (NetworkNotFoundError, {"networkname": "nowhere"}),
]


class BadInput(ConformanceHooks):
    """What makes no sense is refused before anything was done."""

    @pytest.mark.parametrize("name", _BAD_NAMES)
    async def test_bad_names_are_refused(self, lab: Lab, name: str) -> None:
        """For networks, hosts and clusters alike."""
        await lab.add_network()
        driver = lab.driver
        async with nothing_touched(driver):
            for attempt in (
                driver.create_network(name),
                driver.create_host(name, lab.network, lab.cluster, self.k8s_version),
                driver.create_host("node1", lab.network, name, self.k8s_version),
                driver.create_host("node1", name, lab.cluster, self.k8s_version),
                driver.get_network(name),
                driver.delete_network(name),
                driver.get_host(name, lab.network, lab.cluster),
                driver.delete_host("node1", name, lab.cluster),
            ):
                with pytest.raises(InvalidNameError) as refusal:
                    await attempt
                assert refusal.value.hint

    @pytest.mark.parametrize("cidr", _BAD_RANGES)
    async def test_bad_address_ranges_are_refused(self, driver: VMDriver, cidr: str) -> None:
        """Only private IPv4 of a usable size is taken."""
        async with nothing_touched(driver):
            with pytest.raises(InvalidCIDRError) as refusal:
                await driver.create_network(Lab.name("net"), cidr=cidr)
        assert refusal.value.hint

    @pytest.mark.parametrize(("error", "arguments"), _BAD_HOSTS)
    async def test_hosts_that_make_no_sense_are_refused(
        self, lab: Lab, error: type[KuttiError], arguments: dict[str, Any]
    ) -> None:
        """Or that this machine cannot give."""
        await lab.add_network()
        wanted = {
            "hostname": "node1",
            "networkname": lab.network,
            "clustername": lab.cluster,
            "k8sversion": self.k8s_version,
            **arguments,
        }
        async with nothing_touched(lab.driver):
            with pytest.raises(error) as refusal:
                await lab.driver.create_host(**wanted)
        assert refusal.value.hint

    async def test_refused_input_is_a_value_error_as_well(self, driver: VMDriver) -> None:
        """So that programs that know nothing of kutti_sdk can catch it."""
        with pytest.raises(ValueError, match="valid") as refusal:
            await driver.create_network("Not A Name")
        assert isinstance(refusal.value, InvalidInputError)
