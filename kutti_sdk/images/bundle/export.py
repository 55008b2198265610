"""Writing the bundle of an image to a file."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import IO

import anyio
import anyio.to_thread

from kutti_sdk.core.errors import (
    ConflictError,
    InvalidInputError,
    NotEnoughDiskError,
    StateError,
)
from kutti_sdk.core.events import report
from kutti_sdk.core.sizes import MiB, format_size
from kutti_sdk.images.bundle.layout import Bundle, lay_out
from kutti_sdk.images.bundle.reading import read_through
from kutti_sdk.images.catalogue import CatalogueEntry
from kutti_sdk.images.store import LocalImage
from kutti_sdk.runtime.locks import locked
from kutti_sdk.runtime.state import sync_folder

_SYNC_EVERY = 64 * MiB  # so that progress tells of the stick and not of this machine's memory


async def export_bundle(
    image: LocalImage, entry: CatalogueEntry | None, target: Path, *, replace: bool = False
) -> None:
    """Write the bundle of an image; the file is there as a whole or not at all.

    It is written beside, as `.NAME.new`, under the lock `.NAME.lock`. What a killed
    export left there is removed by the next one to the same file.

    Args:
        image: The image.
        entry: What an image list says of it; None when none does.
        target: The file to write.
        replace: Whether a file that is there may be replaced.

    Raises:
        ConflictError: When there is a file, and it may not be replaced.
        InvalidInputError: When no file can be at that path.
        NotEnoughDiskError: When it does not fit.
        ChecksumMismatchError: When the image in the store is damaged.
        ImageNotDownloadedError: When the image was removed meanwhile.
        LockTimeoutError: When another export writes the same file.
        StateError: When the file cannot be written.
    """
    target = await anyio.to_thread.run_sync(checked_target, target, replace)
    await write_bundle(await lay_out(image, entry), target, replace=replace)


async def write_bundle(
    bundle: Bundle, target: Path, *, replace: bool = False, mode: int = 0o644
) -> None:
    """Write what was laid out; the file is there as a whole or not at all.

    Args:
        bundle: What to write.
        target: The file to write, from `checked_target`.
        replace: Whether a file that is there may be replaced.
        mode: Permissions of the file, of which the umask may take some.

    Raises:
        KuttiError: As `export_bundle` does.
    """
    async with _beside(target) as beside:
        await anyio.to_thread.run_sync(_check_space, target, bundle)
        with _explained(target, bundle):
            await _write(bundle, beside, target.name, mode)
            # Another export may have made it between the first look and the lock.
            await anyio.to_thread.run_sync(checked_target, target, replace)
            await anyio.Path(beside).replace(target)
            await anyio.to_thread.run_sync(sync_folder, target.parent)


def checked_target(target: Path, replace: bool) -> Path:
    """Make sure that a file can be written. Call it in a thread.

    Args:
        target: The file.
        replace: Whether a file that is there may be replaced.

    Returns:
        The same, with links followed.

    Raises:
        ConflictError: When there is a file, and it may not be replaced.
        InvalidInputError: When no file can be at that path.
    """
    target = Path(os.path.realpath(target))
    if not target.parent.is_dir():
        raise InvalidInputError(
            f"there is no folder {target.parent}", hint="Make it, or name another one."
        )
    if target.exists() and not target.is_file():
        raise InvalidInputError(f"{target} is not a file", hint="Name the file to write.")
    if target.exists() and not replace:
        raise ConflictError(
            f"{target} is there already",
            hint="Name another file; `--force`, or replace=True, replaces it.",
        )
    return target


@asynccontextmanager
async def _beside(target: Path) -> AsyncIterator[Path]:
    """Have a new file beside the target to oneself; what becomes of it or not, nothing is left."""
    beside = target.with_name(f".{target.name}.new")
    lock = target.with_name(f".{target.name}.lock")
    async with locked(lock, timeout=0):
        try:
            await anyio.Path(beside).unlink(missing_ok=True)
            yield beside
        finally:
            with anyio.CancelScope(shield=True):
                await anyio.Path(beside).unlink(missing_ok=True)
                await anyio.Path(lock).unlink(missing_ok=True)


async def _write(bundle: Bundle, beside: Path, name: str, mode: int) -> None:
    total = bundle.size

    def advance(done: int) -> None:
        report(
            "export",
            f"writing {name}",
            image=bundle.image.manifest.k8s_version,
            fraction=done / total,
            bytes_done=done,
            bytes_total=total,
        )

    writer = await anyio.to_thread.run_sync(_Writer, beside, mode)
    try:
        await read_through(bundle, writer.write, advance)
        await anyio.to_thread.run_sync(writer.sync)
    finally:
        writer.file.close()


class _Writer:
    def __init__(self, path: Path, mode: int) -> None:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
        self.file: IO[bytes] = open(descriptor, "wb", buffering=0)  # noqa: PTH123, SIM115 - of a descriptor
        self._unsynced = 0

    def write(self, block: bytes) -> None:
        rest = memoryview(block)
        while rest:
            rest = rest[self.file.write(rest) :]
        self._unsynced += len(block)
        if self._unsynced >= _SYNC_EVERY:
            self.sync()

    def sync(self) -> None:
        os.fsync(self.file.fileno())
        self._unsynced = 0


def _check_space(target: Path, bundle: Bundle) -> None:
    free = shutil.disk_usage(target.parent).free
    if bundle.size > free:
        raise _no_space(target, bundle, f"{format_size(free)} are free")


@contextmanager
def _explained(target: Path, bundle: Bundle) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise _no_space(target, bundle, "the disk is full") from error
        if error.errno == errno.EFBIG:
            raise StateError(
                f"{target} cannot have {format_size(bundle.size)}: its file system has a limit",
                hint="FAT32 takes files up to 4 GiB; format the stick with exFAT.",
            ) from error
        raise StateError(
            f"{target} cannot be written: {error.strerror}",
            hint="See whether the folder is writable and the disk sound.",
        ) from error


def _no_space(target: Path, bundle: Bundle, found: str) -> NotEnoughDiskError:
    return NotEnoughDiskError(
        f"the bundle has {format_size(bundle.size)}, and in {target.parent} {found}",
        hint="Make room, or name a file on another disk.",
        image=bundle.image.manifest.k8s_version,
    )
