"""The names that the switch answers by itself: the hosts of its network.

`node1` and `node1.<domain>` have A records and the addresses have PTR records. Everything else
below the domain, and every other address of the network, does not exist: asking the outside for
private names would only tell them to strangers (RFC 6303).
"""

from __future__ import annotations

from ipaddress import IPv4Address
from typing import TYPE_CHECKING, Final

from .dns import CLASS_IN, DnsQuery, Rcode, Rtype, build_answer, encode_name

if TYPE_CHECKING:
    from .config import SwitchConfig

__all__ = ["Zone"]

_REVERSE: Final = ".in-addr.arpa"


class Zone:
    """The forward and reverse names of one network."""

    def __init__(self, config: SwitchConfig) -> None:
        self._cidr = config.cidr
        self._suffix = f".{config.domain}"
        self._addresses: dict[str, IPv4Address] = {}
        self._names: dict[IPv4Address, str] = {}
        for lease in config.leases:
            full_name = lease.hostname + self._suffix
            self._addresses[lease.hostname] = self._addresses[full_name] = lease.address
            self._names[lease.address] = full_name

    def answer(self, query: DnsQuery) -> bytes | None:
        """Return the answer to a question about this network, or None for any other question."""
        if query.rclass != CLASS_IN:
            return None
        if (address := self._addresses.get(query.name)) is not None:
            if query.rtype in (Rtype.A, Rtype.ANY):
                return build_answer(query, Rcode.NOERROR, Rtype.A, address.packed)
            return build_answer(query, Rcode.NOERROR)  # the name exists, without such records
        if query.name == self._suffix[1:]:
            return build_answer(query, Rcode.NOERROR)
        if query.name.endswith(self._suffix):
            return build_answer(query, Rcode.NXDOMAIN)
        return self._reverse(query)

    def _reverse(self, query: DnsQuery) -> bytes | None:
        address = _reverse_address(query.name)
        if address is None or address not in self._cidr:
            return None
        name = self._names.get(address)
        if name is None:
            return build_answer(query, Rcode.NXDOMAIN)
        if query.rtype in (Rtype.PTR, Rtype.ANY):
            return build_answer(query, Rcode.NOERROR, Rtype.PTR, encode_name(name))
        return build_answer(query, Rcode.NOERROR)


def _reverse_address(name: str) -> IPv4Address | None:
    if not name.endswith(_REVERSE):
        return None
    try:
        return IPv4Address(".".join(reversed(name.removesuffix(_REVERSE).split("."))))
    except ValueError:
        return None
