"""Everything is stopped for a while, as under a closed lid, and goes on as if nothing had been.

What hours of it do to time limits is tried with a clock that jumps (`sleeping`), at any step of
an operation; what stopping does to processes, sockets and locks with ``SIGSTOP``.
"""

from __future__ import annotations

import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from itertools import product
from pathlib import Path

import anyio
import pytest
from cancelling import struck_at
from leftovers import assert_clean, files_below
from performing import performing
from share import a_share_of, all_is_tried, points, stride
from sleeping import processes_below, send, sleeping_machine
from torture_records import Record, recorded
from tortured_operations import (
    CLUSTER_ENDS,
    HOST_OPERATIONS,
    IMAGE_ENDS,
    IMAGE_OPERATIONS,
    MEMORY_OPERATIONS,
    RESTORE,
    Act,
    Lab,
    Operation,
    assert_listening,
    delete,
    ensure_and_delete,
    name_of,
)

import kutti_sdk as kutti
from kutti_sdk.clusters import store
from kutti_sdk.runtime.locks import holder, locked

pytestmark = [pytest.mark.anyio, pytest.mark.vm]

OPERATIONS = (
    *product([*HOST_OPERATIONS, *MEMORY_OPERATIONS, RESTORE], CLUSTER_ENDS),
    *product(IMAGE_OPERATIONS, IMAGE_ENDS),
)
MOMENT = 0.2  # seconds that everything is stopped, and that it runs in between


@pytest.fixture(params=["asyncio", "trio"] if all_is_tried() else ["asyncio"])
def anyio_backend(request: pytest.FixtureRequest) -> str:
    """Under one backend where time counts."""
    return str(request.param)


@pytest.mark.parametrize(("operation", "end"), a_share_of(OPERATIONS, every=19), ids=name_of)
async def test_hours_of_sleep_are_not_noticed(
    operation: Operation, end: Act, qemu_lab: Lab, workspace: Path, anyio_backend: str
) -> None:
    await operation.prepare(qemu_lab)
    await operation.act(qemu_lab)
    await end(qemu_lab)
    before = files_below(workspace)
    every = stride(397, thorough=7)  # a try takes seconds
    record = Record(
        "hours of sleep after a step", operation.name, "qemu", anyio_backend, every=every
    )
    act = partial(operation.act, qemu_lab)
    with recorded(record), sleeping_machine(workspace) as machine:
        for step in points(f"{operation} {name_of(end)} asleep {anyio_backend}", every):
            slept = machine.slept
            with record.trial(f"step {step}"):
                await operation.prepare(qemu_lab)
                await struck_at(step, act, machine.sleep)
                await end(qemu_lab)
                assert_clean(workspace, before)
            if machine.slept == slept:  # it had ended before
                break


@pytest.mark.parametrize(
    ("operation", "end"),
    a_share_of(
        [*product(HOST_OPERATIONS, CLUSTER_ENDS[:1]), *product(IMAGE_OPERATIONS, IMAGE_ENDS[:1])],
        every=13,
    ),
    ids=name_of,
)
async def test_an_operation_is_stopped_again_and_again(
    operation: Operation, end: Act, qemu_lab: Lab, workspace: Path, anyio_backend: str
) -> None:
    await operation.prepare(qemu_lab)
    record = Record("stopped again and again", operation.name, "qemu", anyio_backend)
    with (
        recorded(record),
        record.trial("at any time"),
        performing(operation, qemu_lab, workspace, anyio_backend) as process,
    ):
        while process.poll() is None:
            with stopped(workspace):
                await anyio.sleep(MOMENT)
            await anyio.sleep(MOMENT)
        assert process.returncode == 0, "see its traceback"
        await end(qemu_lab)


async def test_nobody_takes_the_lock_of_a_stopped_process(
    qemu_lab: Lab, workspace: Path, anyio_backend: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock = kutti.data_dir() / "clusters" / "lab.lock"
    with performing(HOST_OPERATIONS[0], qemu_lab, workspace, anyio_backend) as process:
        while holder(lock) is None:
            assert process.poll() is None, "see its traceback"
            await anyio.sleep(0.01)
        with stopped(workspace), monkeypatch.context() as patch:
            patch.setattr(store, "_LOCK_TIMEOUT", MOMENT)
            patch.setitem(locked.__wrapped__.__kwdefaults__, "timeout", MOMENT)
            for other in (qemu_lab.spec.ensure, qemu_lab.cluster.delete):
                with pytest.raises(kutti.LockTimeoutError, match=f"kill -CONT {process.pid}"):
                    await other()
        await anyio.to_thread.run_sync(process.wait)
        assert process.returncode == 0, "see its traceback"
    await ensure_and_delete(qemu_lab)


async def test_hosts_and_forwards_go_on(qemu_lab: Lab, workspace: Path) -> None:
    cluster = await qemu_lab.spec.ensure()
    (forward,) = qemu_lab.spec.forwards
    port = forward.forward.host_port
    others = processes_below(workspace)
    send(others, signal.SIGSTOP)
    connection = socket.create_connection(("127.0.0.1", port))  # the kernel takes it
    assert {it.status for it in (await cluster.status()).nodes} == {kutti.HostStatus.UNKNOWN}
    send(others, signal.SIGCONT)
    connection.close()
    assert {it.status for it in (await cluster.status()).nodes} == {kutti.HostStatus.RUNNING}
    assert_listening([port])
    assert not await qemu_lab.spec.plan()
    assert {it.pid for it in processes_below(workspace)} == {it.pid for it in others}
    await delete(qemu_lab)


@contextmanager
def stopped(workspace: Path) -> Iterator[None]:
    """Stop all processes that name a workspace, for the length of a block."""
    everything = processes_below(workspace)
    send(everything, signal.SIGSTOP)
    yield
    send(everything, signal.SIGCONT)
