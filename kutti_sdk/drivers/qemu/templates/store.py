"""Templates found, kept and removed; and what interrupted work left, removed."""

from __future__ import annotations

import logging
import secrets
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import anyio
import anyio.to_thread

from kutti_sdk.core.errors import CorruptStateError, LockTimeoutError
from kutti_sdk.core.host import HostSize
from kutti_sdk.drivers.qemu import layout
from kutti_sdk.drivers.qemu.resume import Conditions
from kutti_sdk.drivers.qemu.templates.files import (
    TemplateFiles,
    maker_sockets,
    making_lock,
    store_lock,
    template_files,
)
from kutti_sdk.images.store import LocalImage, find_local, pinned
from kutti_sdk.runtime import processes, state
from kutti_sdk.runtime.locks import locked

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class TemplateRecord:
    """What is stored about a template.

    Attributes:
        name: Its name, which tells all that it was made of; see `fit`.
        image: Checksum of its image.
        k8s_version: Kubernetes version of its image.
        size: CPUs, memory and disk.
        disk: File name of its disk.
        devices: Bytes of its devices.
        conditions: Under what it was saved.
        created: Seconds since the epoch.
        format: Version of this record.
    """

    name: str
    image: str
    k8s_version: str
    size: HostSize
    disk: str
    devices: int
    conditions: Conditions
    created: float
    format: int = 1

    @property
    def files(self) -> TemplateFiles:
        """Its files."""
        return template_files(self.name)


async def load_templates() -> list[TemplateRecord]:
    """Read the records of all templates.

    Returns:
        The records; what cannot be used is left out.
    """
    return await anyio.to_thread.run_sync(_load_templates)


@asynccontextmanager
async def held(name: str | None) -> AsyncIterator[TemplateRecord | None]:
    """Keep a template from being removed for the length of a block.

    Args:
        name: Its name; None for no template.

    Yields:
        The template; None when there is none of that name.
    """
    if name is None:
        yield None
        return
    await sweep_half_made()
    async with locked(store_lock()):
        yield await anyio.to_thread.run_sync(_load, template_files(name).folder)


async def keep(place: TemplateFiles, record: TemplateRecord, image: LocalImage) -> None:
    """Put a complete template in place; those that it is in place of go.

    Args:
        place: Where it was made.
        record: Its record.
        image: Its image.

    Raises:
        ImageNotDownloadedError: When its image was removed meanwhile.
    """
    await state.save(place.record, record)
    async with locked(store_lock()), pinned(image):
        await anyio.to_thread.run_sync(_put_in_place, place.folder, record)


async def distrust(name: str) -> None:
    """Remove a template that could not be used.

    Args:
        name: Its name.
    """
    async with locked(store_lock()):
        await anyio.to_thread.run_sync(_discard, template_files(name).folder)


async def remove_templates(image: str) -> list[TemplateRecord]:
    """Remove all templates of an image.

    Args:
        image: Checksum of the image.

    Returns:
        What was removed.
    """
    async with locked(store_lock()):
        removed = [it for it in await load_templates() if it.image == image]
        for template in removed:
            await anyio.to_thread.run_sync(_discard, template.files.folder)
    return removed


async def sweep() -> None:
    """Remove what cannot be used: damaged templates, and those whose image is gone."""
    await sweep_half_made()
    async with locked(store_lock()):
        usable = {
            template.name
            for template in await load_templates()
            if await find_local(template.image) is not None
        }
        for folder in await anyio.to_thread.run_sync(_folders):
            if folder.name not in usable:
                await anyio.to_thread.run_sync(_discard, folder)


async def sweep_half_made() -> None:
    """Remove what an interrupted making or removal left, unless somebody works on it."""
    if not await anyio.to_thread.run_sync(_half_made):
        return
    try:
        async with locked(making_lock(), timeout=0):
            await clear_away()
    except LockTimeoutError:
        pass  # somebody is making one


async def clear_away() -> None:
    """Remove all that is half made; the caller holds the lock of who makes templates."""
    for folder in await anyio.to_thread.run_sync(_half_made):
        pidfile = TemplateFiles(folder).pid
        identity = processes.identity_from_pidfile(pidfile, mark=str(pidfile))
        if identity is not None:
            await processes.terminate(identity)
        await anyio.to_thread.run_sync(_remove, folder)
    await anyio.to_thread.run_sync(_remove, maker_sockets().folder)


def beside(name: str) -> TemplateFiles:
    """Name a place where a template can be made that is not to be seen yet.

    Args:
        name: Name of the template.

    Returns:
        The place.
    """
    folder = template_files(name).folder
    return TemplateFiles(folder.with_name(f"{layout.HALF_MADE}{name}.{secrets.token_hex(4)}"))


def _load_templates() -> list[TemplateRecord]:
    return [record for record in map(_load, _folders()) if record is not None]


def _load(folder: Path) -> TemplateRecord | None:
    files = TemplateFiles(folder)
    try:
        record = state.load_now(files.record, TemplateRecord)
    except CorruptStateError as error:
        _log.warning("%s", error)
        return None
    if record is None or record.name != folder.name:
        return None
    try:
        whole = (
            files.state.memory.stat().st_size == record.size.memory
            and files.state.devices.stat().st_size == record.devices
            and (folder / record.disk).exists()
        )
    except OSError:
        return None
    return record if whole else None


def _put_in_place(place: Path, record: TemplateRecord) -> None:
    state.sync_folder(place)
    for other in _load_templates():
        if (other.image, other.size) == (record.image, record.size):
            _discard(other.files.folder)
    _discard(record.files.folder)  # what was there, and could not be used
    place.rename(record.files.folder)
    state.sync_folder(place.parent)


def _folders() -> list[Path]:
    entries = layout.templates_folder().iterdir()
    return [path for path in entries if not path.name.startswith(layout.HALF_MADE)]


def _half_made() -> list[Path]:
    entries = layout.templates_folder().glob(f"{layout.HALF_MADE}*")
    return [path for path in entries if path.is_dir()]


def _discard(folder: Path) -> None:
    if folder.exists():
        gone = beside(folder.name).folder
        folder.rename(gone)
        state.sync_folder(gone.parent)
        _remove(gone)


def _remove(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)  # what is left, if anything, is swept
