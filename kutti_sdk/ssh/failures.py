"""What asyncssh and the system report, told in this library's own errors."""

from __future__ import annotations

import asyncssh

from kutti_sdk.core.errors import (
    HostKeyMismatchError,
    SSHAuthenticationError,
    SSHConnectionError,
    SSHError,
)
from kutti_sdk.ssh.endpoint import Endpoint


def connect_failure(error: Exception, endpoint: Endpoint) -> SSHConnectionError:
    """Say why no connection could be made.

    Args:
        error: What connecting raised.
        endpoint: Where to.

    Returns:
        A new error, to be raised from the other.
    """
    place = endpoint.place
    kind: type[SSHConnectionError] = SSHConnectionError
    match error:
        case asyncssh.HostKeyNotVerifiable():
            kind = HostKeyMismatchError
            message = f"{place} did not prove to be the expected host: {error.reason}"
            hint = _host_key_hint(endpoint)
        case asyncssh.PermissionDenied():
            kind = SSHAuthenticationError
            message = f"{place} does not let {endpoint.credentials.username!r} in"
            hint = _login_hint(endpoint)
        case TimeoutError():
            message = f"{place} did not complete a log-in within {endpoint.connect_timeout:g} s"
            hint = "Wait until the host is ready, or give a longer connect_timeout."
        case ConnectionRefusedError():
            message = f"nothing listens at {place}"
            hint = "Look whether the host runs and its SSH port is forwarded."
        case asyncssh.DisconnectError() | ConnectionError() | ValueError():
            message = f"{place} ended the connection before the log-in was complete: {error}"
            hint = "Wait until the host is ready. Perhaps it is no SSH server that listens there."
        case _:
            message = f"{place} cannot be reached: {error}"
            hint = "Look at the address and the network."
    return kind(message, hint=hint, host=endpoint.name)


def lost_connection(endpoint: Endpoint, doing: str) -> SSHConnectionError:
    """Say that a connection was lost while something ran over it.

    Args:
        endpoint: Where to.
        doing: What was going on, like ``while 'uptime' ran``.

    Returns:
        A new error.
    """
    return SSHConnectionError(
        f"the connection to {endpoint.place} was lost {doing}",
        hint="Look whether the host still runs. What was going on there may have been done "
        "in part, so it was not begun again.",
        host=endpoint.name,
    )


def refusal(error: Exception, endpoint: Endpoint) -> SSHError:
    """Say that a host lets the user in, but refuses what was asked for.

    Args:
        error: What opening the channel raised.
        endpoint: Where.

    Returns:
        A new error, to be raised from the other.
    """
    return SSHError(
        f"{endpoint.place} refuses what was asked for: {error}",
        hint="The configuration of its SSH server may forbid it for this user.",
        host=endpoint.name,
    )


def _host_key_hint(endpoint: Endpoint) -> str:
    if endpoint.credentials.host_key is not None:
        return (
            "Another host answers at this address, or the host got a new key. "
            "Look at the port forwards; nothing was sent to it."
        )
    file = endpoint.credentials.known_hosts or "~/.ssh/known_hosts"
    return (
        f"Compare the server's key (ssh-keyscan -p {endpoint.port} {endpoint.address}) with the "
        f"host's own, then add it to {file} or give it as SSHCredentials.host_key."
    )


def _login_hint(endpoint: Endpoint) -> str:
    credentials = endpoint.credentials
    offered = [
        what
        for what, given in (
            (f"the key {credentials.private_key}", credentials.private_key),
            ("the agent's keys", credentials.use_agent),
            ("a password", credentials.password),
        )
        if given
    ]
    return f"Offered: {', '.join(offered) or 'nothing'}. Look at the user name and the keys."
