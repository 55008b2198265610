"""Folders beside the images in which new ones are made, and old ones end.

An incoming folder whose lock nobody holds was left by somebody who died; the
next one who needs such a folder removes it.
"""

from __future__ import annotations

import secrets
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import anyio.to_thread

from kutti_sdk.core.errors import LockTimeoutError
from kutti_sdk.runtime.directories import cache_dir
from kutti_sdk.runtime.locks import locked

_INCOMING = ".incoming-"
_LOCK = ".lock"


def images_folder() -> Path:
    """Give the folder of the store, made if it is missing.

    Returns:
        The folder.
    """
    folder = cache_dir() / "images"
    folder.mkdir(mode=0o755, exist_ok=True)
    return folder


@asynccontextmanager
async def incoming() -> AsyncIterator[Path]:
    """Have a folder in which an image is made; what is left in it is removed.

    Yields:
        The folder, on the same disk as the store.
    """
    root = images_folder()
    place = root / f"{_INCOMING}{secrets.token_hex(4)}"
    lock = place.with_name(place.name + _LOCK)
    async with locked(lock):
        await _sweep(root, except_for=lock)
        try:
            await anyio.Path(place).mkdir(mode=0o700)
            yield place
        finally:
            with anyio.CancelScope(shield=True):
                await anyio.to_thread.run_sync(_remove_incoming, place, lock)


async def _in_use(lock: Path) -> bool:
    if not await anyio.Path(lock).exists():
        return False
    try:
        async with locked(lock, timeout=0):
            return False
    except LockTimeoutError:
        return True


async def _sweep(root: Path, *, except_for: Path | None) -> None:
    for place in await anyio.to_thread.run_sync(_incoming_places, root):
        lock = place.with_name(place.name + _LOCK)
        if lock == except_for:
            continue
        try:
            async with locked(lock, timeout=0):
                await anyio.to_thread.run_sync(_remove_incoming, place, lock)
        except LockTimeoutError:
            pass  # somebody is at work there


def _incoming_places(root: Path) -> set[Path]:
    # Of some there is the folder alone, of others only the lock.
    return {root / f".{path.name.split('.')[1]}" for path in root.glob(f"{_INCOMING}*")}


async def left_over() -> list[Path]:
    """List what interrupted work left, and nobody works on any more.

    Returns:
        The folders.
    """
    root = images_folder()
    return [
        place
        for place in sorted(await anyio.to_thread.run_sync(_incoming_places, root))
        if not await _in_use(place.with_name(place.name + _LOCK))
    ]


async def sweep() -> None:
    """Remove what interrupted work left; `incoming` does it as well."""
    await _sweep(images_folder(), except_for=None)


def discard(folder: Path) -> None:
    """Remove an image folder in such a way that it is never seen half removed.

    Args:
        folder: The folder, in the store.
    """
    gone = folder.with_name(f"{_INCOMING}{secrets.token_hex(4)}")
    folder.rename(gone)
    shutil.rmtree(gone, ignore_errors=True)  # what is left, if anything, is swept


def _remove_incoming(place: Path, lock: Path) -> None:
    shutil.rmtree(place, ignore_errors=True)
    for path in lock.parent.glob(f"{lock.name}*"):
        path.unlink(missing_ok=True)
