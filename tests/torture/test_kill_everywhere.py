"""Killed at any point: what is left can be found, gone on with, and removed.

On the QEMU driver, with real QEMU, switch and gateway; see `qemu_lab`.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator
from itertools import product
from pathlib import Path

import msgspec
import pytest
from killed_process import Order
from killing import Victims, victims
from leftovers import assert_clean, files_below
from share import a_share_of, all_is_tried, points, stride
from torture_records import Record, recorded
from tortured_operations import (
    HOST_OPERATIONS,
    IMAGE_ENDS,
    IMAGE_OPERATIONS,
    KILLED_CLUSTER_ENDS,
    MEMORY_TRIALS,
    Act,
    Lab,
    Operation,
    delete_passing,
    name_of,
)

pytestmark = [pytest.mark.anyio, pytest.mark.vm]

OPERATIONS_EVERY = 7  # operations for each that is tried in a short run
EVERY = 13  # points of it for each that is tried


@pytest.fixture(params=["asyncio", "trio"] if all_is_tried() else ["asyncio"])
def anyio_backend(request: pytest.FixtureRequest) -> str:
    """Under one backend where time counts: what is killed is the same."""
    return str(request.param)


@pytest.fixture(scope="module")
def process() -> Iterator[Victims]:
    """Performs operations in processes that are killed."""
    with victims() as running:
        yield running


@pytest.fixture
def order(qemu_lab: Lab, workspace: Path, anyio_backend: str) -> Order:
    """Says where and on what; operation and point are to be filled in."""
    (forward,) = qemu_lab.spec.forwards
    return Order(
        operation="",
        point=0,
        backend=anyio_backend,
        workspace=str(workspace),
        image_list=str(qemu_lab.image_file.with_name("images.json")),
        folder=str(qemu_lab.folder),
        port=forward.forward.host_port,
    )


@pytest.mark.parametrize(
    ("operation", "end"),
    a_share_of(product(HOST_OPERATIONS, KILLED_CLUSTER_ENDS), every=OPERATIONS_EVERY),
    ids=name_of,
)
async def test_a_cluster_survives(
    operation: Operation, end: Act, qemu_lab: Lab, process: Victims, order: Order
) -> None:
    await kill_everywhere(operation, end, qemu_lab, process, order)


@pytest.mark.parametrize(
    ("operation", "end"), a_share_of(MEMORY_TRIALS, every=len(MEMORY_TRIALS)), ids=name_of
)
async def test_the_memory_of_a_cluster_survives(
    operation: Operation, end: Act, qemu_lab: Lab, process: Victims, order: Order
) -> None:
    await kill_everywhere(operation, end, qemu_lab, process, order)


@pytest.mark.parametrize(
    ("operation", "end"),
    a_share_of(product(IMAGE_OPERATIONS, IMAGE_ENDS), every=OPERATIONS_EVERY),
    ids=name_of,
)
async def test_an_image_survives(
    operation: Operation, end: Act, qemu_lab: Lab, process: Victims, order: Order
) -> None:
    await kill_everywhere(operation, end, qemu_lab, process, order)


async def kill_everywhere(
    operation: Operation, end: Act, lab: Lab, process: Victims, order: Order
) -> None:
    """Kill a process that performs an operation at its first point, its second, and so on."""
    workspace = Path(order.workspace)
    await operation.prepare(lab)
    await operation.act(lab)
    await end(lab)
    before = files_below(workspace)
    record = Record(
        "kill -9 of the process",
        operation.name,
        lab.driver.name,
        order.backend,
        every=stride(EVERY),
    )
    with recorded(record):
        for point in points(f"{operation} {name_of(end)}", record.every):
            with record.trial(f"point {point}"):
                await operation.prepare(lab)
                order = msgspec.structs.replace(order, operation=operation.name, point=point)
                was_killed = process.was_killed(order)
                await delete_passing(lab)
                await end(lab)
                assert_clean(workspace, before)
                assert_free(order.port)
            if not was_killed:
                break


def assert_free(port: int) -> None:
    """See that nobody listens on a port of this machine any more."""
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", port))
