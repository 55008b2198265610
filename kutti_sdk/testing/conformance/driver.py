"""The driver itself: its names, its readiness, its place in the registry."""

from __future__ import annotations

import pytest

from kutti_sdk.core import registry
from kutti_sdk.core.driver import VMDriver
from kutti_sdk.core.errors import DriverNotFoundError, ResourceError
from kutti_sdk.core.host import HostSize
from kutti_sdk.core.names import validate_name
from kutti_sdk.core.sizes import GiB
from kutti_sdk.core.status import DriverStatus
from kutti_sdk.testing.conformance.hooks import ConformanceHooks, nothing_touched


class DriverItself(ConformanceHooks):
    """A driver can be named, asked and registered."""

    async def test_has_a_valid_name_and_a_description_of_one_line(self, driver: VMDriver) -> None:
        """Both are shown in tables."""
        assert validate_name(driver.name) == driver.name
        assert driver.description
        assert "\n" not in driver.description

    async def test_says_whether_it_needs_port_forwarding(self, driver: VMDriver) -> None:
        """True or False, always the same."""
        assert driver.requires_port_forwarding in (True, False)

    async def test_is_ready_where_its_tests_run(self, driver: VMDriver) -> None:
        """Status and check agree."""
        await driver.check()
        assert await driver.status() is DriverStatus.READY

    async def test_has_room_for_no_host_and_for_a_small_one(self, driver: VMDriver) -> None:
        """No refusal without need."""
        await driver.check_capacity([])
        await driver.check_capacity([HostSize.parse(1, "256MiB", "1GiB")])

    @pytest.mark.parametrize(
        "sizes",
        [
            pytest.param([HostSize(memory=2**20 * GiB)], id="memory of one"),
            pytest.param([HostSize(1, GiB, 2**30 * GiB)], id="disk of one"),
            pytest.param([HostSize(1, GiB, GiB)] * 20_000, id="memory of all together"),
        ],
    )
    async def test_has_no_room_for_more_than_the_machine(
        self, driver: VMDriver, sizes: list[HostSize]
    ) -> None:
        """The refusal says what to do, and changes nothing."""
        async with nothing_touched(driver):
            with pytest.raises(ResourceError) as refusal:
                await driver.check_capacity(sizes)
        assert refusal.value.hint

    async def test_is_found_in_the_registry_in_any_case(
        self, driver: VMDriver, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Registering replaces; the same object comes back."""
        monkeypatch.setattr(registry, "_registered", {})  # left as it was, after the test
        registry.register_driver(driver.name.upper(), driver)
        assert registry.get_driver(driver.name) is driver
        assert registry.get_driver(driver.name.title()) is driver
        assert driver.name in registry.list_drivers()

    async def test_is_handed_to_a_callback_that_may_stop(
        self, driver: VMDriver, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """for_each_driver leaves out the rest after False."""
        monkeypatch.setattr(registry, "_registered", {})
        monkeypatch.setattr(registry, "entry_points", lambda **_: ())
        registry.register_driver("a", driver)
        registry.register_driver("b", driver)
        seen: list[VMDriver] = []

        def stop_at_the_first(each: VMDriver) -> bool:
            seen.append(each)
            return False

        registry.for_each_driver(stop_at_the_first)
        assert seen == [driver]
        with pytest.raises(DriverNotFoundError):
            registry.get_driver("c")
