"""Whether running hosts can be saved, and whether there is room for them."""

from __future__ import annotations

import shutil

import anyio.to_thread
import psutil

from kutti_sdk.core.errors import HostNotRunningError, HypervisorError, NotEnoughDiskError
from kutti_sdk.core.sizes import MiB, format_size
from kutti_sdk.core.status import HostStatus
from kutti_sdk.drivers.qemu import lifecycle
from kutti_sdk.drivers.qemu.binaries import find_qemu
from kutti_sdk.drivers.qemu.checkpoints.conditions import conditions_of, refuse_mismatch
from kutti_sdk.drivers.qemu.firmware import boots_by_efi
from kutti_sdk.drivers.qemu.guest_agent import guest_agent
from kutti_sdk.drivers.qemu.images import image_of
from kutti_sdk.drivers.qemu.qmp import monitor
from kutti_sdk.drivers.qemu.records import HostRecord, NetworkRecord
from kutti_sdk.drivers.qemu.resume import Conditions

_AGENT_TIMEOUT = 10.0  # seconds; it answers in a tenth of one, unless the host boots still
_DISK_RESERVE = 64 * MiB


async def examine(network: NetworkRecord, host: HostRecord) -> Conditions:
    """Make sure that a host can be saved.

    Args:
        network: Its network.
        host: The host.

    Returns:
        Under what it runs.

    Raises:
        HostNotRunningError: When it does not run, or has no guest agent that answers.
        HypervisorError: When hosts of its kind cannot be saved.
        CheckpointMismatchError: When it could not go on under the QEMU of now.
    """
    identity = lifecycle.host_process(host)
    if identity is None or await lifecycle.host_status(host) is not HostStatus.RUNNING:
        raise _not_ready(host, "does not run", "Start the cluster first.")
    image = await image_of(host)
    if boots_by_efi(image.manifest):
        raise HypervisorError(
            f"host {host.name!r} boots by EFI, and such hosts cannot be saved yet",
            driver="qemu",
            host=host.name,
        )
    try:
        async with guest_agent(network.sockets.agent(host.id), timeout=_AGENT_TIMEOUT):
            pass
    except HypervisorError as error:
        raise _not_ready(
            host,
            "has no guest agent that answers",
            "Wait until it is ready. Its image must have qemu-guest-agent, which gives a "
            "restored host the right time and new random numbers.",
        ) from error
    async with monitor(network.sockets.monitor(host.id)) as qemu:
        conditions = await conditions_of(qemu, identity)
    await refuse_mismatch(conditions, await find_qemu(), image.kernel)
    return conditions


async def refuse_full_disk(hosts: list[HostRecord]) -> None:
    """Make sure that there is room for the memory of hosts.

    Args:
        hosts: The hosts, which run.

    Raises:
        NotEnoughDiskError: When there is not.
    """
    wanted = sum([await anyio.to_thread.run_sync(_memory_to_write, host) for host in hosts])
    folder = hosts[0].files.folder
    free = (await anyio.to_thread.run_sync(shutil.disk_usage, folder)).free
    if wanted > free:
        raise NotEnoughDiskError(
            f"the memory of the hosts may take {format_size(wanted)} of the disk, and "
            f"{format_size(free)} are left",
            hint=f"Delete checkpoints, or make room on the disk that holds {folder}.",
            driver="qemu",
            cluster=hosts[0].clustername,
        )


def _not_ready(host: HostRecord, what: str, hint: str) -> HostNotRunningError:
    return HostNotRunningError(
        f"host {host.name!r} {what}, and cannot be saved",
        hint=hint,
        driver="qemu",
        cluster=host.clustername,
        host=host.name,
    )


def _memory_to_write(host: HostRecord) -> int:
    """What a host's memory can take on the disk: no more than its QEMU really occupies."""
    identity = lifecycle.host_process(host)
    try:
        occupied = psutil.Process(identity.pid).memory_info().rss if identity else 0
    except psutil.Error:
        occupied = host.size.memory
    return min(host.size.memory, occupied) + _DISK_RESERVE
