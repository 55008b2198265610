"""Where a command goes: an address, who logs in there, and what to call the host."""

from __future__ import annotations

from dataclasses import dataclass

from kutti_sdk.core.ssh import SSHCredentials


@dataclass(frozen=True, slots=True)
class Endpoint:
    """An SSH server as one client sees it.

    Attributes:
        address: Name or address to connect to.
        port: TCP port to connect to.
        credentials: How to log in, and how the host proves that it is the one.
        name: What results and errors call the host.
        connect_timeout: Seconds for TCP connect, key exchange and log-in together.
    """

    address: str
    port: int
    credentials: SSHCredentials
    name: str
    connect_timeout: float

    @property
    def place(self) -> str:
        """The host and where it is, for messages."""
        where = f"{self.address}:{self.port}"
        return where if self.name == where else f"{self.name} ({where})"
