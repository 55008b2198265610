"""Copying files to and from a host by SFTP; on the island.

Permissions and times are kept. What is fetched becomes visible under its final
name only when it is complete.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path, PurePosixPath

import asyncssh
from asyncssh.sftp import SFTPProgressHandler

from kutti_sdk.core.errors import FileTransferError
from kutti_sdk.ssh.connections import BRIEFLY, PATIENCE, Channel, open_channel
from kutti_sdk.ssh.endpoint import Endpoint
from kutti_sdk.ssh.failures import lost_connection
from kutti_sdk.ssh.fetching import fetch_tree
from kutti_sdk.ssh.progress import Progress


async def put(
    endpoint: Endpoint, local: Path, remote: str, *, recurse: bool, progress: Progress
) -> None:
    """Copy a file or folder to a host.

    Args:
        endpoint: Which host.
        local: File or folder here.
        remote: Path there; inside of it when it is a folder that exists.
        recurse: Copy folders with all that is in them.
        progress: Where to note how far it is.

    Raises:
        SSHConnectionError: When the host could not be reached or the line was lost.
        FileTransferError: When it could not be copied.
    """
    async with _sftp(endpoint, f"{local} to {endpoint.name}:{remote}") as client:
        await client.put(
            local,
            remote,
            preserve=True,
            recurse=recurse,
            sparse=False,
            progress_handler=_counter(progress, recurse=recurse),
        )


async def get(
    endpoint: Endpoint, remote: str, local: Path, *, recurse: bool, progress: Progress
) -> None:
    """Copy a file or folder from a host.

    Args:
        endpoint: Which host.
        remote: File or folder there.
        local: Path here; inside of it when it is a folder that exists.
        recurse: Copy folders with all that is in them.
        progress: Where to note how far it is.

    Raises:
        SSHConnectionError: When the host could not be reached or the line was lost.
        FileTransferError: When it could not be copied.
    """
    async with _sftp(endpoint, f"{endpoint.name}:{remote} to {local}") as client:
        target = _target(remote, local)
        beside = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
        try:
            await fetch_tree(
                client,
                remote,
                beside / target.name,
                recurse=recurse,
                progress=_counter(progress, recurse=recurse),
            )
            os.replace(beside / target.name, target)  # noqa: PTH105 - beside is a Path
        finally:
            await asyncio.to_thread(shutil.rmtree, beside, ignore_errors=True)


class _SFTPChannel(Channel):
    def __init__(self) -> None:
        self.client: asyncssh.SFTPClient | None = None

    async def open(self, connection: asyncssh.SSHClientConnection) -> None:
        self.client = await connection.start_sftp_client()

    async def close(self) -> None:
        if self.client is not None:
            self.client.exit()
            await self.client.wait_closed()


@asynccontextmanager
async def _sftp(endpoint: Endpoint, what: str) -> AsyncIterator[asyncssh.SFTPClient]:
    channel = _SFTPChannel()
    lease = await open_channel(endpoint, channel)
    assert channel.client is not None
    patience = PATIENCE
    try:
        yield channel.client
    except (
        asyncssh.ConnectionLost,
        asyncssh.SFTPConnectionLost,
        asyncssh.SFTPNoConnection,
        ConnectionError,  # a broken pipe or a reset, where the socket noticed first
        TimeoutError,
    ) as error:
        raise lost_connection(endpoint, f"while {what} was copied") from error
    except (OSError, asyncssh.Error) as error:
        raise FileTransferError(
            f"{what} could not be copied: {_reason(error)}",
            hint="Give recurse=True to copy a folder."
            if "is a directory" in str(error)
            else "Look at the paths, the permissions and the free space at both ends.",
            host=endpoint.name,
        ) from error
    except asyncio.CancelledError:
        patience = BRIEFLY
        raise
    finally:
        await lease.end(patience)


def _target(remote: str, local: Path) -> Path:
    return local / PurePosixPath(remote).name if local.is_dir() else local


def _reason(error: Exception) -> str:
    path = getattr(error, "srcpath", b"")
    return f"{error} ({os.fsdecode(path)})" if path else str(error)


def _counter(progress: Progress, *, recurse: bool) -> SFTPProgressHandler:
    finished: dict[bytes, int] = {}

    def count(source: bytes, _target: bytes, done: int, total: int) -> None:
        progress.done += done - finished.get(source, 0)
        finished[source] = done
        if not recurse:
            progress.total = total

    return count
