from __future__ import annotations

import anyio
import anyio.lowlevel
import pytest

from kutti_sdk.core.events import ProgressEvent, observe, report

pytestmark = pytest.mark.anyio


def test_without_an_observer_nothing_happens() -> None:
    report("boot", "booting node1")


def test_an_observer_gets_all_that_was_said() -> None:
    events: list[ProgressEvent] = []
    with observe(events.append):
        report("download", "downloading", image="1.34.2", fraction=0.5, bytes_done=1, bytes_total=2)
    (event,) = events
    assert (event.phase, event.message, event.image) == ("download", "downloading", "1.34.2")
    assert (event.fraction, event.bytes_done, event.bytes_total) == (0.5, 1, 2)
    assert event.host is event.cluster is None
    assert event.time > 0


def test_outer_observers_hear_of_inner_operations_and_not_the_other_way_round() -> None:
    outer: list[str] = []
    inner: list[str] = []
    with observe(lambda event: outer.append(event.phase)):
        report("before", "")
        with observe(lambda event: inner.append(event.phase)):
            report("inside", "")
        report("after", "")
    report("outside", "")
    assert outer == ["before", "inside", "after"]
    assert inner == ["inside"]


def test_an_observer_is_gone_after_an_error() -> None:
    events: list[ProgressEvent] = []
    with pytest.raises(LookupError), observe(events.append):
        raise LookupError
    report("outside", "")
    assert events == []


async def test_events_of_the_tasks_of_an_operation_are_observed() -> None:
    phases: list[str] = []

    async def work(phase: str) -> None:
        await anyio.lowlevel.checkpoint()
        report(phase, "")

    with observe(lambda event: phases.append(event.phase)):
        async with anyio.create_task_group() as group:
            group.start_soon(work, "one")
            group.start_soon(work, "two")
    assert sorted(phases) == ["one", "two"]


async def test_events_of_other_operations_are_not_observed() -> None:
    seen: dict[str, list[str]] = {"a": [], "b": []}

    async def operation(name: str) -> None:
        with observe(lambda event: seen[name].append(event.phase)):
            for _ in range(3):
                await anyio.lowlevel.checkpoint()
                report(name, "")

    async with anyio.create_task_group() as group:
        group.start_soon(operation, "a")
        group.start_soon(operation, "b")
    assert seen == {"a": ["a"] * 3, "b": ["b"] * 3}


async def test_events_of_threads_of_an_operation_are_observed() -> None:
    phases: list[str] = []
    with observe(lambda event: phases.append(event.phase)):
        await anyio.to_thread.run_sync(report, "thread", "")
    assert phases == ["thread"]
