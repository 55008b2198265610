"""What a host deletes does not stay on the disk of this machine."""

from __future__ import annotations

from pathlib import Path

import anyio
import pytest

import kutti_sdk as kutti
from kutti_sdk.drivers.qemu import layout

pytestmark = [
    pytest.mark.anyio,
    # What is tested is inside the host and its disk: the same under asyncio and trio.
    pytest.mark.parametrize("anyio_backend", ["asyncio"]),
]

MIB = 2**20


async def test_a_deleted_file_gives_its_space_back(scratch: str) -> None:
    node = (await kutti.cluster(scratch).nodes(1, cpus=1, memory="512MiB").ensure())["node1"]
    disk = layout.network_files(scratch).host(scratch, "node1").disk
    before = space_of(disk)
    write = "dd if=/dev/urandom of=/large bs=1M count=300 && sync"
    await node.run(write, check=True, timeout=120)
    assert space_of(disk) > before + 300 * MIB

    await node.run("rm /large && sync", check=True)
    with anyio.fail_after(60):
        # The file system discards after the sync, without telling anybody.
        while space_of(disk) > before + 50 * MIB:
            await anyio.sleep(0.1)


def space_of(path: Path) -> int:
    """The bytes that a file takes on this machine, however large it says it is."""
    return path.stat().st_blocks * 512
