"""The contract of suspension: clusters that leave memory and processor, and go on later.

Not every hypervisor can do it. A driver that can inherits `SupportsSuspension` as
well as `VMDriver`; whoever needs it asks with `require_suspension`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod

from kutti_sdk.core.driver import VMDriver
from kutti_sdk.core.errors import SuspensionUnsupportedError


class SupportsSuspension(ABC):
    """What a driver can do that suspends clusters, beside `VMDriver`.

    A suspended host has the status `HostStatus.SUSPENDED`, takes no memory of this machine,
    and outlives its restart. `VMHost.start` lets it go on where it was, with the right time
    and new random numbers. `VMHost.force_stop` gives up what was in its memory; then it
    is a stopped host.

    What was in memory is used once: a host that was killed after it went on boots from
    its disk. Where it is damaged, `VMHost.start` boots the host, and says so by an event
    of phase `WARNING`.
    """

    @abstractmethod
    async def suspend_cluster(self, networkname: str, clustername: str) -> None:
        """Suspend all hosts of a cluster that run, at one instant.

        Connections between them outlive it, those from outside end. Hosts that do not run
        are left as they are.

        Args:
            networkname: Name of the network that the hosts are in.
            clustername: Name of their cluster.

        Raises:
            InvalidNameError: When a name is not valid.
            NetworkNotFoundError: When there is no such network.
            HostNotFoundError: When the cluster has no host in it.
            HostNotRunningError: When no host runs or is suspended, or one that runs has
                not got so far that it can be suspended.
            NotEnoughDiskError: When what is in memory would not fit on the disk.
            HypervisorError: When it could not be done; the hosts run on.
        """


def require_suspension(driver: VMDriver) -> SupportsSuspension:
    """Make sure that a driver can suspend clusters.

    Args:
        driver: The driver.

    Returns:
        The same driver.

    Raises:
        SuspensionUnsupportedError: When it cannot.
    """
    if isinstance(driver, SupportsSuspension):
        return driver
    raise SuspensionUnsupportedError(
        f"driver {driver.name!r} cannot suspend clusters",
        hint='Use a driver that can, such as "qemu", or stop the cluster.',
        driver=driver.name,
    )
