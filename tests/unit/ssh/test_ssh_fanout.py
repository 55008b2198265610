"""Fan-out: order, limit, errors, and every way of ending it early."""

from __future__ import annotations

import gc
import threading
from collections.abc import Callable, Coroutine
from typing import Any

import anyio
import pytest
from ssh_harness import Server, eventually

from kutti_sdk.core.events import ProgressEvent, observe, report
from kutti_sdk.ssh import AsyncSSHClient, FanOut

pytestmark = pytest.mark.anyio

Job = Callable[[], Coroutine[Any, Any, str]]


class Hosts:
    """Jobs that wait until they are let go, and count themselves."""

    def __init__(self, number: int, *, open_gates: bool = False) -> None:
        self.names = [f"node{n}" for n in range(1, number + 1)]
        self.free = set(self.names if open_gates else ())
        self.running: set[str] = set()
        self.begun: list[str] = []
        self.most = 0
        self.ended: list[str] = []

    def jobs(self) -> dict[str, Job]:
        return {name: self._job(name) for name in self.names}

    def _job(self, name: str) -> Job:
        async def work() -> str:
            self.begun.append(name)
            self.running.add(name)
            self.most = max(self.most, len(self.running))
            try:
                while name not in self.free:
                    await anyio.sleep(0.005)
                await anyio.sleep(0.01)
                return name
            finally:
                self.running.discard(name)
                self.ended.append(name)

        return work


@pytest.fixture(autouse=True)
def backend(anyio_backend: str) -> None:
    """Both backends, also where no other fixture asks for them."""


async def test_all_results_come_in_the_order_of_the_hosts() -> None:
    hosts = Hosts(5, open_gates=True)
    fan = FanOut(hosts.jobs())
    assert await fan == hosts.names
    assert await fan == hosts.names
    assert len(hosts.begun) == 5


async def test_results_come_as_they_are_done() -> None:
    hosts = Hosts(3)
    fan = FanOut(hosts.jobs())
    seen = []
    hosts.free.add("node2")
    async for name in fan:
        seen.append(name)
        hosts.free |= {"node3"} if name == "node2" else {"node1"}
    assert seen == ["node2", "node3", "node1"]
    assert await fan == ["node1", "node2", "node3"]


async def test_nothing_starts_by_itself() -> None:
    hosts = Hosts(2, open_gates=True)
    fan = FanOut(hosts.jobs())
    await anyio.sleep(0.05)
    assert hosts.begun == []
    await fan.aclose()
    del fan
    async with FanOut(hosts.jobs()):
        pass
    assert hosts.begun == []


async def test_the_limit_is_kept() -> None:
    hosts = Hosts(12, open_gates=True)
    assert len(await FanOut(hosts.jobs(), limit=3)) == 12
    assert hosts.most == 3


async def test_leaving_the_loop_ends_the_others() -> None:
    hosts = Hosts(4)
    hosts.free.add("node3")
    async for name in FanOut(hosts.jobs()):
        assert name == "node3"
        break
    await eventually(lambda: len(hosts.ended) == 4)
    assert not hosts.running


async def test_an_error_in_the_loop_ends_the_others() -> None:
    hosts = Hosts(4)
    hosts.free.add("node3")
    fan = FanOut(hosts.jobs())
    with pytest.raises(ZeroDivisionError):
        async for _ in fan:
            raise ZeroDivisionError
    await eventually(lambda: len(hosts.ended) == 4)
    with pytest.raises(RuntimeError, match="was ended before"):
        await fan


async def test_cancellation_ends_all_and_waits_for_their_clean_up() -> None:
    hosts = Hosts(4)
    async with anyio.create_task_group() as group:

        async def wait_for_all() -> None:
            await FanOut(hosts.jobs())

        group.start_soon(wait_for_all)
        await eventually(lambda: len(hosts.running) == 4)
        group.cancel_scope.cancel()
    assert len(hosts.ended) == 4


async def test_closing_ends_all_and_waits_for_their_clean_up() -> None:
    hosts = Hosts(3)
    hosts.free.add("node1")
    async with FanOut(hosts.jobs()) as fan:
        results = aiter(fan)
        assert await anext(results) == "node1"
        assert hosts.running == {"node2", "node3"}
    assert not hosts.running


async def test_disappearing_ends_all_from_any_thread() -> None:
    hosts = Hosts(3)
    hosts.free.add("node1")
    fans = [FanOut(hosts.jobs())]
    results = [aiter(fans[0])]
    await anext(results[0])

    def forget() -> None:
        fans.clear()
        results.clear()
        gc.collect()

    thread = threading.Thread(target=forget)
    thread.start()
    thread.join()
    await eventually(lambda: len(hosts.ended) == 3)


async def test_errors_come_after_all_results() -> None:
    hosts = Hosts(3, open_gates=True)

    async def fail(what: str) -> str:
        raise ValueError(what)

    jobs = {
        "bad1": lambda: fail("first"),
        **hosts.jobs(),
        "bad2": lambda: fail("second"),
    }
    seen = []
    with pytest.raises(ValueError, match="first") as caught:
        async for name in FanOut(jobs):
            seen.append(name)
    assert sorted(seen) == hosts.names
    assert caught.value.__notes__ == ["At the same time: ValueError: second"]
    with pytest.raises(ValueError, match="first"):
        await FanOut(jobs)


async def test_progress_is_told_to_the_observers_of_the_caller() -> None:
    async def work() -> str:
        report("work", "Half done", host="node1", fraction=0.5)
        return "done"

    events: list[ProgressEvent] = []
    threads = set()

    def note(event: ProgressEvent) -> None:
        threads.add(threading.current_thread())
        events.append(event)

    with observe(note):
        assert await FanOut({"node1": work}) == ["done"]
    assert [(event.host, event.fraction) for event in events] == [("node1", 0.5)]
    assert threads == {threading.current_thread()}


async def test_a_fan_out_inside_of_a_fan_out() -> None:
    async def inner() -> list[str]:
        return await FanOut(Hosts(3, open_gates=True).jobs())

    assert await FanOut({"a": inner, "b": inner}) == [["node1", "node2", "node3"]] * 2


async def test_nothing_to_do() -> None:
    assert await FanOut({}) == []
    assert [one async for one in FanOut({})] == []


async def test_commands_on_hosts(client: AsyncSSHClient, sshd: Server) -> None:
    fan = FanOut(
        {
            str(number): lambda number=number: client.run_with_results(
                sshd.address, f"echo {number}"
            )
            for number in range(40)
        }
    )
    assert [result.stdout for result in await fan] == [f"{number}\n" for number in range(40)]
