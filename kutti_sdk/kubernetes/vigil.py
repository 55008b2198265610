"""Watches over a node that works: tells that it does, and notices when it does not.

kubeadm is silent for up to 80 s while all is well, so silence says nothing. A sign
of life is also a new container, and every word that a container says.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import anyio

from kutti_sdk.core.errors import (
    CommandTimeoutError,
    HypervisorError,
    KubernetesStalledError,
    SSHConnectionError,
)
from kutti_sdk.core.events import report
from kutti_sdk.core.status import AT_REST, HostStatus
from kutti_sdk.kubernetes.guest import Guest
from kutti_sdk.runtime.awake import rest
from kutti_sdk.runtime.tasks import task_group

_NEWS_STEP = 4.0  # seconds between two events: nobody stares at nothing for more than five
_LOOK_STEP = 15.0  # seconds of silence before the node is asked; asking costs it something
_MOST_RESTARTS = 6  # a slow machine's etcd and API server restart once or twice

# One line for each container's log: its size and its path. The path ends with
# NAMESPACE_POD_UID/CONTAINER/RESTARTS.log (kubelet's own layout, all versions).
CONTAINER_LOGS = "stat -c '%s %n' /var/log/pods/*/*/*.log 2>/dev/null; true\n"
"""Script that shows a change whenever a container of the node begins or says something."""

NO_SIGNS = "true\n"
"""Script that never shows one: nothing but what is heard counts."""

_RESTARTS = re.compile(r"/([^/]+)/(\d+)\.log$", re.MULTILINE)

_LAST_WORDS = """\
journalctl --unit=kubelet --lines=8 --output=cat --no-pager 2>/dev/null |
    cut -c -300 | sed 's/^/kubelet: /'
for log in $(ls -t /var/log/pods/kube-system_*/*/*.log 2>/dev/null | head -n 4); do
    container=${log%/*}
    tail -n 4 "$log" | cut -c -300 | sed "s|^|${container##*/}: |"
done
true
"""


class Vigil:
    """Watches over one node for the length of a block.

    Args:
        guest: The node.
        phase: What is going on to begin with; see `ProgressEvent.phase`.
        message: The same for a person.
        stall_timeout: Seconds without a sign of life before it counts as stalled.
        phase_of: Finds out from a line of output which phase begins; None for no news.
        signs: Script whose output changes while the node is alive.
    """

    def __init__(
        self,
        guest: Guest,
        phase: str,
        message: str,
        *,
        stall_timeout: float,
        phase_of: Callable[[str], str | None] = lambda _: None,
        signs: str = CONTAINER_LOGS,
    ) -> None:
        self.phase = phase
        self._guest = guest
        self._message = message
        self._stall_timeout = stall_timeout
        self._phase_of = phase_of
        self._began = self._last_news = self._last_sign = anyio.current_time()
        self._ask_signs = signs
        self._signs: str | None = None
        self._restarts: dict[str, int] = {}

    @asynccontextmanager
    async def watching(self) -> AsyncIterator[None]:
        """Watch while a block runs.

        Yields:
            Nothing.

        Raises:
            KubernetesStalledError: When there was no sign of life for too long, or a
                container dies again and again.
            HypervisorError: When the node stops.
        """
        self._tell(self._message)
        async with task_group() as group:
            group.start_soon(self._watch_host)
            group.start_soon(self._watch_signs)
            group.start_soon(self._tell_regularly)
            yield
            group.cancel_scope.cancel()

    def hear(self, line: str) -> None:
        """Take a line of output for a sign of life, and pass it on as an event.

        Args:
            line: The line.
        """
        self.phase = self._phase_of(line) or self.phase
        self._last_sign = anyio.current_time()
        if line.strip():
            self._tell(line.strip())

    async def last_words(self) -> str:
        """Ask the node what the kubelet and its containers said last.

        Returns:
            The lines; a remark when it cannot be asked.
        """
        try:
            return (await self._guest.run("last words", _LAST_WORDS)).stdout.strip()
        except (SSHConnectionError, CommandTimeoutError) as error:
            return f"(the node could not be asked: {error.message})"

    def _tell(self, message: str) -> None:
        self._message = message
        self._last_news = anyio.current_time()
        report(self.phase, message, cluster=self._guest.cluster, host=self._guest.name)

    async def _watch_host(self) -> None:
        host, status = self._guest.host, HostStatus.RUNNING
        while status not in (*AT_REST, HostStatus.ERROR):
            status = await host.wait_for_state_change(since=status)
        raise HypervisorError(
            f"host {host.name!r} is {status} now; it was in phase {self.phase!r}",
            hint="Look at its console with logs(), and ensure() again.",
            network=host.networkname,
            cluster=host.clustername,
            host=host.name,
        )

    async def _tell_regularly(self) -> None:
        while True:
            await anyio.sleep(self._last_news + _NEWS_STEP - anyio.current_time())
            now = anyio.current_time()
            if now - self._last_news >= _NEWS_STEP:
                self._last_news = now
                report(
                    self.phase,
                    f"{self._message} ({now - self._began:.0f} s)",
                    cluster=self._guest.cluster,
                    host=self._guest.name,
                )

    async def _watch_signs(self) -> None:
        step = min(_LOOK_STEP, self._stall_timeout / 4)
        while True:
            if await rest(step):  # and the node slept as well
                self._last_sign = anyio.current_time()
            if anyio.current_time() - self._last_sign >= step:
                await self._look()
            if anyio.current_time() - self._last_sign > self._stall_timeout:
                await self._give_up(f"no sign of life for {self._stall_timeout:g} s")

    async def _look(self) -> None:
        try:
            signs = (await self._guest.run("signs of life", self._ask_signs)).stdout
        except (SSHConnectionError, CommandTimeoutError):  # no sign either
            return
        if signs != self._signs:
            if self._signs is not None:
                self._last_sign = anyio.current_time()
            self._signs = signs
        for container, number in _RESTARTS.findall(signs):
            # Counted from when we began to look: every boot of the node is one more.
            restarts = int(number) - self._restarts.setdefault(container, int(number))
            if restarts >= _MOST_RESTARTS:
                await self._give_up(f"container {container} was restarted {restarts} times")

    async def _give_up(self, why: str) -> None:
        raise KubernetesStalledError(
            f"{self._guest.name} stalled in phase {self.phase!r}: {why}",
            phase=self.phase,
            log=await self.last_words(),
            hint="It was not stopped. ensure() waits for it again; a larger stall_timeout "
            "gives it more time.",
            cluster=self._guest.cluster,
            host=self._guest.name,
        )
