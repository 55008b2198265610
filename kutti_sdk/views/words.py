"""What faces say: statuses with their icons, and numbers with their units."""

from __future__ import annotations

from enum import StrEnum
from typing import Literal

from kutti_sdk.core.events import ProgressEvent
from kutti_sdk.core.host import HostUsage
from kutti_sdk.core.ports import PortForward
from kutti_sdk.core.sizes import format_size
from kutti_sdk.core.status import DriverStatus, HostStatus, ImageStatus

Tone = Literal["good", "quiet", "warn", "bad"]
"""What colour a status has; never the only thing that tells it."""

MISSING = "missing"
"""Says that a host does not exist, or not yet."""

# Statuses are texts, so that the Unknown of a host stands for that of an image, too.
_STATUSES: dict[StrEnum | None, tuple[str, Tone, str]] = {
    HostStatus.RUNNING: ("●", "good", "Running"),
    HostStatus.STOPPED: ("■", "quiet", "Stopped"),
    HostStatus.SUSPENDED: ("⏸", "quiet", "Suspended"),
    HostStatus.ERROR: ("✖", "bad", "Error"),
    HostStatus.UNKNOWN: ("?", "warn", "Unknown"),
    DriverStatus.READY: ("●", "good", "Ready"),
    DriverStatus.UNAVAILABLE: ("✖", "bad", "Unavailable"),
    ImageStatus.DOWNLOADED: ("●", "good", "Downloaded"),
    ImageStatus.NOT_DOWNLOADED: ("○", "quiet", "Not downloaded"),
    None: ("○", "quiet", MISSING),
}


def status_words(status: HostStatus | DriverStatus | ImageStatus | None) -> tuple[str, Tone, str]:
    """Say a status.

    Args:
        status: The status; None for a host that does not exist.

    Returns:
        An icon, a tone and a word.
    """
    return _STATUSES[status]


def duration_words(seconds: float) -> str:
    """Say how long something took or is up.

    Args:
        seconds: Seconds.

    Returns:
        Two units at most: ``0.4 s``, ``12 s``, ``3 min 5 s``, ``2 h 10 min``, ``4 d 1 h``.
    """
    if seconds < 10:
        return f"{max(0.0, seconds):.1f} s"
    whole = round(seconds)
    for unit, name, smaller, smaller_name in (
        (86400, "d", 3600, "h"),
        (3600, "h", 60, "min"),
        (60, "min", 1, "s"),
    ):
        if whole >= unit:
            rest = whole % unit // smaller
            return f"{whole // unit} {name}" + (f" {rest} {smaller_name}" if rest else "")
    return f"{whole} s"


def memory_words(usage: HostUsage) -> str:
    """Say how much memory a host occupies.

    Args:
        usage: What it takes.

    Returns:
        ``300 MiB``, or ``300 MiB, 240 MiB of it shared``.
    """
    shared = f", {format_size(usage.shared)} of it shared" if usage.shared else ""
    return format_size(usage.memory) + shared


def progress_words(event: ProgressEvent) -> str:
    """Say how far something is.

    Args:
        event: What was reported of it.

    Returns:
        What the operation says, or its numbers, where bytes are moved:
        ``30 MiB of 300 MiB, 12 MiB/s, 22 s left``.
    """
    if event.bytes_done is None:
        return event.message
    of = "" if event.bytes_total is None else f" of {format_size(event.bytes_total)}"
    rate = None if event.rate is None else f"{format_size(event.rate)}/s"
    left = None if event.remaining is None else f"{duration_words(event.remaining)} left"
    return ", ".join(filter(None, (f"{format_size(event.bytes_done)}{of}", rate, left)))


def forward_words(forward: PortForward) -> str:
    """Say a forward.

    Args:
        forward: The forward.

    Returns:
        ``127.0.0.1:8080 to 80``; port 0 of this machine is ``any free port``.
    """
    return f"{forward.address}:{forward.host_port or 'any free port'} to {forward.vm_port}"
