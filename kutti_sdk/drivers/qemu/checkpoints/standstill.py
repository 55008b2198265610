"""Hosts that were left standing still by who was killed while it saved or suspended them."""

from __future__ import annotations

import anyio
import anyio.to_thread

from kutti_sdk.drivers.qemu import lifecycle, resume, suspended
from kutti_sdk.drivers.qemu.qmp import monitor
from kutti_sdk.drivers.qemu.records import HostRecord, NetworkRecord
from kutti_sdk.drivers.qemu.run_state import RunState, ask_run_state
from kutti_sdk.runtime import processes


async def run_on(network: NetworkRecord, host: HostRecord) -> bool:
    """Let a host run on that stands still or is being moved; one that runs is left alone.

    Args:
        network: Its network.
        host: The host.

    Returns:
        Whether it stood still.
    """
    if lifecycle.host_process(host) is None:
        return False
    async with monitor(network.sockets.monitor(host.id)) as qemu:
        stood_still = not (await qemu.execute("query-status"))["running"]
        await qemu.execute("migrate_cancel")  # some run on by that alone
        while (await qemu.execute("query-migrate")).get("status") == "cancelling":  # noqa: ASYNC110
            await anyio.sleep(0.05)  # it tells only those who listened before
        if await ask_run_state(qemu) is RunState.STANDS_STILL:
            await qemu.execute("cont")
        return stood_still


async def settle(network: NetworkRecord, host: HostRecord) -> None:
    """End what an interrupted save, suspend or start of a host began; the caller holds its lock.

    A host of which all was kept is suspended, and its QEMU, which has not run since, is
    ended. So is the QEMU of one that was to go on from a saved state: it waits in vain, or may
    not know who it is. Any other that stands still runs on; one that has no QEMU is stopped.

    Args:
        network: Its network.
        host: The host.
    """
    identity = lifecycle.host_process(host)
    if await suspended.is_suspended(host) or await resume.is_left(host):
        if identity is not None:
            await processes.terminate(identity)
        return
    if identity is not None:
        stands_still = await lifecycle.run_state(host, identity) is RunState.STANDS_STILL
        was_still = stands_still and await run_on(network, host)
        if was_still or await suspended.is_left(host):
            await suspended.set_right(host, network)
    await anyio.to_thread.run_sync(suspended.drop_suspension, host.files)
