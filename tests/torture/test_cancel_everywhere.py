"""Cancelled after any step: what is left can be gone on with, and removed, and nothing else is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from cancelling import cancelled_at
from leftovers import assert_soon_none, files_below, open_files
from share import points, stride
from torture_records import Record, recorded
from tortured_operations import (
    CLUSTER_ENDS,
    GUEST_OPERATIONS,
    HOST_OPERATIONS,
    IMAGE_ENDS,
    IMAGE_OPERATIONS,
    Act,
    Lab,
    Operation,
    name_of,
)

import kutti_sdk as kutti
from kutti_sdk.drivers.simulated import DEFAULT_IMAGES, SimulatedDriver

pytestmark = pytest.mark.anyio

EVERY = 23  # points for each that is tried in a short run
WITH_KUBERNETES = Operation(
    "ensure with Kubernetes", HOST_OPERATIONS[0].prepare, HOST_OPERATIONS[0].act
)

Cancel = Callable[[Operation, Act], object]


@pytest.fixture
def lab(workspace: Path, tmp_path: Path) -> Lab:
    """Nothing yet, on the simulated driver."""
    (not_here,) = (image for image in DEFAULT_IMAGES if not image.downloaded)
    image_file = tmp_path / "image"
    image_file.write_bytes(not_here.content)
    spec = kutti.cluster("lab").using(SimulatedDriver()).nodes(2).forward(8080, to=80)
    return Lab(spec, not_here.k8s_version, image_file, tmp_path)


@pytest.mark.parametrize("end", CLUSTER_ENDS, ids=name_of)
@pytest.mark.parametrize("operation", [*HOST_OPERATIONS, *GUEST_OPERATIONS], ids=name_of)
async def test_a_cluster_survives(
    operation: Operation, end: Act, lab: Lab, workspace: Path, anyio_backend: str
) -> None:
    await cancel_everywhere(operation, end, lab, workspace, anyio_backend)


@pytest.mark.parametrize("end", CLUSTER_ENDS, ids=name_of)
async def test_a_cluster_with_kubernetes_survives(
    end: Act, lab: Lab, workspace: Path, anyio_backend: str
) -> None:
    lab = replace(lab, spec=lab.spec.kubernetes("1.34"))
    await cancel_everywhere(WITH_KUBERNETES, end, lab, workspace, anyio_backend)


@pytest.mark.parametrize("end", IMAGE_ENDS, ids=name_of)
@pytest.mark.parametrize("operation", IMAGE_OPERATIONS, ids=name_of)
async def test_an_image_survives(
    operation: Operation, end: Act, lab: Lab, workspace: Path, anyio_backend: str
) -> None:
    await cancel_everywhere(operation, end, lab, workspace, anyio_backend)


async def cancel_everywhere(
    operation: Operation, end: Act, lab: Lab, workspace: Path, backend: str
) -> None:
    """Cancel an operation after its first step, its second, and so on to its last."""
    await operation.prepare(lab)
    await operation.act(lab)  # what is loaded or opened once and for all is so from here on
    await end(lab)
    before = open_files()
    record = Record(
        "cancelled after a step", operation.name, lab.driver.name, backend, every=stride(EVERY)
    )
    with recorded(record):
        for step in points(f"{operation} {end.__name__} {backend}", EVERY):
            with record.trial(f"step {step}"):
                await operation.prepare(lab)
                was_cancelled = await cancelled_at(step, lambda: operation.act(lab))
                await end(lab)
                assert_soon_none(lambda: files_below(workspace), "files")
                assert_soon_none(lambda: [it for it in open_files() if it not in before], "handles")
                assert not await lab.driver.list_hosts()
                assert not await lab.driver.list_networks()
            if not was_cancelled:
                break
