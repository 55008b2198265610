"""Real virtual machines."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import anyio
import pytest
from bare_hosts import agent, driver  # noqa: F401 - fixtures

import kutti_sdk as kutti


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark all tests here, and give them the time that emulated machines take."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker("vm")
            if item.get_closest_marker("timeout") is None:
                item.add_marker(pytest.mark.timeout(900))


@pytest.fixture
async def scratch(vm_workspace: Path, request: pytest.FixtureRequest) -> AsyncIterator[str]:
    """The name of a cluster that is deleted after the test, whatever came of it."""
    name = "t-" + request.node.name.split("[")[0].removeprefix("test_").replace("_", "-")
    name = name[:28].rstrip("-")
    try:
        yield name
    finally:
        with anyio.CancelScope(shield=True):
            try:
                await (await kutti.attach(name)).delete()
            except kutti.ClusterNotFoundError:
                pass
        assert not (vm_workspace / "data" / "qemu" / "networks" / name).exists()
