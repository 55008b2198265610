"""Cancelled after any step: what is left can be gone on with, and removed, and nothing else is."""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from pathlib import Path

import anyio
import pytest
from cancelling import cancelled_at
from leftovers import assert_clean, assert_soon_none, files_below, more_than, open_files
from share import a_share_of, all_is_tried, points, stride
from torture_records import Record, recorded
from tortured_operations import (
    CLUSTER_ENDS,
    GUEST_OPERATIONS,
    HOST_OPERATIONS,
    IMAGE_ENDS,
    IMAGE_OPERATIONS,
    MEMORY_TRIALS,
    Act,
    Lab,
    Operation,
    name_of,
)

import kutti_sdk as kutti
from kutti_sdk.drivers.simulated import DEFAULT_IMAGES, SimulatedDriver

pytestmark = pytest.mark.anyio

WITH_KUBERNETES = Operation(
    "ensure with Kubernetes", HOST_OPERATIONS[0].prepare, HOST_OPERATIONS[0].act
)


@pytest.fixture
def lab(workspace: Path, tmp_path: Path) -> Lab:
    """Nothing yet, on the simulated driver."""
    (not_here,) = (image for image in DEFAULT_IMAGES if not image.downloaded)
    image_file = tmp_path / "image"
    image_file.write_bytes(not_here.content)
    spec = kutti.cluster("lab").using(SimulatedDriver()).nodes(2).forward(8080, to=80)
    return Lab(spec, not_here.k8s_version, image_file, tmp_path)


@pytest.mark.parametrize(
    ("operation", "end"),
    [*product([*HOST_OPERATIONS, *GUEST_OPERATIONS], CLUSTER_ENDS), *MEMORY_TRIALS],
    ids=name_of,
)
async def test_a_cluster_survives(
    operation: Operation, end: Act, lab: Lab, workspace: Path, anyio_backend: str
) -> None:
    await cancel_everywhere(operation, end, lab, workspace, record(anyio_backend, stride(23)))


@pytest.mark.parametrize("end", CLUSTER_ENDS, ids=name_of)
async def test_a_cluster_with_kubernetes_survives(
    end: Act, lab: Lab, workspace: Path, anyio_backend: str
) -> None:
    lab = replace(lab, spec=lab.spec.kubernetes("1.34"))
    every = stride(97, thorough=5)  # there are thousands, and most are the same again
    await cancel_everywhere(WITH_KUBERNETES, end, lab, workspace, record(anyio_backend, every))


async def test_two_others_go_on_at_once_with_what_was_cancelled(lab: Lab) -> None:
    bystander = kutti.cluster("bystander").using(lab.driver)
    await bystander.ensure()
    for step in points("two others", 9):
        was_cancelled = await cancelled_at(step, lab.spec.ensure)
        assert not await bystander.plan()
        async with anyio.create_task_group() as group:
            for _ in range(2):
                group.start_soon(lab.spec.ensure)
        assert not await lab.spec.plan()
        await lab.cluster.delete()
        if not was_cancelled:
            break


@pytest.mark.parametrize("end", IMAGE_ENDS, ids=name_of)
@pytest.mark.parametrize("operation", IMAGE_OPERATIONS, ids=name_of)
async def test_an_image_survives(
    operation: Operation, end: Act, lab: Lab, workspace: Path, anyio_backend: str
) -> None:
    await cancel_everywhere(operation, end, lab, workspace, record(anyio_backend, stride(5)))


@pytest.mark.vm
@pytest.mark.parametrize(
    ("operation", "end"),
    [
        *a_share_of(
            [*product(HOST_OPERATIONS, CLUSTER_ENDS), *product(IMAGE_OPERATIONS, IMAGE_ENDS)],
            every=13,
        ),
        *(MEMORY_TRIALS if all_is_tried() else []),
    ],
    ids=name_of,
)
async def test_virtual_machines_survive(
    operation: Operation, end: Act, qemu_lab: Lab, workspace: Path, anyio_backend: str
) -> None:
    every = stride(199, thorough=17)  # a try takes seconds
    await cancel_everywhere(operation, end, qemu_lab, workspace, record(anyio_backend, every))


async def cancel_everywhere(
    operation: Operation, end: Act, lab: Lab, workspace: Path, record: Record
) -> None:
    """Cancel an operation after its first step, its second, and so on to its last."""
    await operation.prepare(lab)
    await operation.act(lab)  # what is loaded or opened once and for all is so from here on
    await end(lab)
    files, handles = files_below(workspace), open_files()
    record.operation, record.driver = operation.name, lab.driver.name
    with recorded(record):
        for step in points(f"{operation} {name_of(end)} {record.backend}", record.every):
            with record.trial(f"step {step}"):
                await operation.prepare(lab)
                was_cancelled = await cancelled_at(step, lambda: operation.act(lab))
                await end(lab)
                assert not await lab.driver.list_hosts()
                assert not await lab.driver.list_networks()
                assert_clean(workspace, files)
                assert_soon_none(lambda: more_than(handles, open_files()), "open files")
            if not was_cancelled:
                break


def record(backend: str, every: int) -> Record:
    """Begin a record; driver and operation are to be filled in."""
    return Record("cancelled after a step", "", "", backend, every=every)
