"""The contract of a network, and what may be a network's address range."""

from __future__ import annotations

from abc import ABC, abstractmethod
from ipaddress import IPv4Network

from kutti_sdk.core.display import Displayed
from kutti_sdk.core.errors import InvalidCIDRError

DEFAULT_CIDR = "192.168.125.0/24"
"""The range of a network when none is asked for; kutti's own."""

_PRIVATE = tuple(map(IPv4Network, ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16")))
_LONGEST_PREFIX = 27  # 32 addresses: services, gateway and 20 hosts
_SHORTEST_PREFIX = 16


class VMNetwork(Displayed, ABC):
    """A private network: its hosts reach each other and, outwards, the internet."""

    @property
    @abstractmethod
    def name(self) -> str:
        """The network's name, unique for its driver."""

    @property
    @abstractmethod
    def net_cidr(self) -> str:
        """The network's address range, such as ``192.168.125.0/24``."""


def validate_cidr(cidr: str) -> IPv4Network:
    """Check that an address range can be that of a network.

    Args:
        cidr: Address and prefix length, such as ``192.168.125.0/24``.

    Returns:
        The range.

    Raises:
        InvalidCIDRError: When it is not private IPv4 (RFC 1918) between /16 and /27,
            or has host bits set.
    """
    hint = f'Use a private range such as "{DEFAULT_CIDR}" or "10.20.30.0/24".'
    try:
        network = IPv4Network(cidr)
    except (ValueError, TypeError) as error:
        raise InvalidCIDRError(f"{cidr!r} is not an IPv4 range: {error}", hint=hint) from None
    if not any(network.subnet_of(private) for private in _PRIVATE):
        raise InvalidCIDRError(f"{cidr!r} is not a private range", hint=hint)
    if not _SHORTEST_PREFIX <= network.prefixlen <= _LONGEST_PREFIX:
        raise InvalidCIDRError(
            f"{cidr!r} is too {'small' if network.prefixlen > _LONGEST_PREFIX else 'large'}",
            hint=f"Use a prefix between /{_SHORTEST_PREFIX} and /{_LONGEST_PREFIX}.",
        )
    return network
