"""Logging in: one SSH connection with exactly the keys and host keys that were given."""

from __future__ import annotations

import asyncio
import socket
from contextlib import AsyncExitStack
from typing import Any

import asyncssh
from asyncssh.known_hosts import KnownHostsArg
from asyncssh.public_key import get_default_public_key_algs

from kutti_sdk.core.errors import InvalidInputError, SSHAuthenticationError
from kutti_sdk.ssh.endpoint import Endpoint

KEEPALIVE_INTERVAL = 15.0
"""Seconds of silence after which the peer is asked whether it is there."""

KEEPALIVE_COUNT = 4
"""Questions without an answer that make a connection count as lost.

A minute in all: an emulated host that is busy booting Kubernetes may be deaf for a while.
"""


async def log_in(
    endpoint: Endpoint, connected: socket.socket | None = None
) -> asyncssh.SSHClientConnection:
    """Connect, check the host key and log in; runs on the island.

    Neither the user's SSH configuration nor anything but the given credentials is used.

    Args:
        endpoint: Where to and as whom.
        connected: A TCP connection that is there already; None to make one.

    Returns:
        The connection.

    Raises:
        InvalidInputError: When the host key given is none.
        SSHAuthenticationError: When the private key cannot be read.
        TimeoutError: When it took longer than the endpoint's time-out.
        OSError: When the address cannot be reached.
        asyncssh.Error: For everything that the two ends do not agree about.
    """
    return await _connect(endpoint, connected, _host_trust(endpoint))


async def log_in_unverified(endpoint: Endpoint) -> asyncssh.SSHClientConnection:
    """Connect and log in to whoever answers, unseen; runs on the island.

    Args:
        endpoint: Where to and as whom; its host key is not looked at.

    Returns:
        The connection.

    Raises:
        SSHAuthenticationError: As `log_in` does, and for all that follow.
        TimeoutError: When it took longer than the endpoint's time-out.
        OSError: When the address cannot be reached.
        asyncssh.Error: For everything that the two ends do not agree about.
    """
    return await _connect(endpoint, None, {"known_hosts": None})


async def _connect(
    endpoint: Endpoint, connected: socket.socket | None, trust: dict[str, Any]
) -> asyncssh.SSHClientConnection:
    credentials = endpoint.credentials
    async with asyncio.timeout(endpoint.connect_timeout), AsyncExitStack() as agents:
        keys = await _client_keys(endpoint, agents)
        return await asyncssh.connect(
            *(() if connected else (endpoint.address, endpoint.port)),
            client_factory=lambda: _Doorkeeper(credentials.host_key),
            sock=connected,
            config=None,
            username=credentials.username,
            **trust,
            client_keys=keys or None,
            agent_path=None,
            password=credentials.password,
            password_auth=credentials.password is not None,
            kbdint_auth=credentials.password is not None,
            host_based_auth=False,
            gss_kex=False,
            gss_auth=False,
            # The line is local or a LAN, the guest's processor is what is scarce.
            compression_algs=["none"],
            connect_timeout=None,
            login_timeout=None,
            keepalive_interval=KEEPALIVE_INTERVAL,
            keepalive_count_max=KEEPALIVE_COUNT,
        )


class _Doorkeeper(asyncssh.SSHClient):
    """Tells the key of a server that is not trusted, so that people can compare it."""

    def __init__(self, expected: str | None) -> None:
        self._expected = expected

    def validate_host_public_key(
        self, _host: str, _addr: str, _port: int, key: asyncssh.SSHKey
    ) -> bool:
        """Refuse a key that is not among those that are trusted."""
        shown = key.get_fingerprint()
        if self._expected is None:
            raise asyncssh.HostKeyNotVerifiable(f"it shows the key {shown}, which is not known")
        wanted = asyncssh.import_public_key(self._expected).get_fingerprint()
        raise asyncssh.HostKeyNotVerifiable(f"it shows the key {shown}, and {wanted} is expected")


async def _client_keys(
    endpoint: Endpoint, agents: AsyncExitStack
) -> list[asyncssh.SSHKey | asyncssh.SSHKeyPair]:
    keys: list[asyncssh.SSHKey | asyncssh.SSHKeyPair] = []
    file = endpoint.credentials.private_key
    if file is not None:
        try:
            keys.append(asyncssh.read_private_key(file))
        except (OSError, asyncssh.KeyImportError) as error:
            raise SSHAuthenticationError(
                f"the private key {file} cannot be used: {error}",
                hint="Give an OpenSSH key without a passphrase, or use the agent.",
                host=endpoint.name,
            ) from error
    if endpoint.credentials.use_agent:
        try:
            # Kept until the log-in is complete, because the agent signs for it.
            agent = await agents.enter_async_context(asyncssh.connect_agent())
        except OSError as error:
            raise SSHAuthenticationError(
                f"the SSH agent cannot be asked for keys: {error}",
                hint="Start one and add your key with ssh-add; SSH_AUTH_SOCK must name it.",
                host=endpoint.name,
            ) from error
        keys.extend(await agent.get_keys())
    return keys


def _host_trust(endpoint: Endpoint) -> dict[str, Any]:
    credentials = endpoint.credentials
    if credentials.host_key is None:
        file = credentials.known_hosts
        if file is None:
            return {}  # asyncssh looks into the user's own file
        return {"known_hosts": str(file) if file.exists() else _trust()}
    try:
        key = asyncssh.import_public_key(credentials.host_key)
    except asyncssh.KeyImportError as error:
        raise InvalidInputError(
            f"the host key of {endpoint.name} is not an OpenSSH public key: {error}",
            hint='Write it like "ssh-ed25519 AAAA...".',
            host=endpoint.name,
        ) from error
    # Other kinds of keys are asked for as well, so that another host shows one and
    # is found out, in place of ending the connection for want of a common kind.
    kinds = dict.fromkeys((*key.sig_algorithms, *get_default_public_key_algs()))
    return {
        "known_hosts": _trust(key),
        "server_host_key_algs": [kind.decode() for kind in kinds],
    }


def _trust(*keys: asyncssh.SSHKey) -> KnownHostsArg:
    """Trust exactly these keys, and no authority, at whatever address."""
    return list(keys), [], [], [], [], [], []
