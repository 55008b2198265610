"""The simulated driver keeps the contract, at a jump and in flowing time.

Another driver's tests look the same: inherit `DriverConformance` and give it a
``driver`` fixture of class scope.
"""

from __future__ import annotations

import pytest

from kutti_sdk.drivers.simulated import (
    DEFAULT_IMAGES,
    PublishedImage,
    SimulatedClock,
    SimulatedDriver,
)
from kutti_sdk.testing import DriverConformance


class TestSimulatedDriver(DriverConformance):
    k8s_version = "1.34.2"
    image_to_fetch = "1.35.0"
    deprecated_image = "1.30.0"
    sees_foreign_listeners = False
    boot_timeout = 10.0
    event_timeout = 5.0
    cancel_delays = (0.0, 0.0002, 0.001, 0.003)

    @pytest.fixture(scope="class")
    @classmethod
    def driver(cls) -> SimulatedDriver:
        return SimulatedDriver(images=(*DEFAULT_IMAGES, PublishedImage("1.34.3")))


class TestSimulatedDriverInFlowingTime(TestSimulatedDriver):
    """Here operations take real milliseconds, so that they are cancelled half way."""

    event_timeout = 600.0  # where it is simulated, 6 real seconds
    stop_timeout = 3000.0

    @pytest.fixture(scope="class")
    @classmethod
    def driver(cls) -> SimulatedDriver:
        return SimulatedDriver(clock=SimulatedClock(speed=100))
