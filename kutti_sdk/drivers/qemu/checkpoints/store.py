"""Checkpoints changed by one at a time, deleted; and what interrupted work left, removed."""

from __future__ import annotations

import logging
import secrets
import shutil
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import anyio
import anyio.to_thread

from kutti_sdk.core.errors import (
    CheckpointExistsError,
    HostNotFoundError,
    HypervisorError,
)
from kutti_sdk.core.names import validate_name
from kutti_sdk.drivers.qemu import layout, records
from kutti_sdk.drivers.qemu.checkpoints.files import (
    CheckpointFiles,
    checkpoint_files,
    half_made,
    lock_of,
)
from kutti_sdk.drivers.qemu.checkpoints.receiver import end_left_receivers, end_receiver
from kutti_sdk.drivers.qemu.checkpoints.records import load_checkpoint
from kutti_sdk.drivers.qemu.checkpoints.standstill import settle
from kutti_sdk.drivers.qemu.records import HostRecord, NetworkRecord
from kutti_sdk.runtime import state
from kutti_sdk.runtime.directories import make_private
from kutti_sdk.runtime.locks import locked

_LOCK_TIMEOUT = 600.0  # seconds; another cluster operation may be at it, on a slow machine

_log = logging.getLogger(__name__)


@asynccontextmanager
async def changing(network: NetworkRecord, clustername: str) -> AsyncIterator[None]:
    """Keep all others from the checkpoints of a cluster for the length of a block.

    What interrupted work left is removed first: hosts that were left standing still
    run on.

    Args:
        network: The network.
        clustername: Name of the cluster.

    Yields:
        Nothing.
    """
    await anyio.to_thread.run_sync(make_private, network.files.checkpoints(clustername))
    async with locked(lock_of(network.files, clustername), timeout=_LOCK_TIMEOUT):
        await _sweep(network, clustername)
        yield


@asynccontextmanager
async def held_hosts(network: NetworkRecord, clustername: str) -> AsyncIterator[list[HostRecord]]:
    """Keep all hosts of a cluster from being started and deleted for the length of a block.

    Those that an interrupted suspend left standing still run on, or are suspended.

    Args:
        network: The network.
        clustername: Name of the cluster.

    Yields:
        The hosts, ordered by name.

    Raises:
        HostNotFoundError: When there is none.
    """
    layout.make_socket_folders(network.sockets)
    await records.refuse_unreadable_hosts(network.name)
    async with AsyncExitStack() as locks:
        for host in await _hosts(network, clustername):
            await locks.enter_async_context(
                locked(network.sockets.lock(host.id), timeout=_LOCK_TIMEOUT)
            )
        hosts = await _hosts(network, clustername)
        for host in hosts:
            await settle(network, host)
        if not hosts:
            raise HostNotFoundError(
                f"cluster {clustername!r} has no host in network {network.name!r}",
                driver="qemu",
                network=network.name,
                cluster=clustername,
            )
        yield hosts


async def refuse_taken_name(files: CheckpointFiles) -> None:
    """Make sure that there is no checkpoint of a name yet.

    Args:
        files: Where it would be.

    Raises:
        CheckpointExistsError: When there is one.
    """
    if await anyio.Path(files.folder).exists():
        clustername = files.folder.parent.name
        raise CheckpointExistsError(
            f"cluster {clustername!r} has a checkpoint {files.folder.name!r} already",
            hint="Choose another name, or delete that one.",
            driver="qemu",
            cluster=clustername,
        )


async def delete_checkpoint(name: str, networkname: str, clustername: str) -> None:
    """Remove a checkpoint.

    Args:
        name: Its name.
        networkname: Name of its network.
        clustername: Name of its cluster.

    Raises:
        CheckpointNotFoundError: When there is none.
    """
    validate_name(name, "checkpoint name")
    network = await records.load_network(networkname)
    validate_name(clustername, "cluster name")
    async with changing(network, clustername):
        await load_checkpoint(network, clustername, name)
        files = checkpoint_files(network.files, clustername, name)
        await anyio.to_thread.run_sync(_discard, files.folder)


def beside(files: CheckpointFiles) -> CheckpointFiles:
    """Name a place where a checkpoint can be made that is not to be seen yet.

    Args:
        files: Where it shall be.

    Returns:
        The place.
    """
    name = f"{layout.HALF_MADE}{files.folder.name}.{secrets.token_hex(4)}"
    return CheckpointFiles(files.folder.with_name(name))


async def _hosts(network: NetworkRecord, clustername: str) -> list[HostRecord]:
    hosts = await records.load_hosts(network.name)
    return [host for host in hosts if host.clustername == clustername]


async def _sweep(network: NetworkRecord, clustername: str) -> None:
    """Remove checkpoints that are not complete; the caller holds the lock."""
    folder = network.files.checkpoints(clustername)
    await end_left_receivers(folder)
    for path in await anyio.to_thread.run_sync(half_made, folder):
        for host in await _hosts(network, clustername):
            await end_receiver(host, network, CheckpointFiles(path).receiver_pid(host.name))
            try:
                async with locked(network.sockets.lock(host.id), timeout=_LOCK_TIMEOUT):
                    await settle(network, host)
            except HypervisorError as error:
                _log.warning("host %s was left standing still: %s", host.name, error)
        await anyio.to_thread.run_sync(_remove, path)


def _discard(folder: Path) -> None:
    gone = beside(CheckpointFiles(folder)).folder
    folder.rename(gone)
    state.sync_folder(gone.parent)
    _remove(gone)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)  # what is left, if anything, is swept
    else:  # a mark that was being written
        path.unlink(missing_ok=True)
