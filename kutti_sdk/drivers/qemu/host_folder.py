"""The folder of a new host: there as a whole, or not at all."""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable

import anyio
import anyio.to_thread

from kutti_sdk.drivers.qemu import layout, records
from kutti_sdk.drivers.qemu.records import HostRecord
from kutti_sdk.images.store import LocalImage, pinned
from kutti_sdk.runtime import state
from kutti_sdk.runtime.directories import make_private


async def make_host_folder(
    record: HostRecord,
    image: LocalImage,
    own: dict[str, bytes],
    fill: Callable[[layout.HostFiles], Awaitable[None]],
) -> None:
    """Make a host's folder; the caller holds the network's lock.

    Args:
        record: The host.
        image: Its image, which it uses from then on.
        own: Files of its own, by their names.
        fill: Puts the disk and all else into the folder, which is not to be seen yet.

    Raises:
        ImageNotDownloadedError: When the image was removed meanwhile.
    """
    place = record.files.folder
    beside = layout.HostFiles(
        place.with_name(f"{layout.HALF_MADE}{place.name}.{secrets.token_hex(4)}")
    )
    try:
        await anyio.to_thread.run_sync(make_private, beside.folder)
        await fill(beside)
        for name, content in own.items():
            await anyio.to_thread.run_sync(state.write_bytes, beside.folder / name, content)
        await state.save(beside.record, record)
        # From the rename on the image has a user; whoever removes it looks for users
        # under the same lock, and may have done so while the folder was filled.
        async with pinned(image):
            await anyio.Path(beside.folder).rename(place)
        await anyio.to_thread.run_sync(state.sync_folder, place.parent)
    except BaseException:
        with anyio.CancelScope(shield=True):
            await anyio.to_thread.run_sync(records.sweep, record.networkname)
        raise
