"""Files copied between this machine's disk and a simulated host's."""

from __future__ import annotations

from os import PathLike, fspath
from pathlib import Path, PurePosixPath

import anyio.to_thread

from kutti_sdk.core.errors import FileTransferError
from kutti_sdk.drivers.simulated.machine import Machine


async def copy_to_host(
    machine: Machine, local: str | PathLike[str], remote: str, *, recurse: bool
) -> None:
    """Copy a file or folder to a host.

    Args:
        machine: The host.
        local: File or folder here.
        remote: Path there; a folder that exists is copied into.
        recurse: Whether a folder may be copied.

    Raises:
        FileTransferError: When it could not be copied.
    """
    source = Path(local)
    target = PurePosixPath(remote)
    if machine.files.is_folder(target):
        target /= source.name
    try:
        contents = await anyio.to_thread.run_sync(_read_tree, source, recurse)
        for path, content in contents.items():
            if content is None:
                machine.files.make_folder(target / path)
            else:
                machine.files.write(target / path, content)
    except OSError as error:
        raise _failed(f"{fspath(local)} could not be copied to {remote}", machine, error) from error


async def copy_from_host(
    machine: Machine, remote: str, local: str | PathLike[str], *, recurse: bool
) -> None:
    """Copy a file or folder from a host.

    Args:
        machine: The host.
        remote: File or folder there.
        local: Path here; a folder that exists is copied into.
        recurse: Whether a folder may be copied.

    Raises:
        FileTransferError: When it could not be copied.
    """
    try:
        contents = _remote_tree(machine, PurePosixPath(remote), recurse)
        await anyio.to_thread.run_sync(
            _write_tree, Path(local), PurePosixPath(remote).name, contents
        )
    except OSError as error:
        raise _failed(f"{remote} could not be copied to {fspath(local)}", machine, error) from error


def _read_tree(source: Path, recurse: bool) -> dict[PurePosixPath, bytes | None]:
    if not source.is_dir():
        return {PurePosixPath(): source.read_bytes()}
    if not recurse:
        raise IsADirectoryError(f"{source} is a folder; copy it with recurse=True")
    tree: dict[PurePosixPath, bytes | None] = {PurePosixPath(): None}
    for path in sorted(source.rglob("*")):
        tree[PurePosixPath(path.relative_to(source).as_posix())] = (
            None if path.is_dir() else path.read_bytes()
        )
    return tree


def _remote_tree(
    machine: Machine, source: PurePosixPath, recurse: bool
) -> dict[PurePosixPath, bytes | None]:
    if not machine.files.is_folder(source):
        return {PurePosixPath(): machine.files.read(source)}
    if not recurse:
        raise IsADirectoryError(f"{source} is a folder; copy it with recurse=True")
    tree: dict[PurePosixPath, bytes | None] = {PurePosixPath(): None}
    for entry in machine.files.entries(source):
        below = _remote_tree(machine, entry, recurse)
        tree.update({PurePosixPath(entry.name) / path: content for path, content in below.items()})
    return tree


def _write_tree(target: Path, name: str, contents: dict[PurePosixPath, bytes | None]) -> None:
    if target.is_dir():
        target = target / name
    for path, content in contents.items():
        if content is None:
            (target / path).mkdir(exist_ok=True)
        else:
            (target / path).write_bytes(content)


def _failed(message: str, machine: Machine, error: OSError) -> FileTransferError:
    return FileTransferError(
        f"{message}: {error.strerror or f'{type(error).__name__}: {error}'}",
        cluster=machine.key.clustername,
        host=machine.key.hostname,
    )
