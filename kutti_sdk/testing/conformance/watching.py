"""Waiting for changes: of one host, and of all."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from typing import TypeVar

import anyio
import pytest

from kutti_sdk.core.driver import HostChange
from kutti_sdk.core.errors import HostNotFoundError, StateChangeTimeoutError
from kutti_sdk.core.host import VMHost
from kutti_sdk.core.status import HostStatus
from kutti_sdk.testing.conformance.hooks import ConformanceHooks, Lab

T = TypeVar("T")


class Watching(ConformanceHooks):
    """Changes are told, whoever brings them about."""

    async def test_a_state_that_was_left_before_is_told_at_once(self, lab: Lab) -> None:
        """So that no change falls between asking and waiting."""
        host = await lab.add_host()
        with anyio.fail_after(self.event_timeout):
            status = await host.wait_for_state_change(since=HostStatus.RUNNING)
        assert status is HostStatus.STOPPED

    async def test_a_state_that_lasts_runs_into_the_time_out(self, lab: Lab) -> None:
        """Which is a TimeoutError about this host."""
        host = await lab.add_host()
        with pytest.raises(StateChangeTimeoutError) as refusal:
            await host.wait_for_state_change(timeout=0.2)
        assert isinstance(refusal.value, TimeoutError)
        assert refusal.value.host == host.name

    async def test_starting_and_stopping_wake_every_waiter(self, lab: Lab) -> None:
        """Through whichever handle they happen."""
        host = await lab.add_host()
        other = await lab.driver.get_host(host.name, host.networkname, host.clustername)
        for act, before, after in (
            (host.start, HostStatus.STOPPED, HostStatus.RUNNING),
            (host.force_stop, HostStatus.RUNNING, HostStatus.STOPPED),
        ):
            told: list[HostStatus] = []

            async def wait(
                handle: VMHost, since: HostStatus, told: list[HostStatus] = told
            ) -> None:
                told.append(await handle.wait_for_state_change(self.event_timeout, since=since))

            async with anyio.create_task_group() as group:
                group.start_soon(wait, host, before)
                group.start_soon(wait, other, before)
                await act()
            assert told == [after, after]

    async def test_a_host_can_be_followed(self, lab: Lab) -> None:
        """First its state, then every change of it."""
        host = await lab.add_host()
        with anyio.fail_after(self.event_timeout * 3):
            async with _closing(host.watch()) as states:
                assert await anext(states) is HostStatus.STOPPED
                await host.start()
                assert await anext(states) is HostStatus.RUNNING
                await host.force_stop()
                assert await anext(states) is HostStatus.STOPPED

    async def test_waiting_for_a_host_ends_when_it_is_deleted(self, lab: Lab) -> None:
        """There is nothing left to wait for."""
        host = await lab.add_host()

        async def delete() -> None:
            await lab.driver.delete_host(host.name, host.networkname, host.clustername)

        with anyio.fail_after(self.event_timeout):
            async with anyio.create_task_group() as group:
                group.start_soon(delete)
                with pytest.raises(HostNotFoundError):
                    await host.wait_for_state_change(since=HostStatus.STOPPED)

    async def test_all_hosts_can_be_followed(self, lab: Lab) -> None:
        """Those there are, then who appears, changes and disappears."""
        await lab.add_host("present")
        with anyio.fail_after(self.event_timeout * 5):
            async with _closing(lab.driver.watch()) as changes:
                mine = _ChangesIn(lab, changes)
                assert await anext(mine) == self._change(lab, "present", HostStatus.STOPPED)
                host = await lab.add_host("new")
                assert await anext(mine) == self._change(lab, "new", HostStatus.STOPPED)
                await host.start()
                assert await anext(mine) == self._change(lab, "new", HostStatus.RUNNING)
                await host.force_stop()
                assert await anext(mine) == self._change(lab, "new", HostStatus.STOPPED)
                await lab.driver.delete_host("new", lab.network, lab.cluster)
                assert await anext(mine) == self._change(lab, "new", None)

    def _change(self, lab: Lab, hostname: str, status: HostStatus | None) -> HostChange:
        return HostChange(hostname, lab.network, lab.cluster, status)


class _ChangesIn(AsyncIterator[HostChange]):
    def __init__(self, lab: Lab, changes: AsyncIterator[HostChange]) -> None:
        self._lab = lab
        self._changes = changes

    async def __anext__(self) -> HostChange:
        while True:
            change = await anext(self._changes)
            if change.networkname == self._lab.network:
                return change


@asynccontextmanager
async def _closing(changes: AsyncIterator[T]) -> AsyncIterator[AsyncIterator[T]]:
    """Close an iterator at the end if it is of the kind that wants to be closed."""
    try:
        yield changes
    finally:
        if isinstance(changes, AsyncGenerator):
            await changes.aclose()
