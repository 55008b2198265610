"""What a checkpoint takes, and what of it would stay if it were deleted."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from kutti_sdk.drivers.qemu.checkpoints.accounting import measured
from kutti_sdk.drivers.qemu.checkpoints.files import checkpoint_files
from kutti_sdk.drivers.qemu.checkpoints.records import CheckpointRecord
from kutti_sdk.drivers.qemu.machine import CPU_MODELS
from kutti_sdk.drivers.qemu.records import HostRecord, NetworkRecord
from kutti_sdk.drivers.qemu.resume import Conditions

pytestmark = pytest.mark.anyio


async def test_shared_is_what_somebody_else_has_a_link_to(
    host: HostRecord, network: NetworkRecord, workspace: Path
) -> None:
    record = CheckpointRecord(
        name="one",
        networkname="lab",
        clustername="lab",
        cidr=network.cidr,
        note="",
        created=1.0,
        pause=0.1,
        conditions=Conditions(
            qemu=(7, 2, 22),
            machine="pc-i440fx-7.2",
            accelerator="tcg",
            cpu=CPU_MODELS["tcg"],
            processor="",
        ),
        hosts=(host,),
        memory=10,
        disk=10,
    )
    assert (await measured(record)).shared == 0, "it is being deleted"
    folder = checkpoint_files(network.files, "lab", "one").folder / host.name
    folder.mkdir(parents=True)
    for name, size in (("memory", 4096), ("disk.qcow2", 8192), ("devices", 100)):
        (folder / name).write_bytes(os.urandom(size))
    assert (await measured(record)).shared == 0
    other = workspace / "another"
    other.hardlink_to(folder / "disk.qcow2")
    assert (await measured(record)).shared == 8192
    other.unlink()
    assert (await measured(record)).shared == 0
