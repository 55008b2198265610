"""The states that drivers, hosts and images can be in, in kutti's own words."""

from __future__ import annotations

from enum import StrEnum


class DriverStatus(StrEnum):
    """Whether a driver can work on this machine."""

    READY = "Ready"
    UNAVAILABLE = "Unavailable"


class HostStatus(StrEnum):
    """What the hypervisor says about a host.

    A suspended host stands still, and what was in its memory is kept. Only drivers that
    inherit `SupportsSuspension` have such hosts.
    """

    RUNNING = "Running"
    STOPPED = "Stopped"
    SUSPENDED = "Suspended"
    UNKNOWN = "Unknown"
    ERROR = "Error"


AT_REST = frozenset({HostStatus.STOPPED, HostStatus.SUSPENDED})
"""The states of a host that does not run; `VMHost.start` leads out of both."""


class ImageStatus(StrEnum):
    """Whether an image can be used at once."""

    DOWNLOADED = "Downloaded"
    NOT_DOWNLOADED = "Notdownloaded"
    UNKNOWN = "Unknown"


class CopyStatus(StrEnum):
    """What it is that takes room on this machine for images."""

    COMPLETE = "Complete"
    DAMAGED = "Damaged"
    INTERRUPTED = "Interrupted"
    PARTIAL = "Partial download"
