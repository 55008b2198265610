"""The states that drivers, hosts and images can be in, in kutti's own words."""

from __future__ import annotations

from enum import StrEnum


class DriverStatus(StrEnum):
    """Whether a driver can work on this machine."""

    READY = "Ready"
    UNAVAILABLE = "Unavailable"


class HostStatus(StrEnum):
    """What the hypervisor says about a host."""

    RUNNING = "Running"
    STOPPED = "Stopped"
    UNKNOWN = "Unknown"
    ERROR = "Error"


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
