"""State files: JSON that is either the old or the new one, never half of each."""

from __future__ import annotations

import errno
import glob
import os
import secrets
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

import anyio.to_thread
import msgspec

from kutti_sdk.core.errors import CorruptStateError, StateError
from kutti_sdk.core.system_errors import advice

T = TypeVar("T")

_UNFINISHED = 3600.0  # seconds after which nobody is writing a file any more


async def load(path: Path, kind: type[T]) -> T | None:
    """Read a state file.

    Args:
        path: The file.
        kind: The dataclass to read it as; unknown keys are left out.

    Returns:
        The state, or None when there is no such file.

    Raises:
        CorruptStateError: When it does not parse; the file stays as it is.
        StateError: When it cannot be read.
    """
    return await anyio.to_thread.run_sync(load_now, path, kind, abandon_on_cancel=True)


async def save(path: Path, state: object) -> None:
    """Replace a state file as a whole, on the disk before this returns.

    Args:
        path: The file; its folder must exist.
        state: A dataclass.

    Raises:
        StateError: When it cannot be written; the old file stays as it is.
    """
    await anyio.to_thread.run_sync(save_now, path, state)


def save_now(path: Path, state: object) -> None:
    """Do what `save` does, for code that runs in a thread already.

    Args:
        path: The file; its folder must exist.
        state: A dataclass.

    Raises:
        StateError: When it cannot be written; the old file stays as it is.
    """
    text = msgspec.json.format(msgspec.json.encode(state), indent=2)
    write_bytes(path, text + b"\n")


def load_now(path: Path, kind: type[T]) -> T | None:
    """Do what `load` does, for code that runs in a thread already.

    Args:
        path: The file.
        kind: The dataclass to read it as.

    Returns:
        The state, or None when there is no such file.

    Raises:
        CorruptStateError: When it does not parse; the file stays as it is.
        StateError: When it cannot be read.
    """
    try:
        text = path.read_bytes()
    except (FileNotFoundError, NotADirectoryError) as error:
        if path.is_symlink():  # to a drive that is not there, perhaps: not for us to replace
            raise _refused("read", path, error) from error
        return None
    except OSError as error:
        raise _refused("read", path, error) from error
    try:
        return msgspec.json.decode(text, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise CorruptStateError(
            f"the state file {path} does not parse: {error}",
            hint="It was left as it is. Mend it, or move it away if you can do without it.",
        ) from error


def write_bytes(path: Path, content: bytes, *, mode: int = 0o600) -> None:
    """Write a file beside, bring it to the disk, and put it in place in one step.

    A symbolic link stays, and the file that it leads to is replaced.

    Args:
        path: The file; its folder must exist.
        content: All of its bytes.
        mode: Its permissions.

    Raises:
        StateError: When it cannot be written; the old file stays as it is.
    """
    try:
        _replace(Path(os.path.realpath(path)), content, mode)
    except OSError as error:
        raise _refused("written", path, error) from error


def remove(path: Path) -> None:
    """Remove a file that was written by `write_bytes`, whole or not.

    Nobody else may be writing it: the caller holds the lock that it is written under.

    Args:
        path: The file; nothing happens when there is none.
    """
    for left in _left_beside(path):
        left.unlink(missing_ok=True)
    path.unlink(missing_ok=True)


def sync_file(path: Path) -> None:
    """Bring the content of a file to the disk that other programs wrote.

    Args:
        path: The file.
    """
    with path.open("rb") as file:
        os.fsync(file.fileno())


def sync_folder(folder: Path) -> None:
    """Bring the names in a folder to the disk.

    Args:
        folder: The folder.
    """
    if os.name != "posix":  # Windows has no such call; renames are journaled by NTFS
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):  # some network file systems
            raise
    finally:
        os.close(descriptor)


def is_abandoned(path: Path) -> bool:
    """Tell whether nobody is writing a file any more.

    Args:
        path: The file.

    Returns:
        True when it was last written to long ago; or long from now, by a clock that was
        wrong then or is now.

    Raises:
        OSError: When it is not there.
    """
    return abs(time.time() - path.stat().st_mtime) > _UNFINISHED


def _replace(path: Path, content: bytes, mode: int) -> None:
    beside = path.with_name(f".{path.name}.{secrets.token_hex(4)}.new")
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    try:
        with open(descriptor, "wb") as file:  # noqa: PTH123 - of a descriptor
            file.write(content)
            file.flush()
            os.fsync(descriptor)
        beside.replace(path)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)
    _sweep(path)


def _sweep(path: Path) -> None:
    """Remove what writers left that were killed before they had put it in place."""
    for left in _left_beside(path):
        with suppress(OSError):  # another writer sweeps too
            if is_abandoned(left):
                left.unlink()


def _left_beside(path: Path) -> Iterator[Path]:
    return path.parent.glob(f".{glob.escape(path.name)}.????????.new")


def _refused(done: str, path: Path, error: OSError) -> StateError:
    return StateError(
        f"the file {path} cannot be {done}: {error.strerror}",
        hint=advice(error, "See who owns it, and what it is."),
    )
