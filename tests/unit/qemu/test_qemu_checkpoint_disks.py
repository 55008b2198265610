"""Disks in layers: complete in every folder that has links to them."""

from __future__ import annotations

import json
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from kutti_sdk.core.sizes import MiB
from kutti_sdk.drivers.qemu.binaries import find_qemu
from kutti_sdk.drivers.qemu.checkpoints import disks
from kutti_sdk.drivers.qemu.checkpoints.records import layers_of
from kutti_sdk.drivers.qemu.records import HostRecord

pytestmark = pytest.mark.anyio


class Monitor:
    """A QEMU that writes to a disk of its own choice."""

    def __init__(self, node: str) -> None:
        self._node = node

    async def execute(self, command: str, **_: object) -> Any:
        assert command == "query-block"
        return [{"inserted": {"node-name": self._node}}]


@pytest.fixture
def small(host: HostRecord, workspace: Path) -> HostRecord:
    folder = workspace / "host"
    folder.mkdir()
    subprocess.run(
        ["qemu-img", "create", "-q", "-f", "qcow2", folder / host.disk, "64M"], check=True
    )
    return replace(host, size=replace(host.size, disk=64 * MiB))


def _chain(disk: Path) -> list[Path]:
    command = ["qemu-img", "info", "--backing-chain", "--output=json", disk]
    told = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
    return [Path(layer["filename"]) for layer in told]


async def test_a_new_disk_stands_on_the_one_below(small: HostRecord, workspace: Path) -> None:
    folder = workspace / "host"
    once = await disks.put_on_top(await find_qemu(), small, folder)
    twice = await disks.put_on_top(await find_qemu(), once, folder)
    assert layers_of(twice) == ("disk.qcow2", once.disk, twice.disk)
    assert [path.name for path in _chain(folder / twice.disk)] == [*reversed(layers_of(twice))]


async def test_links_are_a_whole_disk_when_the_first_folder_is_gone(
    small: HostRecord, workspace: Path
) -> None:
    folder, other = workspace / "host", workspace / "other"
    above = await disks.put_on_top(await find_qemu(), small, folder)
    other.mkdir()
    disks.link_layers(layers_of(above), folder, other)
    disks.link_layers(layers_of(above), folder, other)  # those that are there stay
    for path in folder.iterdir():
        path.unlink()
    assert {path.parent for path in _chain(other / above.disk)} == {other}


async def test_only_disks_that_nobody_names_are_removed(small: HostRecord, workspace: Path) -> None:
    folder = workspace / "host"
    above = await disks.put_on_top(await find_qemu(), small, folder)
    unused = await disks.put_on_top(await find_qemu(), small, folder)
    (folder / "console.log").touch()
    disks.remove_other_disks(above, folder)
    left = {path.name for path in folder.iterdir()}
    assert left == {"disk.qcow2", above.disk, "console.log"}
    assert unused.disk not in left


@pytest.mark.parametrize(
    ("node", "disk", "layers"),
    [
        ("disk-2", "disk-2.qcow2", ("disk.qcow2", "disk-1.qcow2")),
        ("disk-1", "disk-1.qcow2", ("disk.qcow2",)),  # the record was faster than QEMU
        ("disk", "disk.qcow2", ()),
    ],
)
async def test_the_disk_is_the_one_that_qemu_writes_to(
    host: HostRecord, node: str, disk: str, layers: tuple[str, ...]
) -> None:
    recorded = replace(host, disk="disk-2.qcow2", layers=("disk.qcow2", "disk-1.qcow2"))
    found = await disks.written_to(Monitor(node), recorded)  # type: ignore[arg-type]
    assert (found.disk, found.layers) == (disk, layers)
