"""The address of a server, as users write it and as clients are told it."""

from __future__ import annotations

import ipaddress
import socket

from kutti_sdk.core.errors import InvalidPortError
from kutti_sdk.core.ports import validate_host_port


def parse_address(address: str) -> tuple[str, int]:
    """Read an address to listen on.

    Names are not taken: they may stand for more than one address.

    Args:
        address: An IP address of this machine and a port, with a colon between them.

    Returns:
        The IP address and the port.

    Raises:
        InvalidPortError: When it is something else.
    """
    host, _, port = address.rpartition(":")
    try:
        if not (port.isascii() and port.isdecimal()):
            raise ValueError(port)
        ip = ipaddress.ip_address(host.removeprefix("[").removesuffix("]"))
    except ValueError as error:
        raise InvalidPortError(
            f"{address!r} is not an IP address and a port",
            hint="Write it like 192.168.1.5:8099 or [fd00::5]:8099; 127.0.0.1:8099 is for "
            "this machine alone.",
        ) from error
    return str(ip), validate_host_port(int(port))


def url_of(sock: socket.socket) -> str:
    """Tell the URL of this end of a socket.

    Args:
        sock: A socket that listens, or that a client came by.

    Returns:
        The URL, without a slash at the end.
    """
    host, port = sock.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
