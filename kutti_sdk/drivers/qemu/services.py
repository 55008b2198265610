"""The two processes behind a network: the switch, and the gateway to the outside.

Both may die or be killed at any time without the hosts noticing more than a
pause: whoever next asks for them starts them again. The gateway is a QEMU
without a machine, of which only the user-mode network (slirp) is used.
"""

from __future__ import annotations

import os
import signal
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path

import anyio.to_thread

from kutti_sdk.core.errors import HypervisorError
from kutti_sdk.drivers.qemu import layout, switch
from kutti_sdk.drivers.qemu.binaries import Qemu
from kutti_sdk.drivers.qemu.features import missing_features
from kutti_sdk.drivers.qemu.machine import background_arguments, escaped
from kutti_sdk.drivers.qemu.records import HostRecord, NetworkRecord
from kutti_sdk.drivers.qemu.sockets import listens
from kutti_sdk.drivers.qemu.switch.config import Lease, SwitchConfig
from kutti_sdk.drivers.qemu.switch.ethernet import parse_mac
from kutti_sdk.images.qemu_programs import install_line
from kutti_sdk.runtime import processes
from kutti_sdk.runtime.state import write_bytes
from kutti_sdk.runtime.tasks import run_all

SLIRP = "u0"
"""Name of the user-mode network inside of the gateway."""


async def ensure_services(qemu: Qemu, network: NetworkRecord, hosts: list[HostRecord]) -> None:
    """Start the switch and the gateway where they do not run; the caller holds the lock.

    Args:
        qemu: The QEMU of this machine.
        network: The network.
        hosts: All hosts in it.
    """
    layout.make_socket_folders(network.sockets)
    await run_all(lambda: _ensure_switch(network, hosts), lambda: _ensure_gateway(qemu, network))


async def tell_switch(network: NetworkRecord, hosts: list[HostRecord]) -> None:
    """Let the switch know which hosts there are; the caller holds the network's lock.

    Args:
        network: The network.
        hosts: All hosts in it.
    """
    changed = await anyio.to_thread.run_sync(_write_config, network, hosts)
    identity = switch_identity(network)
    if changed and identity is not None:
        os.kill(identity.pid, signal.SIGHUP)


async def stop_services(network: NetworkRecord) -> None:
    """End the switch and the gateway; the caller holds the network's lock.

    Args:
        network: The network.
    """
    for identity in (gateway_identity(network), switch_identity(network)):
        if identity is not None:
            await processes.terminate(identity)
    for pidfile in (network.files.gateway_pid, network.files.switch_pid):
        await processes.end_unfinished(str(pidfile))


async def gateway_answers(network: NetworkRecord) -> bool:
    """Tell whether the gateway runs and can be told something; the caller holds the lock.

    One that nobody can reach is ended: its socket was swept away, or who started it was
    killed before it listened.

    Args:
        network: The network.

    Returns:
        False when it has to be started.
    """
    identity = gateway_identity(network)
    if identity is None:
        return False
    if listens(network.sockets.gateway_monitor):
        return True
    await processes.terminate(identity)
    return False


async def end_gateway(network: NetworkRecord) -> None:
    """End the gateway, and with it all connections from outside; the caller holds the lock.

    Args:
        network: The network.
    """
    identity = gateway_identity(network)
    if identity is not None:
        await processes.terminate(identity)


def services_run(network: NetworkRecord) -> bool:
    """Tell whether the switch and the gateway run and can be reached.

    Args:
        network: The network.

    Returns:
        False when one of them has to be started.
    """
    return switch_identity(network) is not None and gateway_identity(network) is not None


def gateway_identity(network: NetworkRecord) -> processes.ProcessIdentity | None:
    """Find the gateway's process.

    Args:
        network: The network.

    Returns:
        Its identity, or None when it does not run.
    """
    pidfile = network.files.gateway_pid
    return processes.identity_from_pidfile(pidfile, mark=str(pidfile))


def switch_identity(network: NetworkRecord) -> processes.ProcessIdentity | None:
    """Find the switch's process.

    Args:
        network: The network.

    Returns:
        Its identity, or None when it does not run.
    """
    pidfile = network.files.switch_pid
    return processes.identity_from_pidfile(pidfile, mark=str(pidfile))


async def _ensure_switch(network: NetworkRecord, hosts: list[HostRecord]) -> None:
    await tell_switch(network, hosts)
    if switch_identity(network) is None:
        files = network.files
        command = switch.command(files.switch_config, files.switch_pid)
        await processes.start_daemon(command, files.switch_pid, mark=str(files.switch_pid))


async def _ensure_gateway(qemu: Qemu, network: NetworkRecord) -> None:
    if await gateway_answers(network):
        return
    pidfile = network.files.gateway_pid
    try:
        await processes.start_daemon(_gateway_command(qemu, network), pidfile, mark=str(pidfile))
    except HypervisorError as error:
        missing = await missing_features(qemu)
        if missing:
            error.hint = f"This QEMU was built without {', '.join(missing)}. Run: {install_line()}"
        raise


def _gateway_command(qemu: Qemu, network: NetworkRecord) -> list[str]:
    slirp = (
        f"user,id={SLIRP},net={network.cidr},host={network.gateway_address},"
        f"dns={network.resolver_address},ipv6=off"
    )
    outlet = f"stream,id=s0,server=on,addr.type=unix,addr.path={escaped(network.sockets.gateway)}"
    return [
        qemu.system,
        *("-name", f"{network.name}-gateway"),
        *("-machine", "none", "-nodefaults", "-no-user-config", "-display", "none"),
        *("-netdev", slirp, "-netdev", "hubport,id=h0,hubid=0,netdev=u0"),
        *("-netdev", outlet, "-netdev", "hubport,id=h1,hubid=0,netdev=s0"),
        *background_arguments(network.sockets.gateway_monitor, network.files.gateway_pid),
    ]


def _write_config(network: NetworkRecord, hosts: list[HostRecord]) -> bool:
    """Bring the switch's configuration up to date; tell whether it changed."""
    path: Path = network.files.switch_config
    text = _switch_config(network, hosts).to_json().encode()
    if path.exists() and path.read_bytes() == text:
        return False
    write_bytes(path, text)
    return True


def _switch_config(network: NetworkRecord, hosts: list[HostRecord]) -> SwitchConfig:
    return SwitchConfig(
        network=network.name,
        cidr=IPv4Network(network.cidr),
        ports_dir=network.sockets.ports,
        gateway_socket=network.sockets.gateway,
        gateway_address=network.gateway_address,
        service_address=network.service_address,
        domain=network.domain,
        log=network.files.switch_log,
        leases=tuple(
            Lease(host.name, parse_mac(host.mac), IPv4Address(host.address), port=host.id)
            for host in hosts
        ),
        consoles=tuple(host.files.console for host in hosts),
    )
