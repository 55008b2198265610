"""The configuration file of the switch: what the driver writes and the switch reads.

The driver replaces the file atomically and sends SIGHUP. Unknown keys are ignored, so that a
newer driver can talk to a switch that was started before an upgrade.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, replace
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

from .errors import ConfigError
from .ethernet import format_mac, is_group, parse_mac

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["GATEWAY_MAC_PREFIX", "Lease", "SwitchConfig", "load"]

GATEWAY_MAC_PREFIX: Final = b"\x52\x55"
"""Slirp's own MACs are these two bytes and the IPv4 address (libslirp, `special_ethaddr`)."""

_T = TypeVar("_T")

_SERVICE_MAC_PREFIX: Final = b"\x52\x57"
_LABEL: Final = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")  # RFC 1123, section 2.1
_MAX_DOMAIN: Final = 180  # a host's label and the domain stay below RFC 1035's 255 bytes
_MIN_ADDRESSES: Final = 8


@dataclass(frozen=True, slots=True)
class Lease:
    """One host of the network and the address that it always gets.

    Attributes:
        hostname: An RFC 1123 label in lower case; also the host's DNS name.
        mac: The hardware address, six bytes.
        address: The fixed IPv4 address.
        port: Name of the host's socket without its ending; from there alone the two addresses
            are taken.
    """

    hostname: str
    mac: bytes
    address: IPv4Address
    port: str


@dataclass(frozen=True, slots=True)
class SwitchConfig:
    """Everything that one switch needs to know.

    Attributes:
        network: The network's name, for the log.
        cidr: The private IPv4 network.
        ports_dir: Folder in which the hosts' sockets appear as `<name>.sock`. When the folder is
            gone, the switch ends.
        gateway_socket: Where the NAT gateway listens.
        gateway_address: The NAT gateway's address, the hosts' default route.
        service_address: The switch's own address: DHCP, DNS, ping.
        domain: Search domain; `<hostname>.<domain>` is answered by the switch.
        log: File that the log is appended to.
        leases: The hosts; all others get no address.
        consoles: What the hosts write to their serial consoles; kept short.
        resolv_conf: File whose `nameserver` lines say where other names are asked for.
        resolver_port: UDP port of those name servers.
    """

    network: str
    cidr: IPv4Network
    ports_dir: Path
    gateway_socket: Path
    gateway_address: IPv4Address
    service_address: IPv4Address
    domain: str
    log: Path
    leases: tuple[Lease, ...] = ()
    consoles: tuple[Path, ...] = ()
    resolv_conf: Path = Path("/etc/resolv.conf")
    resolver_port: int = 53

    @property
    def service_mac(self) -> bytes:
        """The switch's own hardware address, locally administered, derived from its address."""
        return _SERVICE_MAC_PREFIX + self.service_address.packed

    def can_become(self, other: SwitchConfig) -> bool:
        """Tell whether a running switch can take over `other`: hosts and domain may differ."""
        return self == replace(
            other, leases=self.leases, consoles=self.consoles, domain=self.domain
        )

    def to_json(self) -> str:
        """Return the text that `load` reads back to an equal value."""
        leases = [
            {
                "hostname": lease.hostname,
                "mac": format_mac(lease.mac),
                "address": str(lease.address),
                "port": lease.port,
            }
            for lease in self.leases
        ]
        document = {
            "network": self.network,
            "cidr": str(self.cidr),
            "ports_dir": str(self.ports_dir),
            "gateway_socket": str(self.gateway_socket),
            "gateway_address": str(self.gateway_address),
            "service_address": str(self.service_address),
            "domain": self.domain,
            "log": str(self.log),
            "leases": leases,
            "consoles": [str(console) for console in self.consoles],
            "resolv_conf": str(self.resolv_conf),
            "resolver_port": self.resolver_port,
        }
        return json.dumps(document, indent=2) + "\n"


def load(path: Path) -> SwitchConfig:
    """Read and check a configuration file.

    Raises:
        ConfigError: The file cannot be used; the message names the file and the key.
    """
    try:
        return _read(json.loads(path.read_bytes()))
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from error
    except (ValueError, RecursionError) as error:  # includes bad JSON and bad UTF-8
        raise ConfigError(f"{path}: {error}") from error


def _read(document: object) -> SwitchConfig:
    fields = _object("the file", document)
    config = SwitchConfig(
        network=_text(fields, "network"),
        cidr=_parsed(IPv4Network, fields, "cidr"),
        ports_dir=_path(fields, "ports_dir"),
        gateway_socket=_path(fields, "gateway_socket"),
        gateway_address=_parsed(IPv4Address, fields, "gateway_address"),
        service_address=_parsed(IPv4Address, fields, "service_address"),
        domain=_parsed(_domain, fields, "domain"),
        log=_path(fields, "log"),
        leases=_leases(fields.get("leases", [])),
        consoles=_paths(fields, "consoles"),
        resolv_conf=_path(fields, "resolv_conf", "/etc/resolv.conf"),
        resolver_port=_udp_port(fields.get("resolver_port", 53)),
    )
    _check_addresses(config)
    return config


def _object(where: str, value: object) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ValueError(f"{where}: must be a JSON object")
    return value


def _text(fields: dict[str, Any], key: str, default: str | None = None) -> str:
    value = fields.get(key, default)
    if not isinstance(value, str) or not value:
        raise ValueError(f"{key}: must be a text and not empty")
    return value


def _path(fields: dict[str, Any], key: str, default: str | None = None) -> Path:
    path = Path(_text(fields, key, default))
    if not path.is_absolute():
        raise ValueError(f"{key}: must be an absolute path, not {str(path)!r}")
    return path


def _paths(fields: dict[str, Any], key: str) -> tuple[Path, ...]:
    texts = fields.get(key, [])
    if not isinstance(texts, list):
        raise ValueError(f"{key}: must be a list")
    return tuple(_path({key: text}, key) for text in texts)


def _parsed(parse: Callable[[str], _T], fields: dict[str, Any], key: str) -> _T:
    text = _text(fields, key)
    try:
        return parse(text)
    except ValueError as error:
        raise ValueError(f"{key}: {error}") from error


def _label(text: str) -> str:
    if not _LABEL.fullmatch(text):
        raise ValueError(f"{text!r} is not a DNS label in lower case")
    return text


def _domain(text: str) -> str:
    if len(text) > _MAX_DOMAIN:
        raise ValueError(f"longer than {_MAX_DOMAIN} characters")
    return ".".join(_label(label) for label in text.split("."))


def _udp_port(value: object) -> int:
    if type(value) is not int or not 0 < value < 65536:
        raise ValueError("resolver_port: must be a port number")
    return value


def _leases(value: object) -> tuple[Lease, ...]:
    if not isinstance(value, list):
        raise ValueError("leases: must be a list")
    leases = []
    for index, item in enumerate(value):
        try:
            leases.append(_lease(_object("lease", item)))
        except ValueError as error:
            raise ValueError(f"leases[{index}]: {error}") from error
    return tuple(leases)


def _lease(fields: dict[str, Any]) -> Lease:
    mac = _parsed(parse_mac, fields, "mac")
    if is_group(mac):
        raise ValueError("mac: is a group address")
    if mac[:2] in (GATEWAY_MAC_PREFIX, _SERVICE_MAC_PREFIX):
        raise ValueError("mac: 52:55 and 52:57 are kept for the gateway and the switch")
    return Lease(
        hostname=_parsed(_label, fields, "hostname"),
        mac=mac,
        address=_parsed(IPv4Address, fields, "address"),
        port=_text(fields, "port"),
    )


def _check_addresses(config: SwitchConfig) -> None:
    if config.cidr.num_addresses < _MIN_ADDRESSES:
        raise ValueError(f"cidr: {config.cidr} is too small")
    taken: dict[object, str] = {
        config.cidr.network_address: "the network",
        config.cidr.broadcast_address: "the broadcast address",
    }
    wanted = {"gateway_address": config.gateway_address, "service_address": config.service_address}
    wanted |= {f"the address of {lease.hostname}": lease.address for lease in config.leases}
    if len(wanted) != len(config.leases) + 2:
        raise ValueError("leases: two hosts have the same hostname")
    for what, address in wanted.items():
        if address not in config.cidr:
            raise ValueError(f"{what}: {address} is not in {config.cidr}")
        if address in taken:
            raise ValueError(f"{what}: {address} is already {taken[address]}")
        taken[address] = what
    if len({lease.mac for lease in config.leases}) != len(config.leases):
        raise ValueError("leases: two hosts have the same mac")
    if len({lease.port for lease in config.leases}) != len(config.leases):
        raise ValueError("leases: two hosts have the same port")
