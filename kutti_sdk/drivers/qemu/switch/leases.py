"""The DHCP server's decisions: each known hardware address gets its fixed address.

RFC 2131, sections 4.3.1 to 4.3.5. There is no lease database: an address belongs to its host for
as long as the configuration says so, and the lease time only makes hosts ask again.
"""

from __future__ import annotations

import logging
import struct
from ipaddress import IPv4Address
from typing import TYPE_CHECKING, Final

from .dhcp import DhcpMessage, Kind, Option
from .dns import encode_name
from .ethernet import format_mac

if TYPE_CHECKING:
    from .config import Lease, SwitchConfig

__all__ = ["LEASE_SECONDS", "DhcpServer"]

LEASE_SECONDS: Final = 24 * 60 * 60
"""How long a host may use its address without asking again: it asks after half of it."""

_REMEMBERED_STRANGERS: Final = 64
_ANY: Final = IPv4Address(0)
_log = logging.getLogger(__name__)


class DhcpServer:
    """Answers the DHCP messages of the hosts in the configuration and of nobody else."""

    def __init__(self, config: SwitchConfig) -> None:
        self._server = config.service_address
        self._leases = {lease.mac: lease for lease in config.leases}
        self._settings: dict[int, bytes] = {
            Option.SERVER_ID: config.service_address.packed,
            Option.SUBNET_MASK: config.cidr.netmask.packed,
            Option.BROADCAST_ADDRESS: config.cidr.broadcast_address.packed,
            Option.ROUTER: config.gateway_address.packed,
            Option.DNS_SERVER: config.service_address.packed,
            Option.DOMAIN_NAME: config.domain.encode("ascii"),
            Option.DOMAIN_SEARCH: encode_name(config.domain),
        }
        self._strangers: set[bytes] = set()

    def answer(self, request: DhcpMessage) -> DhcpMessage | None:
        """Return the answer to a client's message, or None when it gets none.

        Raises:
            PacketError: An option of the message is damaged.
        """
        if request.reply or request.relay_address != _ANY:
            return None  # servers are not our clients, and there are no relays on one wire
        lease = self._leases.get(request.mac)
        if lease is None:
            self._note_stranger(request.mac)
            return None
        match request.kind:
            case Kind.DISCOVER:
                return self._grant(Kind.OFFER, request, lease)
            case Kind.REQUEST:
                return self._confirm(request, lease)
            case Kind.INFORM:
                return self._inform(request, lease)
            case Kind.DECLINE:
                _log.warning("%s says that %s is in use", lease.hostname, lease.address)
        return None  # RELEASE included: the address stays the host's own

    def _confirm(self, request: DhcpMessage, lease: Lease) -> DhcpMessage | None:
        chosen = request.address_option(Option.SERVER_ID)
        if chosen not in (None, self._server):
            return None  # the client accepted somebody else's offer
        wanted = request.address_option(Option.REQUESTED_ADDRESS) or request.client_address
        if wanted != lease.address:
            return self._reply(Kind.NAK, request, {Option.SERVER_ID: self._server.packed})
        return self._grant(Kind.ACK, request, lease)

    def _grant(self, kind: Kind, request: DhcpMessage, lease: Lease) -> DhcpMessage:
        times = {
            Option.LEASE_TIME: LEASE_SECONDS,
            Option.RENEWAL_TIME: LEASE_SECONDS // 2,
            Option.REBINDING_TIME: LEASE_SECONDS * 7 // 8,  # RFC 2131, section 4.4.5
        }
        options = self._options_for(lease)
        options |= {code: struct.pack("!I", seconds) for code, seconds in times.items()}
        return self._reply(kind, request, options, lease.address)

    def _inform(self, request: DhcpMessage, lease: Lease) -> DhcpMessage:
        # The client has its address already: no address and no times (RFC 2131, section 4.3.5).
        return self._reply(Kind.ACK, request, self._options_for(lease))

    def _options_for(self, lease: Lease) -> dict[int, bytes]:
        return {**self._settings, Option.HOST_NAME: lease.hostname.encode("ascii")}

    def _reply(
        self,
        kind: Kind,
        request: DhcpMessage,
        options: dict[int, bytes],
        your_address: IPv4Address = _ANY,
    ) -> DhcpMessage:
        client_id = request.options.get(Option.CLIENT_ID)
        if client_id is not None:
            options = {**options, Option.CLIENT_ID: client_id}  # RFC 6842
        return DhcpMessage(
            reply=True,
            kind=kind,
            transaction=request.transaction,
            mac=request.mac,
            # A refused client may not have the address it was known by (RFC 2131, section 4.3.2).
            broadcast=request.broadcast or kind is Kind.NAK,
            client_address=_ANY if kind is Kind.NAK else request.client_address,
            your_address=your_address,
            options=options,
        )

    def _note_stranger(self, mac: bytes) -> None:
        if mac not in self._strangers and len(self._strangers) < _REMEMBERED_STRANGERS:
            self._strangers.add(mac)
            _log.warning("no lease for %s: its DHCP messages are ignored", format_mac(mac))
