"""Waits until a host can be reached: its SSH server answers and runs a command.

There is no time-out for the whole, which no number fits on every machine. A host
that stops is noticed at once, and one that has nothing new to say on its console
for a long time, and shows no other sign of work, counts as stalled.
"""

from __future__ import annotations

import anyio

from kutti_sdk.core.errors import (
    HostKeyMismatchError,
    HypervisorError,
    ReadyTimeoutError,
    SSHAuthenticationError,
    SSHConnectionError,
)
from kutti_sdk.core.events import report
from kutti_sdk.core.host import VMHost
from kutti_sdk.core.status import AT_REST, HostStatus
from kutti_sdk.runtime.awake import rest
from kutti_sdk.runtime.tasks import task_group

DEFAULT_STALL_TIMEOUT = 120.0
"""Seconds without a new word on the console after which a host counts as stalled; an
emulated one on a busy machine is quiet for tens of them while all is well."""

_CONSOLE_STEP = 0.5  # seconds between two looks at the console
_RETRY_STEP = 0.1  # seconds; nothing tells when a server that hung up is back
_CONSOLE_LINES = 20


async def wait_until_reachable(
    host: VMHost, *, stall_timeout: float = DEFAULT_STALL_TIMEOUT
) -> None:
    """Wait until a running host answers over SSH.

    Args:
        host: The host.
        stall_timeout: Seconds that its console may be silent.

    Raises:
        ReadyTimeoutError: When it stalls; names the phase, shows the console.
        HypervisorError: When it stops or fails meanwhile; shows the console.
        HostKeyMismatchError: When somebody else answers at its address.
        SSHAuthenticationError: When it does not let us in.
        PortNotForwardedError: When no way to its SSH server is known.
    """
    await _Bringup(host, stall_timeout).wait()


class _Bringup:
    """One host on its way: what it waits for, and who watches meanwhile."""

    def __init__(self, host: VMHost, stall_timeout: float) -> None:
        self._host = host
        self._stall_timeout = stall_timeout
        self._phase = ""
        self._last_sign_of_life = anyio.current_time()
        self._progress_mark = 0

    async def wait(self) -> None:
        async with task_group() as group:
            group.start_soon(self._watch_status)
            group.start_soon(self._watch_console)
            await self._connect()
            group.cancel_scope.cancel()
        self._enter("ready", f"{self._host.name} is ready")

    async def _connect(self) -> None:
        ssh = await self._host.ssh_client()
        address = await self._host.ssh_address()
        self._enter("boot", f"{self._host.name} boots")
        await ssh.wait_until_ready(address)
        self._enter("ssh", f"logging in to {self._host.name}")
        while True:
            try:
                await ssh.run_with_results(address, "true", check=True)
            except (HostKeyMismatchError, SSHAuthenticationError):
                raise
            except SSHConnectionError:  # servers are restarted while a system boots
                await anyio.sleep(_RETRY_STEP)
            else:
                return

    async def _watch_status(self) -> None:
        status = HostStatus.RUNNING
        while status not in (*AT_REST, HostStatus.ERROR):
            status = await self._host.wait_for_state_change(since=status)
        console = await self._host.console(_CONSOLE_LINES)
        raise HypervisorError(
            f"host {self._host.name!r} is {status} now; it was in phase {self._phase!r}",
            hint=f"Last lines of its console:\n{console}" if console else None,
            network=self._host.networkname,
            cluster=self._host.clustername,
            host=self._host.name,
        )

    async def _watch_console(self) -> None:
        seen = await self._host.console(_CONSOLE_LINES)
        while True:
            if await rest(min(_CONSOLE_STEP, self._stall_timeout / 4)):  # and it slept as well
                self._last_sign_of_life = anyio.current_time()
            console = await self._host.console(_CONSOLE_LINES)
            if console != seen:
                seen = console
                self._enter(self._phase, console.splitlines()[-1].strip())
            elif anyio.current_time() - self._last_sign_of_life > self._stall_timeout:
                mark = await self._host.progress_mark()
                if mark != self._progress_mark:  # images from elsewhere are silent while they boot
                    self._progress_mark = mark
                    self._last_sign_of_life = anyio.current_time()
                    continue
                raise ReadyTimeoutError(
                    f"host {self._host.name!r} stalled in phase {self._phase!r}: "
                    f"nothing new on its console for {self._stall_timeout:g} s",
                    phase=self._phase,
                    console=console,
                    hint="It still runs. Wait for it again with ensure(), or look at logs().",
                    host=self._host.name,
                )

    def _enter(self, phase: str, message: str) -> None:
        self._phase = phase
        self._last_sign_of_life = anyio.current_time()
        host = self._host
        report(phase, message, cluster=host.clustername, host=host.name)
