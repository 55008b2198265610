"""The pytest plugin: a driver, a cluster and faults for tests of programs that use kutti_sdk.

Every run of pytest loads it where kutti_sdk is installed, and most of them do not use it.
So everything but pytest is imported by the fixtures. These are plain ones and not async:
they work with the plugins of anyio and asyncio, and in tests without either.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from kutti_sdk.clusters import Cluster, ClusterSpec
    from kutti_sdk.core.driver import VMDriver
    from kutti_sdk.drivers.simulated import FaultPlan, SimulatedDriver

_SIMULATED = "simulated"
_MARKER = "kutti_fault"
_FAULTS = ("fail", "delay", "hang", "crash", "silence_ssh", "occupy_port", "leave_behind")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option and the setting that choose the driver.

    Args:
        parser: Where to add them.
    """
    help_text = "driver of the fixtures kutti_driver and kutti_cluster; simulated without it"
    parser.getgroup("kutti").addoption("--kutti-driver", metavar="NAME", help=help_text)
    parser.addini("kutti_driver", help_text, default=_SIMULATED)


def pytest_configure(config: pytest.Config) -> None:
    """Make the marker known.

    Args:
        config: The configuration of the run.
    """
    config.addinivalue_line(
        "markers",
        f"{_MARKER}(fault, *arguments, **names): order a fault on the simulated driver, as the "
        f"method of FaultPlan does: {', '.join(_FAULTS)}",
    )


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Refuse tests whose faults would strike nothing.

    Args:
        items: The tests that were found.

    Raises:
        pytest.UsageError: When a test orders faults and has no driver to order them on.
    """
    for item in items:
        fixtures = getattr(item, "fixturenames", ())
        if item.get_closest_marker(_MARKER) is not None and "kutti_driver" not in fixtures:
            raise pytest.UsageError(
                f"{item.nodeid} is marked with {_MARKER}, and uses neither kutti_driver "
                "nor kutti_cluster"
            )


@pytest.fixture
def kutti_driver(request: pytest.FixtureRequest) -> Iterator[VMDriver]:
    """The driver that the test runs on: a simulated one, with a workspace of its own.

    As long as the test runs, it is what specs find under the names ``simulated`` and ``qemu``,
    the driver of specs that name none. With ``--kutti-driver=NAME`` it is the driver of that
    name, in the workspace that is set; tests that order faults are skipped then.
    """
    from kutti_sdk.core.registry import get_driver

    config = request.config
    name = config.getoption("--kutti-driver") or config.getini("kutti_driver")
    if name == _SIMULATED:
        with _simulated_driver() as driver:
            _order_faults(driver, request.node)
            yield driver
    elif request.node.get_closest_marker(_MARKER) is not None:
        pytest.skip(f"faults can be ordered on the simulated driver, not on {name}")
    else:
        yield get_driver(name)


@pytest.fixture
def kutti_spec(kutti_driver: VMDriver) -> ClusterSpec:
    """What ``kutti_cluster`` is made from: two nodes; write a fixture of this name to change it."""
    from secrets import token_hex

    from kutti_sdk.clusters import cluster

    # On a real driver, two runs of tests may share a workspace.
    return cluster(f"test-{token_hex(4)}").using(kutti_driver).nodes(2)


@pytest.fixture
def kutti_cluster(
    request: pytest.FixtureRequest, kutti_driver: VMDriver, kutti_spec: ClusterSpec
) -> Iterator[Cluster]:
    """A cluster whose nodes are ready, deleted at the end however the test ends.

    Faults are ordered when it is ready, so that they strike the test and not its making.
    """
    from anyio.from_thread import start_blocking_portal

    _forget_faults(kutti_driver)
    # On a loop in a thread, since the loop of the test, if it has any, is not ours to run.
    with (
        start_blocking_portal() as portal,
        portal.wrap_async_context_manager(kutti_spec.ephemeral()) as cluster,
    ):
        _order_faults(kutti_driver, request.node)
        yield cluster
        _forget_faults(kutti_driver)


@contextmanager
def _simulated_driver() -> Iterator[SimulatedDriver]:
    from kutti_sdk.clusters.description import DEFAULT_DRIVER
    from kutti_sdk.core.registry import registered
    from kutti_sdk.drivers.simulated import SimulatedDriver
    from kutti_sdk.runtime.directories import within_workspace

    driver = SimulatedDriver()
    with (
        TemporaryDirectory(prefix="kutti-test-") as folder,  # short enough for sockets in it
        within_workspace(folder),
        registered({_SIMULATED: driver, DEFAULT_DRIVER: driver}),
    ):
        yield driver


def _fault_plan(driver: VMDriver) -> FaultPlan | None:
    from kutti_sdk.drivers.simulated import SimulatedDriver

    return driver.faults if isinstance(driver, SimulatedDriver) else None


def _order_faults(driver: VMDriver, test: pytest.Item) -> None:
    plan = _fault_plan(driver)
    for mark in () if plan is None else test.iter_markers(_MARKER):
        fault, *arguments = mark.args or ("",)
        if fault not in _FAULTS:
            raise pytest.UsageError(
                f"{test.nodeid}: {_MARKER} wants one of {', '.join(_FAULTS)}, not {fault!r}"
            )
        getattr(plan, fault)(*arguments, **mark.kwargs)


def _forget_faults(driver: VMDriver) -> None:
    plan = _fault_plan(driver)
    if plan is not None:
        plan.clear()
