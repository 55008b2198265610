"""Switches hosts on and off, whoever else may do the same at the same time."""

from __future__ import annotations

from kutti_sdk.core.errors import HostNotRunningError, HostRunningError
from kutti_sdk.core.host import VMHost


async def switch_on(host: VMHost) -> None:
    """Start a host; one that runs already is left alone.

    Args:
        host: The host.

    Raises:
        NotEnoughMemoryError: When this machine has not got the memory.
        HypervisorError: When it could not be started.
    """
    try:
        await host.start()
    except HostRunningError:  # started by somebody else meanwhile
        pass


async def shut_down(host: VMHost, timeout: float) -> None:
    """Shut a host down from inside; one that does not run is left alone.

    Args:
        host: The host.
        timeout: Seconds to wait for it.

    Raises:
        StateChangeTimeoutError: When it still runs after the time; it goes on running.
    """
    try:
        await host.stop(timeout)
    except HostNotRunningError:
        pass
