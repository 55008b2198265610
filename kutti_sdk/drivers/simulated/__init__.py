"""A driver in memory, with a clock of its own and scripted faults.

For the tests of programs that use kutti_sdk, and for its documentation::

    from kutti_sdk.drivers.simulated import SimulatedDriver

    driver = SimulatedDriver()
    driver.faults.crash("node1", after=30)

`SimulatedClock` tells how its time passes.
"""

from kutti_sdk.drivers.simulated.clock import SimulatedClock
from kutti_sdk.drivers.simulated.commands import Answer, CommandCall, ScriptedCommands
from kutti_sdk.drivers.simulated.driver import DEFAULT_CAPACITY, SimulatedDriver
from kutti_sdk.drivers.simulated.faults import FaultPlan
from kutti_sdk.drivers.simulated.images import DEFAULT_IMAGES, PublishedImage
from kutti_sdk.drivers.simulated.machine import SimulatedTimings

__all__ = [
    "DEFAULT_CAPACITY",
    "DEFAULT_IMAGES",
    "Answer",
    "CommandCall",
    "FaultPlan",
    "PublishedImage",
    "ScriptedCommands",
    "SimulatedClock",
    "SimulatedDriver",
    "SimulatedTimings",
]
