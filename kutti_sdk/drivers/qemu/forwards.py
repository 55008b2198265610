"""Ports of this machine that lead to hosts.

The records say which forwards there are; the gateway is made to agree with
them whenever they change and whenever it was started. A port belongs to one
forward, over all networks, whether its host runs or not.
"""

from __future__ import annotations

import errno
import logging
import re
import socket
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import replace
from ipaddress import AddressValueError, IPv4Address
from random import SystemRandom

import anyio
import psutil

from kutti_sdk.core.errors import (
    HypervisorError,
    InvalidPortError,
    LockTimeoutError,
    PortInUseError,
    PortNotForwardedError,
)
from kutti_sdk.core.ports import (
    ANY_ADDRESS,
    LOOPBACK,
    PortForward,
    validate_host_port,
    validate_vm_port,
)
from kutti_sdk.drivers.qemu import layout, records
from kutti_sdk.drivers.qemu.qmp import Monitor, monitor
from kutti_sdk.drivers.qemu.records import HostRecord, NetworkRecord
from kutti_sdk.drivers.qemu.services import SLIRP, gateway_answers, gateway_identity
from kutti_sdk.runtime.locks import locked

_log = logging.getLogger(__name__)

# Below those that systems lend to programs for connections of their own, Linux from 32768 on and
# others from 49152: somebody would get one of these while a gateway is started anew.
_ANY_PORTS = range(20_000, 30_000)

# A line of the human monitor's "info usernet" about a forward: where it
# listens, and where it leads.
_FORWARD_LINE = re.compile(
    r"^\s*TCP\[HOST_FORWARD\]\s+\d+\s+(?P<address>[\d.*]+)\s+(?P<port>\d{1,5})"
    r"\s+(?P<target>[\d.]+)\s+(?P<vm_port>\d{1,5})\s",
    re.MULTILINE | re.ASCII,
)


async def add_forward(host: HostRecord, wanted: PortForward) -> PortForward:
    """Give a port of this machine to a host.

    Args:
        host: The host, as it was read last.
        wanted: The forward; port 0 of this machine for any free one.

    Returns:
        The forward with its port.

    Raises:
        InvalidPortError: When a port or the address makes no sense.
        PortInUseError: When the port is taken; names by whom.
        HostNotFoundError: When the host was removed meanwhile.
    """
    validate_host_port(wanted.host_port)
    validate_vm_port(wanted.vm_port)
    _validate_address(wanted.address)
    network = await records.load_network(host.networkname)
    await settle()
    async with locked(layout.ports_lock()), locked(network.files.lock):
        host = await records.load_host(host.name, host.networkname, host.clustername)
        present = next((it for it in host.forwards if it.vm_port == wanted.vm_port), None)
        if present is not None and _satisfies(present, wanted):
            return present
        given = await _choose(host, wanted)
        others = tuple(it for it in host.forwards if it.vm_port != wanted.vm_port)
        changed = replace(host, forwards=tuple(sorted((*others, given))))
        await begin_change(network)
        await records.save_host(changed)
        failures = await reconcile(network)
        if given in failures:
            await begin_change(network)
            await records.save_host(host)
            await reconcile(network)
            raise PortInUseError(
                f"port {given.host_port} cannot be forwarded: {failures[given]}",
                hint="Choose another port, or 0 for any free one.",
                driver="qemu",
                host=host.name,
            )
        return given


async def remove_forward(host: HostRecord, vm_port: int) -> None:
    """Take the port of this machine back that leads to a port of a host.

    Args:
        host: The host, as it was read last.
        vm_port: Port of the host.

    Raises:
        PortNotForwardedError: When it is not forwarded.
    """
    validate_vm_port(vm_port)
    network = await records.load_network(host.networkname)
    await settle()
    async with locked(network.files.lock):
        host = await records.load_host(host.name, host.networkname, host.clustername)
        left = tuple(it for it in host.forwards if it.vm_port != vm_port)
        if left == host.forwards:
            raise not_forwarded(host, vm_port)
        await begin_change(network)
        await records.save_host(replace(host, forwards=left))
        await reconcile(network)


def not_forwarded(host: HostRecord, vm_port: int) -> PortNotForwardedError:
    """Make the error for a port that is not forwarded.

    Args:
        host: The host.
        vm_port: Port of the host.

    Returns:
        The error.
    """
    there_are = ", ".join(str(it.vm_port) for it in host.forwards) or "none"
    return PortNotForwardedError(
        f"port {vm_port} of host {host.name!r} is not forwarded",
        hint=f"Forwarded ports of it: {there_are}.",
        driver="qemu",
        host=host.name,
    )


async def begin_change(network: NetworkRecord) -> None:
    """Note that records of forwards are about to change, before `reconcile` tells the gateway.

    Args:
        network: The network, whose lock the caller holds.
    """
    await anyio.Path(network.files.forwards_pending).touch(mode=0o600)


async def settle() -> None:
    """Tell the gateways what somebody could not tell them who was killed meanwhile."""
    for network in await records.load_networks():
        if await anyio.Path(network.files.forwards_pending).exists():
            try:
                await _settle(network)
            except (HypervisorError, LockTimeoutError) as error:
                # A cluster that is in trouble does not hurt others.
                _log.warning("forwards of network %s are still pending: %s", network.name, error)


async def reconcile(network: NetworkRecord) -> dict[PortForward, str]:
    """Make the gateway's forwards those of the records; the caller holds the lock.

    Args:
        network: The network; nothing happens when its gateway does not run, or cannot be told.

    Returns:
        What could not be forwarded, and why.
    """
    failures: dict[PortForward, str] = {}
    if await gateway_answers(network):
        failures = await _tell_gateway(network)
    await anyio.Path(network.files.forwards_pending).unlink(missing_ok=True)
    return failures


async def absent_forwards(network: NetworkRecord) -> list[tuple[HostRecord, PortForward]]:
    """Tell which forwards the gateway should have and has not; the caller holds the lock.

    Args:
        network: The network.

    Returns:
        Hosts and forwards; none when the gateway does not run.
    """
    if gateway_identity(network) is None:
        return []
    async with monitor(network.sockets.gateway_monitor) as gateway:
        present = parse_forwards(await gateway.human("info usernet"))
    return [
        (host, forward)
        for host in await records.load_hosts(network.name)
        for forward in host.forwards
        if (forward, host.address) not in present
    ]


def check_listeners(forwards: Iterable[PortForward]) -> None:
    """Make sure that no program listens where forwards are to. Looks at once: no waiting.

    Args:
        forwards: The forwards, none of which is there yet.

    Raises:
        InvalidPortError: When nothing can listen there.
        PortInUseError: When a program does; names it.
    """
    for forward in forwards:
        _check_bindable(forward.address, forward.host_port)


def free_port(address: str, besides: set[int]) -> int:
    """Choose a port of this machine where any will do. Looks at once: no waiting.

    Args:
        address: Where it is to be listened.
        besides: Ports that were given already.

    Returns:
        The port.

    Raises:
        InvalidPortError: When nothing can listen there.
        PortInUseError: When there is none left.
    """
    for port in SystemRandom().sample(_ANY_PORTS, len(_ANY_PORTS)):
        if port not in besides:
            with suppress(PortInUseError):
                _check_bindable(address, port)
                return port
    raise PortInUseError(
        f"all ports from {_ANY_PORTS.start} to {_ANY_PORTS.stop - 1} of this machine are taken",
        hint="Name a port of your choice.",
        driver="qemu",
    )


def parse_forwards(text: str) -> set[tuple[PortForward, str]]:
    """Read the forwards out of what the human monitor's ``info usernet`` says.

    Args:
        text: Its whole answer.

    Returns:
        Each forward with the address of the host that it leads to.
    """
    return {
        (
            PortForward(
                int(match["port"]),
                int(match["vm_port"]),
                match["address"].replace("*", ANY_ADDRESS),
            ),
            match["target"],
        )
        for match in _FORWARD_LINE.finditer(text)
    }


async def _settle(network: NetworkRecord) -> None:
    files = network.files
    async with locked(files.lock):
        if await anyio.Path(files.forwards_pending).exists():
            await reconcile(network)
        elif not await anyio.Path(files.record).exists():  # deleted meanwhile
            await anyio.Path(files.lock).unlink(missing_ok=True)


async def _tell_gateway(network: NetworkRecord) -> dict[PortForward, str]:
    wanted = {
        (forward, host.address): forward
        for host in await records.load_hosts(network.name)
        for forward in host.forwards
    }
    failures: dict[PortForward, str] = {}
    async with monitor(network.sockets.gateway_monitor) as gateway:
        present = parse_forwards(await gateway.human("info usernet"))
        for forward, _ in present - wanted.keys():
            await _tell(gateway, f"hostfwd_remove {SLIRP} {_listener(forward)}")
        for forward, target in sorted(wanted.keys() - present):
            line = f"hostfwd_add {SLIRP} {_listener(forward)}-{target}:{forward.vm_port}"
            try:
                await _tell(gateway, line)
            except HypervisorError as error:
                owner = _listening_process(forward)
                failures[forward] = f"taken by {owner}" if owner else str(error)
    return failures


async def _choose(host: HostRecord, wanted: PortForward) -> PortForward:
    """Find the port to give, or refuse; only the listeners of this machine are asked."""
    taken = [
        (forward, other)
        for other in await records.load_hosts()
        for forward in other.forwards
        if (other.uuid, forward.vm_port) != (host.uuid, wanted.vm_port)
    ]
    if wanted.host_port == 0:
        ports = {forward.host_port for forward, _ in taken}
        return replace(wanted, host_port=free_port(wanted.address, ports))
    for forward, other in taken:
        if forward.conflicts_with(wanted):
            raise PortInUseError(
                f"port {wanted.host_port} of this machine already leads to port "
                f"{forward.vm_port} of host {other.name!r} in cluster {other.clustername!r}",
                hint="Choose another port, or 0 for any free one.",
                driver="qemu",
                host=host.name,
            )
    if all(it.host_port != wanted.host_port for it in host.forwards):  # else it is our own
        _check_bindable(wanted.address, wanted.host_port)
    return wanted


def _check_bindable(address: str, port: int) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as listener:
        # As slirp does; without it ports of connections just closed count as taken.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((address, port))
            listener.listen(1)
        except PermissionError as error:
            raise InvalidPortError(
                f"port {port} needs rights that this user has not got",
                hint="Use a port from 1024 on.",
                driver="qemu",
            ) from error
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise InvalidPortError(
                    f"nothing can listen on {address}: {error.strerror}",
                    hint=f'Use an address of this machine, such as "{LOOPBACK}".',
                    driver="qemu",
                ) from error
            owner = _listening_process(PortForward(port, 0, address)) or "another program"
            raise PortInUseError(
                f"port {port} of this machine is taken by {owner}",
                hint="Choose another port, or 0 for any free one.",
                driver="qemu",
            ) from error


def _listening_process(forward: PortForward) -> str | None:
    try:
        for connection in psutil.net_connections("tcp"):
            if (
                connection.status == psutil.CONN_LISTEN
                and connection.laddr
                and connection.laddr.port == forward.host_port
                and connection.pid
            ):
                return f"{psutil.Process(connection.pid).name()} (process {connection.pid})"
    except psutil.Error:
        pass
    return None


def _validate_address(address: str) -> None:
    try:
        IPv4Address(address)
    except AddressValueError:
        raise InvalidPortError(
            f"{address!r} is not an IPv4 address to listen on",
            hint=f'Use an address of this machine, such as "{LOOPBACK}".',
        ) from None


def _satisfies(present: PortForward, wanted: PortForward) -> bool:
    return present.address == wanted.address and wanted.host_port in (0, present.host_port)


def _listener(forward: PortForward) -> str:
    return f"tcp:{forward.address}:{forward.host_port}"


async def _tell(gateway: Monitor, line: str) -> None:
    answer = (await gateway.human(line)).strip()
    if answer and "removed" not in answer:  # "host forwarding rule for ... removed"
        raise HypervisorError(answer, driver="qemu")
