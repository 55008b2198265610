"""Networks are there as a whole, and nothing is left of those that are not."""

from __future__ import annotations

from pathlib import Path

import pytest

from kutti_sdk.core.errors import NetworkInUseError, NetworkNotFoundError
from kutti_sdk.drivers.qemu import layout
from kutti_sdk.drivers.qemu.network import create_network, delete_network
from kutti_sdk.drivers.qemu.records import HostRecord, NetworkRecord
from kutti_sdk.runtime import state

pytestmark = pytest.mark.anyio


async def test_a_deleted_network_leaves_nothing(workspace: Path) -> None:
    await create_network("lab", "10.20.30.0/24")
    await delete_network("lab")
    assert not list(layout.networks_folder().iterdir())


async def test_what_a_killed_create_or_delete_left_can_be_deleted(workspace: Path) -> None:
    files = layout.network_files("lab")
    files.folder.mkdir(parents=True)
    (files.folder / ".network.json.1234abcd.new").touch()
    files.lock.touch()
    with pytest.raises(NetworkNotFoundError):
        await delete_network("lab")
    assert not list(layout.networks_folder().iterdir())


async def test_a_network_that_never_was_leaves_no_lock(workspace: Path) -> None:
    with pytest.raises(NetworkNotFoundError):
        await delete_network("lab")
    assert not list(layout.networks_folder().iterdir())


async def test_a_host_without_its_networks_record_is_not_swept_away(
    network: NetworkRecord, host: HostRecord
) -> None:
    host.files.folder.mkdir(parents=True)
    await state.save(host.files.record, host)
    with pytest.raises(NetworkInUseError, match="node1"):
        await delete_network("lab")
    assert host.files.record.exists()
