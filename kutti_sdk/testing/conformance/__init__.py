"""The driver conformance suite: what every driver must do, and refuse, alike.

A driver's author inherits it, gives it a driver, and runs pytest::

    class TestMyDriver(DriverConformance):
        k8s_version = "1.34.2"

        @pytest.fixture(scope="class")
        @classmethod
        def driver(cls, tmp_path_factory):
            kutti_sdk.set_workspace(tmp_path_factory.mktemp("workspace"))
            yield MyDriver()
            kutti_sdk.set_workspace(None)

All tests run under asyncio and trio. Most boot nothing; some start a host and
stop it at once; those that need a system inside share two hosts, which are
booted once for the class and twice more. What a driver cannot do, or takes
longer for, is said by class attributes; see `ConformanceHooks`.
"""

from kutti_sdk.testing.conformance.bad_input import BadInput
from kutti_sdk.testing.conformance.cancellation import Cancellation
from kutti_sdk.testing.conformance.checkpoint_bundles import CheckpointBundles
from kutti_sdk.testing.conformance.checkpoints import Checkpoints, SavedGuests
from kutti_sdk.testing.conformance.driver import DriverItself
from kutti_sdk.testing.conformance.guests import Guests
from kutti_sdk.testing.conformance.hooks import ConformanceHooks, Lab
from kutti_sdk.testing.conformance.hosts import Hosts
from kutti_sdk.testing.conformance.images import Images
from kutti_sdk.testing.conformance.lifecycle import Lifecycle
from kutti_sdk.testing.conformance.networks import Networks
from kutti_sdk.testing.conformance.ports import Ports
from kutti_sdk.testing.conformance.suspension import SuspendedGuests, Suspension
from kutti_sdk.testing.conformance.watching import Watching


class DriverConformance(
    DriverItself,
    Networks,
    Hosts,
    Ports,
    Images,
    BadInput,
    Lifecycle,
    Watching,
    Cancellation,
    Guests,
    Checkpoints,
    SavedGuests,
    CheckpointBundles,
    Suspension,
    SuspendedGuests,
):
    """All that a driver promises, as tests; inherit it and give it a ``driver`` fixture."""


__all__ = [
    "ConformanceHooks",
    "DriverConformance",
    "Guests",
    "Lab",
    "SavedGuests",
    "SuspendedGuests",
]
