"""Forwarded ports: whether they lead to their hosts, and whether they are free to."""

from __future__ import annotations

from functools import partial

import anyio.to_thread

from kutti_sdk.core.errors import InvalidPortError, LockTimeoutError, PortInUseError
from kutti_sdk.core.findings import Finding, guarded, ok, problem
from kutti_sdk.core.ports import PortForward
from kutti_sdk.drivers.qemu import forwards, lifecycle, records, services
from kutti_sdk.drivers.qemu.diagnosis.strays import network_lock
from kutti_sdk.drivers.qemu.records import HostRecord, NetworkRecord

_SUBJECT = "forwarded ports"


async def look() -> list[Finding]:
    """Look at the ports of this machine that lead to hosts.

    Returns:
        What was found.
    """
    findings: list[Finding] = []
    total = 0
    for network in await records.load_networks():
        hosts = await records.load_hosts(network.name)
        total += sum(len(host.forwards) for host in hosts)
        findings += await guarded(_SUBJECT, partial(_look_at, network, hosts))
    return findings or [ok(_SUBJECT, f"{total} ports lead to hosts, or are free to")]


async def _look_at(network: NetworkRecord, hosts: list[HostRecord]) -> list[Finding]:
    try:
        async with network_lock(network.name):
            return await _look_under_lock(network, hosts)
    except LockTimeoutError:  # told already, by who looked at the network
        return []


async def _look_under_lock(network: NetworkRecord, hosts: list[HostRecord]) -> list[Finding]:
    if services.gateway_identity(network) is not None:
        running = {host.uuid for host in hosts if lifecycle.host_process(host) is not None}
        return [
            problem(
                _SUBJECT,
                f"port {forward.host_port} does not lead to {_target(host, forward)}",
                "End the program that has it, or unforward it and forward another port.",
                mend=partial(_lead_again, network, forward),
            )
            for host, forward in await forwards.absent_forwards(network)
            if host.uuid in running
        ]
    return [
        finding
        for host in hosts
        for forward in host.forwards
        if (finding := await anyio.to_thread.run_sync(_taken, host, forward)) is not None
    ]


def _taken(host: HostRecord, forward: PortForward) -> Finding | None:
    try:
        forwards.check_listeners([forward])
    except (PortInUseError, InvalidPortError) as error:
        return problem(
            _SUBJECT,
            f"{error.message}, and shall lead to {_target(host, forward)}: that cannot start",
            "End that program, or unforward the port and forward another.",
        )
    return None


async def _lead_again(network: NetworkRecord, forward: PortForward) -> str:
    async with network_lock(network.name):
        failures = await forwards.reconcile(network)
    if forward in failures:
        raise PortInUseError(f"port {forward.host_port} is not free: {failures[forward]}")
    return f"made port {forward.host_port} lead to its host again"


def _target(host: HostRecord, forward: PortForward) -> str:
    return f"port {forward.vm_port} of host {host.name} in cluster {host.clustername}"
