"""Networks: made, found, removed."""

from __future__ import annotations

import secrets
import shutil
from contextlib import suppress

import anyio
import anyio.to_thread

from kutti_sdk.core.errors import NetworkExistsError, NetworkInUseError, NetworkNotFoundError
from kutti_sdk.core.names import validate_name
from kutti_sdk.core.network import VMNetwork, validate_cidr
from kutti_sdk.drivers.qemu import layout, records
from kutti_sdk.drivers.qemu.checkpoints.receiver import end_left_receivers
from kutti_sdk.drivers.qemu.records import NetworkRecord
from kutti_sdk.drivers.qemu.services import stop_services
from kutti_sdk.runtime import state
from kutti_sdk.runtime.locks import locked


class QemuNetwork(VMNetwork):
    """A private network of the QEMU driver; costs nothing while no host runs.

    Args:
        record: What is stored about it.
    """

    def __init__(self, record: NetworkRecord) -> None:
        self._record = record

    @property
    def name(self) -> str:
        """The network's name."""
        return self._record.name

    @property
    def net_cidr(self) -> str:
        """The network's address range."""
        return self._record.cidr

    def __repr__(self) -> str:
        return f"<QemuNetwork {self.name} {self.net_cidr}>"


async def create_network(networkname: str, cidr: str) -> QemuNetwork:
    """Make a network; its processes start with its first host.

    Args:
        networkname: Its name.
        cidr: Its address range.

    Returns:
        The network.

    Raises:
        NetworkExistsError: When there is one of that name.
    """
    files = layout.network_files(validate_name(networkname, "network name"))
    record = NetworkRecord(name=networkname, cidr=str(validate_cidr(cidr)), id=secrets.token_hex(4))
    async with locked(files.lock):
        if await anyio.Path(files.record).exists():
            raise NetworkExistsError(
                f"there is a network {networkname!r} already",
                hint="Use it with get_network, or choose another name.",
                driver="qemu",
                network=networkname,
            )
        await anyio.Path(files.folder).mkdir(mode=0o700, exist_ok=True)
        try:
            await state.save(files.record, record)
        except BaseException:
            with suppress(OSError):  # it is not empty: the record is in it all the same
                files.folder.rmdir()
            raise
    return QemuNetwork(record)


async def delete_network(networkname: str) -> None:
    """Remove a network with its processes, files and sockets.

    Args:
        networkname: Its name.

    Raises:
        NetworkNotFoundError: When there is none of that name.
        NetworkInUseError: When hosts are in it.
        CorruptStateError: When hosts are in it whose records cannot be read.
    """
    files = layout.network_files(validate_name(networkname, "network name"))
    async with locked(files.lock):
        hosts = await records.load_hosts(networkname)
        if hosts:
            names = ", ".join(f"{host.name} (cluster {host.clustername})" for host in hosts)
            raise NetworkInUseError(
                f"network {networkname!r} still has hosts: {names}",
                hint="Delete its hosts first.",
                driver="qemu",
                network=networkname,
            )
        await records.refuse_unreadable_hosts(networkname)
        try:
            record = await records.load_network(networkname)
        except NetworkNotFoundError:
            # Who made or removed it may have been killed.
            await anyio.to_thread.run_sync(_remove_files, files)
            raise
        for checkpoints in await anyio.to_thread.run_sync(
            lambda: list(files.checkpoints_folder.glob("*/"))
        ):
            await end_left_receivers(checkpoints)
        await stop_services(record)
        await anyio.to_thread.run_sync(_remove_sockets, record)
        await anyio.to_thread.run_sync(_remove_files, files)


def _remove_sockets(record: NetworkRecord) -> None:
    shutil.rmtree(record.sockets.folder, ignore_errors=True)


def _remove_files(files: layout.NetworkFiles) -> None:
    files.record.unlink(missing_ok=True)  # from here on it does not exist
    shutil.rmtree(files.folder, ignore_errors=True)
    files.lock.unlink(missing_ok=True)
