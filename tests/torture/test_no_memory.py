"""Memory is used up, for the process itself or for QEMU: told, and nothing is left half made."""

from __future__ import annotations

import shutil
from itertools import product
from pathlib import Path

import anyio
import pytest
from leftovers import assert_clean, files_below
from performing import performing
from share import a_share_of, all_is_tried, stride
from torture_records import Record, recorded
from tortured_operations import (
    CLUSTER_ENDS,
    HOST_OPERATIONS,
    IMAGE_ENDS,
    IMAGE_OPERATIONS,
    Act,
    Lab,
    Operation,
    delete,
    name_of,
)

import kutti_sdk as kutti

pytestmark = [pytest.mark.anyio, pytest.mark.vm]

ENOUGH = 96  # MiB; with that every operation ends well
STEP = 2

LIMITED_QEMU = """#!/bin/sh
ulimit -v 1800000  # KiB; the gateway wants 1.3 million
exec {} "$@"
"""


@pytest.fixture(params=["asyncio", "trio"] if all_is_tried() else ["asyncio"])
def anyio_backend(request: pytest.FixtureRequest) -> str:
    """Under one backend where time counts."""
    return str(request.param)


@pytest.mark.parametrize(
    ("operation", "end"),
    a_share_of(
        [*product(HOST_OPERATIONS, CLUSTER_ENDS), *product(IMAGE_OPERATIONS, IMAGE_ENDS)], every=26
    ),
    ids=name_of,
)
async def test_a_process_without_memory_leaves_nothing_half_made(
    operation: Operation, end: Act, qemu_lab: Lab, workspace: Path, anyio_backend: str
) -> None:
    await operation.prepare(qemu_lab)
    await operation.act(qemu_lab)
    await end(qemu_lab)
    before = files_below(workspace)
    every = stride(24)
    record = Record("no memory left", operation.name, "qemu", anyio_backend, every=every)
    with recorded(record):
        for memory in range(0, ENOUGH, STEP * every):
            with record.trial(f"{memory} MiB"):
                await operation.prepare(qemu_lab)
                with performing(
                    operation, qemu_lab, workspace, anyio_backend, memory=memory
                ) as process:
                    await anyio.to_thread.run_sync(process.wait)
                assert process.returncode in (0, 1), "an error, and no crash"
                await end(qemu_lab)
                assert_clean(workspace, before)


async def test_a_host_whose_memory_cannot_be_had_is_told(
    qemu_lab: Lab, workspace: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = shutil.which("qemu-system-x86_64")
    limited = tmp_path / "qemu-system-x86_64"
    limited.write_text(LIMITED_QEMU.format(real))
    limited.chmod(0o755)
    (tmp_path / "qemu-img").symlink_to(shutil.which("qemu-img") or "")
    spec = qemu_lab.spec.nodes(1, cpus=1, memory="2GiB", disk="1GiB")
    await spec.ensure()
    await delete(qemu_lab)
    before = files_below(workspace)
    with monkeypatch.context() as patch:
        patch.setenv("KUTTI_QEMU_DIR", str(tmp_path))
        with pytest.raises(
            kutti.HypervisorError, match=r"guest memory.*Cannot allocate"
        ) as refused:
            await spec.ensure()
    assert "Memory is used up" in (refused.value.hint or "")
    assert refused.value.host == "node1"
    assert (await spec.ensure()).name == "lab"
    await delete(qemu_lab)
    assert_clean(workspace, before)
