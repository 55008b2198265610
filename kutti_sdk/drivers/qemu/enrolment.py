"""The first log-in to a host whose image was made elsewhere.

Such an image may take its identity from systemd's credentials, as ours do, or not.
Which of the two is seen by the host key that answers: it is the one that was made
for the host, or another. In the second case the user that kutti's images document,
``kuttiadmin`` with its published password, is used once: to put our keys, the
host's name and its machine id in place, and to close all passwords. From then on
the host is reached with our keys only, and has to prove itself as any other.

A file in the host's folder is what is run then. It is removed when the host has
shown its own key, so that no later start can lead here again. Sources:
INTERFACE.md and buildhttp/preseed_bookworm.cfg of kuttiproject/driver-vbox-images.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Awaitable, Callable
from importlib.resources import files

import anyio
import anyio.to_thread

from kutti_sdk.core.errors import (
    HostKeyMismatchError,
    HypervisorError,
    SSHAuthenticationError,
    SSHConnectionError,
)
from kutti_sdk.core.events import report
from kutti_sdk.core.ssh import CommandResult, SSHCredentials
from kutti_sdk.drivers.qemu import identity, records
from kutti_sdk.drivers.qemu.records import HostRecord, NetworkRecord
from kutti_sdk.runtime.locks import locked
from kutti_sdk.runtime.state import sync_folder
from kutti_sdk.runtime.tasks import interruptible
from kutti_sdk.ssh.client import AsyncSSHClient
from kutti_sdk.ssh.unverified import run_unverified

PUBLISHED_USER = "kuttiadmin"
"""The user of kutti's images who may log in by a published password and use sudo."""

_PUBLISHED_PASSWORD = "Pass@word1"  # noqa: S105 - it is public, and is closed with its first use
_MACHINE_UUID = "/sys/class/dmi/id/product_uuid"

_RETRY = 0.1  # seconds; nothing tells when a server that is starting or restarting is there
_SETTLE = 60.0  # seconds that the server may take to show its new key
_LOCK_TIMEOUT = 600.0  # seconds; another process may be at it, on a slow machine


class EnrollingSSHClient(AsyncSSHClient):
    """Logs in to a host that may have to be enrolled first; then it is as any other.

    Args:
        credentials: How to log in, once the host is enrolled.
        record: The host.
    """

    def __init__(self, credentials: SSHCredentials, record: HostRecord) -> None:
        super().__init__(credentials, host=record.name)
        self._record = record

    @interruptible
    async def wait_until_ready(self, address: str) -> None:
        """See `SSHClient.wait_until_ready`; enrols the host if that is needed."""
        await super().wait_until_ready(address)
        script = anyio.Path(self._record.files.enrolment)
        if not await script.exists():
            return
        ours = await self._is_ours(address)
        network = await records.load_network(self._record.networkname)
        # The host's lock, so that of several who wait for it one enrols it.
        async with locked(network.sockets.lock(self._record.id), timeout=_LOCK_TIMEOUT):
            if not await script.exists():
                return
            if not ours:
                await self._enrol(address, await script.read_text())
                await self._become_ours(address)
            await script.unlink(missing_ok=True)
            await anyio.to_thread.run_sync(sync_folder, self._record.files.folder)

    async def _is_ours(self, address: str) -> bool:
        """Tell whether the host shows the key that was made for it, and lets us in."""
        try:
            await _patiently(lambda: self.run_with_results(address, "true", check=True))
        except HostKeyMismatchError:
            return False
        return True

    async def _become_ours(self, address: str) -> None:
        with anyio.move_on_after(_SETTLE):
            while not await self._is_ours(address):  # noqa: ASYNC110 - it tells nobody
                await anyio.sleep(_RETRY)
            return
        raise HypervisorError(
            f"host {self._record.name!r} was set up, and does not show its new key",
            hint="Look at its console, or restart it.",
            driver="qemu",
            host=self._record.name,
        )

    async def _enrol(self, address: str, script: str) -> None:
        name, key = self._record.name, self._credentials.private_key

        async def attempt(credentials: SSHCredentials, sudo: str) -> CommandResult:
            return await _patiently(
                lambda: run_unverified(
                    address,
                    credentials,
                    f"{sudo}sh -s",
                    stdin=script,
                    question=f"{sudo}cat {_MACHINE_UUID}",
                    answer=self._record.uuid,
                    host=name,
                )
            )

        try:
            # The passwords are closed already when a former attempt was cut off.
            result = await attempt(SSHCredentials("root", private_key=key), "")
        except SSHAuthenticationError:
            self._tell(f"setting {name} up as {PUBLISHED_USER}, once")
            try:
                published = SSHCredentials(PUBLISHED_USER, password=_PUBLISHED_PASSWORD)
                result = await attempt(published, "sudo -n ")
            except SSHAuthenticationError as error:
                raise SSHAuthenticationError(
                    f"host {name!r} takes no identity from systemd credentials, "
                    f"and has no user {PUBLISHED_USER} with the published password",
                    hint="Use an image with systemd 251 or later, or one of kutti's.",
                    host=name,
                ) from error
        if not result.ok:
            raise HypervisorError(
                f"host {name!r} could not be set up: {result.stderr.strip()}",
                hint="What was begun is done again with the next attempt.",
                driver="qemu",
                host=name,
            )

    def _tell(self, message: str) -> None:
        report("enrol", message, cluster=self._record.clustername, host=self._record.name)


async def _patiently(attempt: Callable[[], Awaitable[CommandResult]]) -> CommandResult:
    """Repeat what can be repeated while a system boots, whose servers come and go."""
    while True:
        try:
            return await attempt()
        except (HostKeyMismatchError, SSHAuthenticationError):
            raise
        except SSHConnectionError:
            await anyio.sleep(_RETRY)


def enrolment_script(
    host: HostRecord, network: NetworkRecord, *, host_key: str, authorized_key: str
) -> bytes:
    """Write the script that sets a host up at the first log-in.

    Args:
        host: The host.
        network: Its network.
        host_key: Private key of its SSH server, in OpenSSH's format.
        authorized_key: Public key that may log in.

    Returns:
        The script, for a POSIX shell that is run by root.
    """
    values = {
        "name": f"{host.name}\n",
        "machine_id": f"{identity.machine_id(host)}\n",
        "authorized_key": f"{authorized_key}\n",
        "host_key": host_key,
        "host_key_pub": f"{host.host_key}\n",
        "hosts": identity.hosts_file(host, network),
        "sshd_config": identity.SSHD_CONFIG,
    }
    given = "".join(
        f"{name}={b64encode(value.encode()).decode()}\n" for name, value in values.items()
    )
    return given.encode() + (files(__package__) / "enrolment.sh").read_bytes()
