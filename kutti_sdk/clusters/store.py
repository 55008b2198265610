"""Where the records of clusters are kept, and the lock of each.

```
data_dir()/clusters/
    NAME.json       the record: written before anything is created, removed last
    NAME.lock       held while the cluster is changed
    NAME.kubernetes.lock    held while Kubernetes is brought up on it
    NAME.kubeconfig         the administrator's, when it was asked for
```

Reading never waits for a lock: a record is always a whole one.
"""

from __future__ import annotations

import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio.to_thread

from kutti_sdk.clusters.record import ClusterRecord
from kutti_sdk.core.errors import ClusterNotFoundError
from kutti_sdk.runtime import state
from kutti_sdk.runtime.directories import data_dir
from kutti_sdk.runtime.locks import locked

_LOCK_TIMEOUT = 300.0
"""Seconds to wait for another who changes the cluster: a few hosts are created and
started in that time even by emulation on a busy machine."""


async def load_record(clustername: str) -> ClusterRecord | None:
    """Read a cluster's record.

    Args:
        clustername: Name of the cluster.

    Returns:
        The record, or None when there is no such cluster.

    Raises:
        CorruptStateError: When it does not parse; it stays as it is.
    """
    return await state.load(_record_path(clustername), ClusterRecord)


async def require_record(clustername: str) -> ClusterRecord:
    """Read the record of a cluster that must exist.

    Args:
        clustername: Name of the cluster.

    Returns:
        The record.

    Raises:
        ClusterNotFoundError: When there is no such cluster; names those there are.
        CorruptStateError: When it does not parse; it stays as it is.
    """
    record = await load_record(clustername)
    if record is None:
        raise no_such_cluster(clustername)
    return record


def no_such_cluster(clustername: str) -> ClusterNotFoundError:
    """Make the error for a cluster that does not exist.

    Args:
        clustername: Its name.

    Returns:
        The error; names the clusters there are.
    """
    return ClusterNotFoundError(
        f"there is no cluster {clustername!r}",
        hint=f"Clusters there are: {', '.join(known_names()) or 'none'}.",
        cluster=clustername,
    )


async def load_records() -> list[ClusterRecord]:
    """Read the records of all clusters.

    Returns:
        The records, ordered by name.

    Raises:
        CorruptStateError: When one does not parse; it stays as it is.
    """

    def load_all() -> list[ClusterRecord]:
        records = (state.load_now(_record_path(name), ClusterRecord) for name in known_names())
        return [record for record in records if record is not None]

    return await anyio.to_thread.run_sync(load_all)


async def save_record(record: ClusterRecord) -> None:
    """Write a cluster's record; the caller holds its lock.

    Args:
        record: The record.
    """
    await state.save(_record_path(record.name), record)


async def remove_record(clustername: str) -> None:
    """Forget a cluster; the caller holds its lock.

    Args:
        clustername: Name of the cluster.
    """
    path = _record_path(clustername)

    def remove_all() -> None:
        kubeconfig_path(clustername).unlink(missing_ok=True)
        _kubernetes_lock_path(clustername).unlink(missing_ok=True)
        state.remove(path)
        state.sync_folder(path.parent)

    await anyio.to_thread.run_sync(remove_all)


@asynccontextmanager
async def cluster_lock(clustername: str) -> AsyncIterator[None]:
    """Keep all others from changing a cluster for the length of a block.

    Of a cluster that was not begun, or is gone by then, no lock file stays.

    Args:
        clustername: Name of the cluster.

    Yields:
        Nothing.

    Raises:
        LockTimeoutError: When somebody else keeps it for too long; names the process.
    """
    async with _locked_while_it_exists(_lock_path(clustername), clustername, _LOCK_TIMEOUT):
        yield


@asynccontextmanager
async def kubernetes_lock(clustername: str) -> AsyncIterator[None]:
    """Keep others from bringing Kubernetes up on a cluster at the same time.

    It is held for minutes, in which the cluster may be changed and even deleted.

    Args:
        clustername: Name of the cluster.

    Yields:
        Nothing.
    """
    async with _locked_while_it_exists(_kubernetes_lock_path(clustername), clustername, math.inf):
        yield


def known_names() -> list[str]:
    """List the clusters that there are records of, readable or not. Reads a folder.

    Returns:
        Their names, sorted.
    """
    return sorted(path.stem for path in _folder().glob("*.json"))


def kubeconfig_path(clustername: str) -> Path:
    """Tell where the kubeconfig of a cluster is written.

    Args:
        clustername: Name of the cluster.

    Returns:
        The file; it goes with the cluster.
    """
    return _folder() / f"{clustername}.kubeconfig"


@asynccontextmanager
async def _locked_while_it_exists(
    path: Path, clustername: str, timeout: float
) -> AsyncIterator[None]:
    """Hold a lock; its file ends with the block when there is no such cluster (any more)."""
    async with locked(path, timeout=timeout):
        try:
            yield
        finally:
            _remove_unless_there_is(clustername, path)


def _remove_unless_there_is(clustername: str, path: Path) -> None:
    if not _record_path(clustername).exists():
        path.unlink(missing_ok=True)


def _folder() -> Path:
    folder = data_dir() / "clusters"
    folder.mkdir(mode=0o700, exist_ok=True)
    return folder


def _record_path(clustername: str) -> Path:
    return _folder() / f"{clustername}.json"


def _lock_path(clustername: str) -> Path:
    return _folder() / f"{clustername}.lock"


def _kubernetes_lock_path(clustername: str) -> Path:
    return _folder() / f"{clustername}.kubernetes.lock"
