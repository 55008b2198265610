"""What is kept of a suspended host, and how it goes on.

It lies in a folder of its own, `HostFiles.suspended`:

```
suspended.json  under which conditions it was suspended; without this file the host boots
state           its memory, and what QEMU knows of the processor and of the devices
```

The record is written last and removed first. So the host is suspended as a whole or
not at all, and what belongs to an older disk is never used. A folder without a record
next to a running QEMU is what an interrupted suspend or start left: `settle` ends it.
"""

from __future__ import annotations

import logging
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import anyio
import anyio.to_thread

from kutti_sdk.core.errors import (
    CheckpointMismatchError,
    CorruptStateError,
    HypervisorError,
    StateError,
)
from kutti_sdk.core.events import WARNING, report
from kutti_sdk.drivers.qemu import resume
from kutti_sdk.drivers.qemu.binaries import Qemu
from kutti_sdk.drivers.qemu.checkpoints.conditions import refuse_mismatch
from kutti_sdk.drivers.qemu.layout import HostFiles
from kutti_sdk.drivers.qemu.qmp import Monitor, monitor
from kutti_sdk.drivers.qemu.records import HostRecord, NetworkRecord
from kutti_sdk.drivers.qemu.resume import Conditions
from kutti_sdk.images.digests import Span, digests_of
from kutti_sdk.images.store import LocalImage
from kutti_sdk.runtime import state
from kutti_sdk.runtime.awake import rest

STALL_TIMEOUT = 60.0
"""Seconds in which QEMU must have moved something of a state."""

_STEP = 0.1  # seconds; events of a migration are lost before anybody listens
_ALGORITHM = "sha256"

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Suspension:
    """What is stored about a suspended host.

    Attributes:
        conditions: Under what it was suspended.
        disk: Name of the disk that it wrote to.
        size: Bytes of the state.
        sha256: Checksum of the state.
        created: When it was suspended, in seconds since the epoch.
        format: Version of this record.
    """

    conditions: Conditions
    disk: str
    size: int
    sha256: str
    created: float
    format: int = 1


@dataclass(frozen=True, slots=True)
class SuspendedFiles:
    """The files of a suspended host.

    Attributes:
        folder: Their folder.
    """

    folder: Path

    @property
    def record(self) -> Path:
        """What is stored about it; written last, and removed first."""
        return self.folder / "suspended.json"

    @property
    def state(self) -> Path:
        """Memory, processor and devices, as QEMU wrote them."""
        return self.folder / "state"


async def is_suspended(host: HostRecord) -> bool:
    """Tell whether all is there that a host goes on from.

    Args:
        host: The host.

    Returns:
        Whether it was suspended to the end, and has not gone on.
    """
    return await anyio.Path(SuspendedFiles(host.files.suspended).record).exists()


async def is_left(host: HostRecord) -> bool:
    """Tell whether anything is there of a suspension, complete or not.

    Args:
        host: The host.

    Returns:
        Whether there is a folder.
    """
    return await anyio.Path(host.files.suspended).exists()


async def usable_suspension(host: HostRecord, qemu: Qemu, image: LocalImage) -> Suspension | None:
    """Tell what a host goes on from at its next start; the caller holds its lock.

    What is damaged is removed, and said to be: there is nothing in it that could be
    had in another way. What only does not fit here is left as it is.

    Args:
        host: The host, which does not run.
        qemu: The QEMU of this machine.
        image: The host's image.

    Returns:
        What was stored about it, checked; None for a host that boots.

    Raises:
        CheckpointMismatchError: When it cannot go on under the QEMU of this machine.
        StateError: When it cannot be read now.
    """
    try:
        found = await _checked(host)
    except CorruptStateError as error:
        message = f"{host.name} boots, because what was in its memory is lost: {error.message}"
        _log.warning("%s", message)
        report(WARNING, message, cluster=host.clustername, host=host.name)
        await anyio.to_thread.run_sync(drop_suspension, host.files)
        return None
    if found is None:
        return None
    try:
        await refuse_mismatch(found.conditions, qemu, image.kernel)
    except CheckpointMismatchError as error:
        error.host, error.cluster = host.name, host.clustername
        error.hint = (
            "It goes on where all is as it was, or QEMU newer. To give up what is in its "
            "memory, call force_stop(); then it boots."
        )
        raise
    return found


async def load(host: HostRecord, network: NetworkRecord) -> None:
    """Let a QEMU that waits for it load what was kept of a host.

    Args:
        host: The host, whose QEMU was started for it.
        network: Its network.

    Raises:
        HypervisorError: When QEMU does not take it. It stays as it is.
    """
    path = SuspendedFiles(host.files.suspended).state
    size = (await anyio.Path(path).stat()).st_size

    def advance(done: int) -> None:
        report(
            "resume",
            f"loading the memory of {host.name}",
            cluster=host.clustername,
            host=host.name,
            fraction=min(1.0, done / size),
            bytes_done=done,
            bytes_total=size,
        )

    try:
        with await anyio.to_thread.run_sync(path.open, "rb") as file:
            async with monitor(network.sockets.monitor(host.id)) as qemu:
                await qemu.give_file("state", file)
                await qemu.execute("migrate-incoming", uri="fd:state")
            await moved(host, network, file, advance)
    except HypervisorError as error:
        error.hint = (
            "Start it again; or give up what is in its memory with force_stop(), and start "
            "it to boot."
        )
        raise


async def go_on(host: HostRecord, network: NetworkRecord) -> None:
    """Let a host go on that was loaded; what was kept of it is used once.

    Args:
        host: The host.
        network: Its network.

    Raises:
        HypervisorError: When QEMU has ended meanwhile.
    """
    # Between the two it would have neither a state to go on from, nor have gone on.
    with anyio.CancelScope(shield=True):
        async with monitor(network.sockets.monitor(host.id)) as qemu:
            await anyio.to_thread.run_sync(give_up, host.files)
            await qemu.execute("cont")
    await set_right(host, network)
    await anyio.to_thread.run_sync(drop_suspension, host.files)


async def set_right(host: HostRecord, network: NetworkRecord) -> None:
    """Give a host the right time and new randomness after it has stood still.

    It goes on when that fails, and a warning says so: it is who it was, and what is in
    its memory is worth more than its clock.

    Args:
        host: The host, which runs.
        network: Its network.
    """
    try:
        await resume.become(host, network, b"")
    except HypervisorError as error:
        message = f"the clock of {host.name} is behind, and could not be set: {error.message}"
        _log.warning("%s", message)
        report(WARNING, message, cluster=host.clustername, host=host.name)


async def moved(
    host: HostRecord,
    network: NetworkRecord,
    file: IO[bytes],
    advance: Callable[[int], None],
) -> None:
    """Wait until QEMU has written or read all of a state.

    Args:
        host: The host.
        network: Its network.
        file: The state. It has one position for QEMU and for us, which tells how far
            QEMU is.
        advance: Called with the number of bytes moved so far, whenever it has grown.

    Raises:
        HypervisorError: When it failed, or nothing was moved for too long.
    """
    last, since = -1, anyio.current_time()
    while True:
        async with monitor(network.sockets.monitor(host.id)) as qemu:
            if await _has_ended(qemu):
                return
        position = os.lseek(file.fileno(), 0, os.SEEK_CUR)
        if position != last:
            last, since = position, anyio.current_time()
            advance(position)
        elif anyio.current_time() - since > STALL_TIMEOUT:
            raise HypervisorError(
                f"QEMU moved nothing of the state of {host.name!r} for {STALL_TIMEOUT:.0f} s",
                driver="qemu",
                host=host.name,
            )
        since += await rest(_STEP)


async def checked_size(files: SuspendedFiles) -> tuple[int, str]:
    """Measure a state.

    Args:
        files: Where it is.

    Returns:
        Its bytes, and their checksum.
    """
    size = (await anyio.Path(files.state).stat()).st_size
    (digest,) = await digests_of(files.state, [Span(_ALGORITHM, 0, size)])
    return size, digest


def give_up(host_files: HostFiles) -> None:
    """Make sure that what was kept of a host is never used again. Call it in a thread.

    Args:
        host_files: The host's files.
    """
    place = SuspendedFiles(host_files.suspended)
    if place.folder.exists():
        place.record.unlink(missing_ok=True)
        state.sync_folder(place.folder)


def drop_suspension(host_files: HostFiles) -> None:
    """Remove all that was kept of a host, or left of a suspension. Call it in a thread.

    Args:
        host_files: The host's files.
    """
    give_up(host_files)
    shutil.rmtree(host_files.suspended, ignore_errors=True)


async def _has_ended(qemu: Monitor) -> bool:
    status = await qemu.execute("query-migrate")
    if status.get("status") in ("failed", "cancelled"):
        reason = status.get("error-desc", status["status"])
        raise HypervisorError(f"QEMU could not move a state: {reason}", driver="qemu")
    return bool(status.get("status") == "completed")


async def _checked(host: HostRecord) -> Suspension | None:
    """Read what is stored about a suspended host, and make sure that the state is that one."""
    files = SuspendedFiles(host.files.suspended)
    found = await state.load(files.record, Suspension)
    if found is None:
        return None
    report("resume", f"checking what was in the memory of {host.name}", host=host.name)
    if found.disk != host.disk:
        raise CorruptStateError(f"it belongs to disk {found.disk}, which was {host.disk} since")
    try:
        size, digest = await checked_size(files)
    except FileNotFoundError as error:
        raise CorruptStateError("it is gone") from error
    except OSError as error:  # it may be readable another time, and is too good to be given up
        raise StateError(
            f"what is in the memory of {host.name!r} cannot be read: {error.strerror}",
            hint="Mend that and start it again, or call force_stop(); then it boots.",
            driver="qemu",
            host=host.name,
        ) from error
    if size != found.size:
        raise CorruptStateError(f"it has {size} bytes and not {found.size}")
    if digest != found.sha256:
        raise CorruptStateError("it does not have the checksum that it was written with")
    return found
