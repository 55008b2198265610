"""Starts a host: it boots, or goes on from a saved state, a template or its own suspension."""

from __future__ import annotations

import logging
from dataclasses import replace

import anyio
import anyio.to_thread

from kutti_sdk.core.errors import CheckpointMismatchError, HypervisorError, PortInUseError
from kutti_sdk.core.events import WARNING, report
from kutti_sdk.drivers.qemu import lifecycle, resume, suspended
from kutti_sdk.drivers.qemu.accelerator import choose_accelerator
from kutti_sdk.drivers.qemu.binaries import find_qemu
from kutti_sdk.drivers.qemu.checkpoints.conditions import refuse_mismatch
from kutti_sdk.drivers.qemu.firmware import boots_by_efi, find_efi
from kutti_sdk.drivers.qemu.images import image_of
from kutti_sdk.drivers.qemu.machine import Memory, Outlets, host_command, host_outlets
from kutti_sdk.drivers.qemu.records import HostRecord, NetworkRecord
from kutti_sdk.drivers.qemu.suspended import Suspension
from kutti_sdk.drivers.qemu.templates.store import distrust
from kutti_sdk.drivers.qemu.tsc import clock_arguments
from kutti_sdk.runtime import processes
from kutti_sdk.runtime.tasks import run_all

_log = logging.getLogger(__name__)


async def start_host(network: NetworkRecord, record: HostRecord) -> None:
    """Start a host's QEMU and what its network needs; the caller holds the host's lock.

    A host with a saved state goes on from it, a suspended one as well, and all others boot;
    see `resume` and `suspended`.

    Args:
        network: Its network.
        record: The host, which does not run.

    Raises:
        HypervisorError: When QEMU or a service does not start.
        PortInUseError: When a port that leads to the host was taken meanwhile.
        CheckpointMismatchError: When the cluster is brought back to a checkpoint half, or
            the host was suspended under another QEMU.
    """
    await _refuse_half_restored(network, record)
    try:
        if await _goes_on(network, record):
            await lifecycle.serve(network, record)
            kept = None
        else:
            kept = await suspended.usable_suspension(
                record, await find_qemu(), await image_of(record)
            )
            await run_all(
                lambda: _boot(network, record) if kept is None else _load(network, record, kept),
                lambda: lifecycle.serve(network, record),
            )
        # The last other host may have stopped meanwhile and have taken them along.
        await lifecycle.heal_services(record)
        if kept is not None:  # now that nothing is left that may fail
            await suspended.go_on(record, network)
    except (HypervisorError, PortInUseError) as error:
        error.host = record.name
        await _end(record)
        await lifecycle.rest_services(record.networkname)
        raise


async def _refuse_half_restored(network: NetworkRecord, record: HostRecord) -> None:
    mark = anyio.Path(network.files.restoring(record.clustername))
    if await mark.exists():
        name = await mark.read_text()
        raise CheckpointMismatchError(
            f"cluster {record.clustername!r} was to be brought back to checkpoint {name!r}, "
            "and that was interrupted: its hosts do not fit together",
            hint="Restore it again, or another checkpoint, or delete the cluster.",
            driver="qemu",
            cluster=record.clustername,
            host=record.name,
        )


async def _boot(network: NetworkRecord, record: HostRecord) -> None:
    """Let a host's QEMU boot it."""
    image = await image_of(record)
    accelerator = await choose_accelerator(await find_qemu(), image.kernel)
    await _run(record, host_outlets(record, network), accelerator)


async def _load(network: NetworkRecord, record: HostRecord, kept: Suspension) -> None:
    """Let a host's QEMU load what was kept of it when it was suspended, and wait."""
    outlets, conditions = host_outlets(record, network), kept.conditions
    try:
        await _run(record, outlets, conditions.accelerator, incoming=conditions.machine)
        await suspended.load(record, network)
    except BaseException:
        await _end(record)
        raise


async def _goes_on(network: NetworkRecord, record: HostRecord) -> bool:
    """Let a host go on from its saved state, if it has one; tell whether it does.

    A state of a template can be done without: where it cannot be used, the host boots.
    """
    pending = await resume.pending_state(record)
    if pending is None:
        # What a killed process left of one; with it the host would count as half itself.
        await anyio.to_thread.run_sync(resume.drop_state, record.files)
        return False
    template = await resume.template_of(record)
    if template is None:
        await _resume(network, record, pending)
        return True
    try:
        image = await image_of(record)
        await refuse_mismatch(pending, await find_qemu(), image.kernel)
        words = f"{record.name} goes on from a template, and need not boot"
        report("resume", words, cluster=record.clustername, host=record.name)
        await _resume(network, record, pending)
    except (CheckpointMismatchError, HypervisorError) as error:
        await anyio.to_thread.run_sync(resume.drop_state, record.files)
        await distrust(template)
        words = f"{record.name} boots, because its template cannot be used: {error.message}"
        _log.warning("%s", words)
        report(WARNING, words, cluster=record.clustername, host=record.name)
        return False
    return True


async def _resume(network: NetworkRecord, record: HostRecord, pending: resume.Conditions) -> None:
    """Let a host go on where the switch does not see it: nobody shall meet it as another one."""
    outlets = host_outlets(record, network)
    unseen = network.sockets.unseen_card(record.id)
    memory = resume.memory_of(record, pending)
    await _run(record, replace(outlets, card=unseen), pending.accelerator, memory=memory)
    try:
        await resume.go_on(record, network)
        await anyio.Path(unseen).rename(outlets.card)
    except BaseException:
        await _end(record)
        raise
    finally:
        # Last: a host beside which it lies, and that nobody starts, is to be started anew.
        with anyio.CancelScope(shield=True):
            await anyio.to_thread.run_sync(resume.drop_state, record.files)


async def _run(
    record: HostRecord,
    outlets: Outlets,
    accelerator: str,
    *,
    memory: Memory | None = None,
    incoming: str | None = None,
) -> None:
    """Start a host's QEMU in the background."""
    qemu, image = await find_qemu(), await image_of(record)
    efi = await anyio.to_thread.run_sync(find_efi, qemu) if boots_by_efi(image.manifest) else None
    command = host_command(
        qemu,
        record,
        outlets,
        accelerator=accelerator,
        manifest=image.manifest,
        image_folder=image.folder,
        clock=await clock_arguments(accelerator),
        efi=efi,
        memory=memory,
        incoming=incoming,
    )
    await processes.start_daemon(command, record.files.pid, mark=record.uuid)


async def _end(record: HostRecord) -> None:
    identity = lifecycle.host_process(record)
    if identity is not None:
        await processes.terminate(identity)
