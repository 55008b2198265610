"""Hosts that were left standing still by who was killed while it saved or suspended them."""

from __future__ import annotations

import anyio
import anyio.to_thread

from kutti_sdk.drivers.qemu import lifecycle, suspended
from kutti_sdk.drivers.qemu.qmp import monitor
from kutti_sdk.drivers.qemu.records import HostRecord, NetworkRecord
from kutti_sdk.runtime import processes

_STANDING_STILL = frozenset({"paused", "postmigrate", "finish-migrate"})


async def run_on(network: NetworkRecord, host: HostRecord) -> None:
    """Let a host run on that was left standing still; one that runs is left alone.

    Args:
        network: Its network.
        host: The host.
    """
    if lifecycle.host_process(host) is None:
        return
    async with monitor(network.sockets.monitor(host.id)) as qemu:
        await qemu.execute("migrate_cancel")
        while (await qemu.execute("query-migrate")).get("status") == "cancelling":  # noqa: ASYNC110
            await anyio.sleep(0.05)  # it tells only those who listened before
        if (await qemu.execute("query-status"))["status"] in _STANDING_STILL:
            await qemu.execute("cont")


async def settle(network: NetworkRecord, host: HostRecord) -> None:
    """End what an interrupted suspend or start of a host began; the caller holds its lock.

    A host of which all was kept is suspended, and its QEMU, which has not run since, is
    ended. Any other that has a QEMU runs on; one that has none is stopped.

    Args:
        network: Its network.
        host: The host.
    """
    if not await suspended.is_left(host):
        return
    identity = lifecycle.host_process(host)
    if await suspended.is_suspended(host):
        if identity is not None:
            await processes.terminate(identity)
        return
    if identity is not None:
        await run_on(network, host)
        await suspended.set_right(host, network)
    await anyio.to_thread.run_sync(suspended.drop_suspension, host.files)
