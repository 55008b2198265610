"""What is stored about networks and hosts, and finding it."""

from __future__ import annotations

import logging
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path
from typing import TypeVar
from uuid import UUID

import anyio.to_thread

from kutti_sdk.core.errors import (
    CorruptStateError,
    HostNotFoundError,
    NetworkNotFoundError,
    StateError,
)
from kutti_sdk.core.host import HostSize
from kutti_sdk.core.names import validate_name
from kutti_sdk.core.ports import PortForward
from kutti_sdk.core.system_errors import advice
from kutti_sdk.drivers.qemu import layout
from kutti_sdk.drivers.qemu.switch.ethernet import parse_mac
from kutti_sdk.runtime import state

_SERVICES, _GATEWAY, _RESOLVER, _FIRST_HOST = 1, 2, 3, 11

_ID = re.compile(r"[0-9a-f]{8}")

T = TypeVar("T")

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkRecord:
    """What is stored about a network.

    Attributes:
        name: Its name.
        cidr: Its address range.
        id: Eight hexadecimal digits that no other network has.
        format: Version of this record.
    """

    name: str
    cidr: str
    id: str
    format: int = 1

    def __post_init__(self) -> None:
        """Refuse what cannot be, since paths and command lines are made from it."""
        validate_name(self.name, "network name")
        _check_id(self.id)
        IPv4Network(self.cidr)

    @property
    def files(self) -> layout.NetworkFiles:
        """Its files."""
        return layout.network_files(self.name)

    @property
    def sockets(self) -> layout.Sockets:
        """Its sockets."""
        return layout.network_sockets(self.id)

    @property
    def service_address(self) -> IPv4Address:
        """Where the switch answers DHCP and DNS."""
        return IPv4Network(self.cidr)[_SERVICES]

    @property
    def gateway_address(self) -> IPv4Address:
        """The hosts' way out."""
        return IPv4Network(self.cidr)[_GATEWAY]

    @property
    def resolver_address(self) -> IPv4Address:
        """Where the gateway's own DNS would answer; no host is told of it."""
        return IPv4Network(self.cidr)[_RESOLVER]

    @property
    def host_addresses(self) -> tuple[IPv4Address, ...]:
        """The addresses that hosts can have."""
        network = IPv4Network(self.cidr)
        last = min(network.num_addresses - 1, _FIRST_HOST + 1024)
        return tuple(network[index] for index in range(_FIRST_HOST, last))

    @property
    def domain(self) -> str:
        """The domain of its hosts' names."""
        return f"{self.name}.kutti"


@dataclass(frozen=True, slots=True, kw_only=True)
class HostRecord:
    """What is stored about a host.

    Attributes:
        name: Its name.
        networkname: Name of its network.
        clustername: Name of its cluster.
        k8s_version: Kubernetes version of its image.
        image: Checksum of its image.
        uuid: Its SMBIOS UUID; marks its QEMU process as well.
        mac: Address of its network card.
        address: Its IPv4 address.
        size: CPUs, memory and disk.
        ssh_user: Who may log in.
        host_key: Public key of its SSH server.
        forwards: Ports of this machine that lead to it.
        disk: Name of the file that is its disk; an overlay over the last of its layers.
        layers: Names of the files below, which are not written any more, lowest first.
        format: Version of this record.
    """

    name: str
    networkname: str
    clustername: str
    k8s_version: str
    image: str
    uuid: str
    mac: str
    address: str
    size: HostSize
    ssh_user: str
    host_key: str
    forwards: tuple[PortForward, ...] = ()
    disk: str = layout.FIRST_DISK
    layers: tuple[str, ...] = ()
    format: int = 1

    def __post_init__(self) -> None:
        """Refuse what cannot be, since paths and command lines are made from it."""
        validate_name(self.name, "host name")
        validate_name(self.networkname, "network name")
        validate_name(self.clustername, "cluster name")
        _check_id(self.id)
        UUID(self.uuid)
        parse_mac(self.mac)
        IPv4Address(self.address)

    @property
    def disk_path(self) -> Path:
        """Its disk."""
        return self.files.folder / self.disk

    @property
    def id(self) -> str:
        """Eight hexadecimal digits for the names of sockets."""
        return self.uuid[:8]

    @property
    def files(self) -> layout.HostFiles:
        """Its files."""
        return layout.network_files(self.networkname).host(self.clustername, self.name)


async def load_network(networkname: str) -> NetworkRecord:
    """Read a network's record.

    Args:
        networkname: Its name.

    Returns:
        The record.

    Raises:
        NetworkNotFoundError: When there is none; names those there are.
        CorruptStateError: When it cannot be read.
    """
    validate_name(networkname, "network name")
    record = await state.load(layout.network_files(networkname).record, NetworkRecord)
    if record is None:
        known = ", ".join(network.name for network in await load_networks()) or "none"
        raise NetworkNotFoundError(
            f"there is no network {networkname!r}",
            hint=f"Networks there are: {known}.",
            driver="qemu",
            network=networkname,
        )
    return record


async def load_networks() -> list[NetworkRecord]:
    """Read the records of all networks.

    Returns:
        The records, ordered by name; one that cannot be read is logged and left out.
    """
    return await anyio.to_thread.run_sync(_load_networks)


async def load_host(hostname: str, networkname: str, clustername: str) -> HostRecord:
    """Read a host's record.

    Args:
        hostname: Its name.
        networkname: Name of its network.
        clustername: Name of its cluster.

    Returns:
        The record.

    Raises:
        HostNotFoundError: When there is none.
        CorruptStateError: When it cannot be read.
    """
    validate_name(hostname, "host name")
    validate_name(networkname, "network name")
    validate_name(clustername, "cluster name")
    files = layout.network_files(networkname).host(clustername, hostname)
    record = await state.load(files.record, HostRecord)
    if record is None:
        raise HostNotFoundError(
            f"there is no host {hostname!r} in network {networkname!r} and cluster {clustername!r}",
            driver="qemu",
            network=networkname,
            cluster=clustername,
            host=hostname,
        )
    return record


async def load_hosts(networkname: str | None = None) -> list[HostRecord]:
    """Read the records of all hosts.

    Args:
        networkname: Name of the only network to look at; None for all.

    Returns:
        The records, ordered by cluster, network and name; one that cannot be read is
        logged and left out, so that it does not hurt other clusters.
    """
    return await anyio.to_thread.run_sync(_load_hosts, networkname)


async def refuse_unreadable_hosts(networkname: str) -> None:
    """Make sure that no host of a network is overlooked because its record is damaged.

    Args:
        networkname: Name of the network.

    Raises:
        CorruptStateError: When there is a host's folder without a readable record.
    """
    damaged = await unreadable_hosts(networkname)
    if damaged:
        raise CorruptStateError(
            f"network {networkname!r} has hosts whose records cannot be read: "
            f"{', '.join(map(str, damaged))}",
            hint="Nothing was changed. Mend these records, or move the folders away.",
            driver="qemu",
            network=networkname,
        )


async def unreadable_hosts(networkname: str | None = None) -> list[Path]:
    """List the hosts whose records cannot be read.

    Args:
        networkname: Name of the only network to look at; None for all.

    Returns:
        Their folders.
    """
    if networkname is None:
        return await anyio.to_thread.run_sync(_all_unreadable_hosts)
    return await anyio.to_thread.run_sync(_unreadable_hosts, networkname)


async def save_host(record: HostRecord) -> None:
    """Replace a host's record; the caller holds the network's lock.

    Args:
        record: The record.
    """
    await state.save(record.files.record, record)


def sweep(networkname: str) -> None:
    """Remove what interrupted creates and deletes left; the caller holds the network's lock.

    Args:
        networkname: Name of the network.
    """
    hosts = layout.network_files(networkname).hosts
    for folder in _folders(hosts):
        for left in folder.iterdir():
            if left.name.startswith(layout.HALF_MADE):
                shutil.rmtree(left, ignore_errors=True)
        try:
            folder.rmdir()
        except OSError:  # other hosts are in it
            pass


def _unreadable_hosts(networkname: str) -> list[Path]:
    readable = {host.files.folder for host in _load_hosts(networkname)}
    hosts = layout.network_files(networkname).hosts
    return [
        folder
        for cluster in _folders(hosts)
        for folder in _folders(cluster)
        if folder not in readable
    ]


def _all_unreadable_hosts() -> list[Path]:
    # By folder and not by record: that of the network may be damaged as well.
    networks = [folder.name for folder in _folders(layout.networks_folder())]
    return [host for network in networks for host in _unreadable_hosts(network)]


def _load_networks() -> list[NetworkRecord]:
    records = []
    for folder in _folders(layout.networks_folder()):
        record = _readable(layout.NetworkFiles(folder).record, NetworkRecord)
        if record is not None:
            records.append(record)
    return sorted(records, key=lambda record: record.name)


def _load_hosts(networkname: str | None) -> list[HostRecord]:
    root = layout.networks_folder()
    networks = _folders(root) if networkname is None else [root / networkname]
    records = []
    for network in networks:
        for cluster in _folders(layout.NetworkFiles(network).hosts):
            for folder in _folders(cluster):
                record = _readable(layout.HostFiles(folder).record, HostRecord)
                if record is not None:
                    records.append(record)
    return sorted(records, key=lambda it: (it.clustername, it.networkname, it.name))


def _folders(folder: Path) -> Iterator[Path]:
    try:
        entries = sorted(folder.iterdir())
    except (FileNotFoundError, NotADirectoryError):
        return
    except OSError as error:
        raise StateError(
            f"the folder {folder} cannot be read: {error.strerror}",
            hint=advice(error, "See who owns it."),
            driver="qemu",
        ) from error
    for entry in entries:
        if not entry.name.startswith(layout.HALF_MADE) and entry.is_dir():
            yield entry


def _check_id(text: str) -> None:
    if _ID.fullmatch(text) is None:
        raise ValueError(f"{text[:40]!r} is not eight hexadecimal digits")


def _readable(path: Path, kind: type[T]) -> T | None:
    try:
        return state.load_now(path, kind)
    except CorruptStateError as error:
        _log.warning("%s", error)
        return None
