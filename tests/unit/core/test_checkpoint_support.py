from __future__ import annotations

import pytest

from kutti_sdk.core.checkpoints import SupportsCheckpoints, require_checkpoints
from kutti_sdk.core.driver import VMDriver
from kutti_sdk.core.errors import CheckpointsUnsupportedError
from kutti_sdk.drivers.simulated import SimulatedDriver


def _without_checkpoints() -> VMDriver:
    """A driver as somebody else may have written it, before there were checkpoints."""
    contract = {
        name: getattr(SimulatedDriver, name) for name in sorted(VMDriver.__abstractmethods__)
    }
    return type("PlainDriver", (VMDriver,), contract | {"name": "plain"})()


def test_a_driver_that_saves_clusters_is_told_by_its_class() -> None:
    driver = SimulatedDriver()
    saver: SupportsCheckpoints = require_checkpoints(driver)
    assert saver is driver


def test_a_driver_that_does_not_is_named_in_the_refusal() -> None:
    with pytest.raises(CheckpointsUnsupportedError, match="plain") as refusal:
        require_checkpoints(_without_checkpoints())
    assert refusal.value.driver == "plain"
    assert refusal.value.hint
