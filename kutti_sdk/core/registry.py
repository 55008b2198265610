"""Drivers by name.

Drivers announce themselves through the entry point group ``kutti_sdk.drivers``
(a callable without parameters, usually the class) or are registered by hand.
Names are compared without regard to case.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from importlib.metadata import EntryPoint, entry_points
from threading import RLock

from kutti_sdk.core.driver import VMDriver
from kutti_sdk.core.errors import DriverNotFoundError, DriverUnavailableError, StateError
from kutti_sdk.core.names import validate_name
from kutti_sdk.core.system_errors import advice

ENTRY_POINT_GROUP = "kutti_sdk.drivers"

_log = logging.getLogger(__name__)
_lock = RLock()
_registered: dict[str, VMDriver] = {}


def register_driver(name: str, driver: VMDriver) -> None:
    """Make a driver known; one of the same name is replaced.

    Args:
        name: The name, in any case.
        driver: The driver.

    Raises:
        InvalidNameError: When the name is not valid.
    """
    with _lock:
        _registered[validate_name(name.lower(), "driver name")] = driver


@contextmanager
def registered(drivers: Mapping[str, VMDriver]) -> Iterator[None]:
    """Make drivers known for the length of a block, in the place of those of the same names.

    Args:
        drivers: The drivers by name, in any case.

    Yields:
        Nothing.

    Raises:
        InvalidNameError: When a name is not valid.
    """
    with _lock:
        before = dict(_registered)
    try:
        for name, driver in drivers.items():
            register_driver(name, driver)
        yield
    finally:
        with _lock:
            _registered.clear()
            _registered.update(before)


def get_driver(name: str) -> VMDriver:
    """Find a driver.

    Args:
        name: The name, in any case.

    Returns:
        The driver; the same object at every call.

    Raises:
        DriverNotFoundError: When none is known by that name; names those that are.
        DriverUnavailableError: When the package that announces it is broken.
        StateError: When the installed packages cannot be read.
    """
    key = name.lower()
    with _lock:
        if key not in _registered:
            announced = _announced()
            if key not in announced:
                known = ", ".join(sorted({*_registered, *announced}))
                raise DriverNotFoundError(
                    f"there is no driver {name!r}",
                    hint=f"Known drivers: {known}. Install a package that brings it, "
                    "or call register_driver.",
                    driver=name,
                )
            _registered[key] = _make(announced[key])
        return _registered[key]


def list_drivers() -> tuple[str, ...]:
    """List the names of all drivers.

    Returns:
        The names in lower case, sorted.

    Raises:
        StateError: When the installed packages cannot be read.
    """
    with _lock:
        return tuple(sorted({*_registered, *_announced()}))


def for_each_driver(callback: Callable[[VMDriver], object]) -> None:
    """Call a function with every driver, ordered by name.

    One whose package is broken is logged and left out.

    Args:
        callback: Called with each driver; when it returns False, the rest is left out.

    Raises:
        StateError: When the installed packages cannot be read.
    """
    for name in list_drivers():
        try:
            driver = get_driver(name)
        except DriverUnavailableError as error:
            _log.warning("%s", error)
            continue
        if callback(driver) is False:
            return


def _announced() -> dict[str, EntryPoint]:
    try:
        return {point.name.lower(): point for point in entry_points(group=ENTRY_POINT_GROUP)}
    except OSError as error:
        raise StateError(
            f"the installed packages cannot be read: {error.strerror}",
            hint=advice(error, "See who owns their files."),
        ) from error


def _make(point: EntryPoint) -> VMDriver:
    try:
        driver: VMDriver = point.load()()
    except Exception as error:  # whatever a package of somebody else raises
        hint = "Update or remove the package that brings it."
        raise DriverUnavailableError(
            f"driver {point.name!r} cannot be loaded from {point.value}: {error!r}",
            hint=advice(error, hint) if isinstance(error, OSError) else hint,
            driver=point.name,
        ) from error
    return driver
