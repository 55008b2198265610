from __future__ import annotations

from importlib.metadata import EntryPoint

import pytest

from kutti_sdk.core import registry
from kutti_sdk.core.driver import VMDriver
from kutti_sdk.core.errors import DriverNotFoundError, DriverUnavailableError, InvalidNameError
from kutti_sdk.core.registry import (
    for_each_driver,
    get_driver,
    list_drivers,
    register_driver,
    registered,
)
from kutti_sdk.drivers.simulated import SimulatedDriver


@pytest.fixture(autouse=True)
def empty_registry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "_registered", {})
    monkeypatch.setattr(registry, "entry_points", lambda **_: ())


@pytest.fixture
def announced(monkeypatch: pytest.MonkeyPatch) -> None:
    point = EntryPoint(
        "Announced", "kutti_sdk.drivers.simulated:SimulatedDriver", registry.ENTRY_POINT_GROUP
    )
    monkeypatch.setattr(registry, "entry_points", lambda **_: [point])


def test_a_registered_driver_is_found_in_any_case() -> None:
    driver = SimulatedDriver()
    register_driver("Mine", driver)
    assert get_driver("mine") is get_driver("MINE") is driver
    assert list_drivers() == ("mine",)


def test_registering_again_replaces() -> None:
    register_driver("mine", SimulatedDriver())
    second = SimulatedDriver()
    register_driver("MINE", second)
    assert get_driver("mine") is second
    assert list_drivers() == ("mine",)


@pytest.mark.parametrize("name", ["", "my driver", "x" * 33])
def test_a_bad_name_is_refused(name: str) -> None:
    with pytest.raises(InvalidNameError):
        register_driver(name, SimulatedDriver())
    assert list_drivers() == ()


@pytest.mark.usefixtures("announced")
def test_an_announced_driver_is_made_once_when_asked_for() -> None:
    assert list_drivers() == ("announced",)
    driver = get_driver("ANNOUNCED")
    assert isinstance(driver, SimulatedDriver)
    assert get_driver("announced") is driver


@pytest.mark.usefixtures("announced")
def test_a_registered_driver_goes_before_an_announced_one() -> None:
    driver = SimulatedDriver()
    register_driver("announced", driver)
    assert get_driver("announced") is driver
    assert list_drivers() == ("announced",)


@pytest.mark.usefixtures("announced")
def test_an_unknown_driver_is_refused_with_the_names_of_the_known() -> None:
    register_driver("mine", SimulatedDriver())
    with pytest.raises(DriverNotFoundError) as refusal:
        get_driver("yours")
    assert "announced, mine" in (refusal.value.hint or "")
    assert refusal.value.driver == "yours"


def test_every_driver_is_called_in_the_order_of_names() -> None:
    for name in ("b", "c", "a"):
        register_driver(name, SimulatedDriver(name=name))
    seen: list[str] = []
    for_each_driver(lambda driver: seen.append(driver.name))
    assert seen == ["a", "b", "c"]


def test_false_stops_and_other_false_values_do_not() -> None:
    for name in ("a", "b", "c"):
        register_driver(name, SimulatedDriver(name=name))
    seen: list[str] = []

    def stop_at_b(driver: VMDriver) -> object:
        seen.append(driver.name)
        return False if driver.name == "b" else 0

    for_each_driver(stop_at_b)
    assert seen == ["a", "b"]


def test_the_drivers_of_this_package_are_announced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    assert {"qemu", "simulated"} <= set(list_drivers())


def test_drivers_can_be_known_for_a_block_only() -> None:
    before = SimulatedDriver()
    register_driver("mine", before)
    with registered({"Mine": SimulatedDriver(), "other": SimulatedDriver()}):
        assert get_driver("mine") is not before
    assert get_driver("mine") is before
    assert list_drivers() == ("mine",)


def test_a_name_that_is_refused_leaves_all_as_it_was() -> None:
    with (
        pytest.raises(InvalidNameError),
        registered({"mine": SimulatedDriver(), "not a name": SimulatedDriver()}),
    ):
        pass
    assert list_drivers() == ()


@pytest.fixture
def broken(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two drivers are announced, and the package of the first one is broken."""
    points = [
        EntryPoint("broken", "kutti_sdk.no_such_module:Driver", registry.ENTRY_POINT_GROUP),
        EntryPoint(
            "sound", "kutti_sdk.drivers.simulated:SimulatedDriver", registry.ENTRY_POINT_GROUP
        ),
    ]
    monkeypatch.setattr(registry, "entry_points", lambda **_: points)


@pytest.mark.usefixtures("broken")
def test_a_driver_of_a_broken_package_says_which_package_that_is() -> None:
    with pytest.raises(DriverUnavailableError, match=r"kutti_sdk\.no_such_module:Driver") as told:
        get_driver("broken")
    assert told.value.driver == "broken"
    assert told.value.hint


@pytest.mark.usefixtures("broken")
def test_a_broken_package_does_not_hide_the_other_drivers() -> None:
    seen: list[VMDriver] = []
    for_each_driver(seen.append)
    assert seen == [get_driver("sound")]
