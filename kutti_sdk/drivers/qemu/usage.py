"""What a host's QEMU takes of this machine."""

from __future__ import annotations

import time

import psutil

from kutti_sdk.core.host import HostUsage
from kutti_sdk.drivers.qemu import lifecycle
from kutti_sdk.drivers.qemu.records import HostRecord


def host_usage(record: HostRecord) -> HostUsage | None:
    """Look at a host's QEMU. Reads files: call it in a thread.

    Args:
        record: The host.

    Returns:
        What it takes; None when it does not run.
    """
    identity = lifecycle.host_process(record)
    if identity is None:
        return None
    try:
        process = psutil.Process(identity.pid)
        with process.oneshot():
            times, memory = process.cpu_times(), process.memory_full_info()
            return HostUsage(
                uptime=max(0.0, time.time() - process.create_time()),
                cpu_time=times.user + times.system,
                memory=memory.rss,
                shared=max(0, memory.rss - memory.uss),
            )
    except psutil.Error:  # it ended meanwhile
        return None
