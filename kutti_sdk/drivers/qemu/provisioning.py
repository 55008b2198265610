"""Hosts made and removed: their disk, identity, address and record."""

from __future__ import annotations

import secrets
import uuid
from collections.abc import Awaitable, Callable
from functools import partial

import anyio
import anyio.to_thread

from kutti_sdk.core.errors import (
    HostExistsError,
    HostRunningError,
    InvalidCIDRError,
)
from kutti_sdk.core.host import HostSize
from kutti_sdk.core.names import validate_name
from kutti_sdk.drivers.qemu import capacity, forwards, layout, lifecycle, records
from kutti_sdk.drivers.qemu.binaries import find_qemu
from kutti_sdk.drivers.qemu.enrolment import enrolment_script
from kutti_sdk.drivers.qemu.firmware import boots_by_efi, find_efi
from kutti_sdk.drivers.qemu.host_folder import make_host_folder
from kutti_sdk.drivers.qemu.identity import foreign_lines, machine_id_line, smbios_string
from kutti_sdk.drivers.qemu.images import image_for_new_host
from kutti_sdk.drivers.qemu.overlay import make_overlay, refuse_smaller
from kutti_sdk.drivers.qemu.records import HostRecord, NetworkRecord
from kutti_sdk.drivers.qemu.resume import identity_values, new_host_values
from kutti_sdk.drivers.qemu.services import tell_switch
from kutti_sdk.drivers.qemu.settings import ImageSettings
from kutti_sdk.drivers.qemu.templates.store import held
from kutti_sdk.drivers.qemu.templates.using import above_template, fill_from_template
from kutti_sdk.images.store import LocalImage
from kutti_sdk.runtime import processes
from kutti_sdk.runtime.locks import locked
from kutti_sdk.ssh.keys import cluster_key_pair, generate_host_key


async def create_host(
    hostname: str,
    networkname: str,
    clustername: str,
    k8sversion: str,
    size: HostSize,
    *,
    settings: ImageSettings,
    find_template: Callable[[LocalImage, HostSize], Awaitable[str | None]],
) -> HostRecord:
    """Make a host and leave it stopped.

    All of it is made beside and renamed into place, so that a host is there as a
    whole or not at all.

    Args:
        hostname: Its name.
        networkname: Name of its network.
        clustername: Name of its cluster.
        k8sversion: Version of its image.
        size: CPUs, memory and disk.
        settings: Where images come from.
        find_template: Names the template that it may go on from at its first start.

    Returns:
        Its record.

    Raises:
        KuttiError: As `VMDriver.create_host` lists them.
    """
    validate_name(hostname, "host name")
    validate_name(clustername, "cluster name")
    network = await records.load_network(networkname)
    image = await image_for_new_host(k8sversion, settings)
    capacity.check_size(size)
    refuse_smaller(image, size.disk)
    await capacity.check_disk(1)
    variables = await _first_variables(image)
    template_name = await find_template(image, size)
    async with locked(network.files.lock):
        await records.load_network(networkname)  # it may be gone by now
        hosts = await records.load_hosts(networkname)
        _refuse_taken_name(hosts, hostname, clustername)
        await records.refuse_unreadable_hosts(networkname)  # their addresses are not known
        await anyio.to_thread.run_sync(records.sweep, networkname)
        address = _free_address(network, hosts)
        host_key = generate_host_key()
        record = HostRecord(
            name=hostname,
            networkname=networkname,
            clustername=clustername,
            k8s_version=image.manifest.k8s_version,
            image=image.checksum,
            uuid=str(uuid.uuid4()),
            mac=_mac_for(address),
            address=address,
            size=size,
            ssh_user=image.manifest.ssh_user,
            host_key=host_key.public_line,
        )
        authorized = await cluster_key_pair(clustername)
        keys = {"host_key": host_key.private_text, "authorized_key": authorized.public_line}
        own = {}
        if image.manifest.credentials is not True:
            own[record.files.enrolment.name] = enrolment_script(record, network, **keys)
        if variables is not None:
            own[record.files.efi_variables.name] = variables
        async with held(template_name) as template:
            if template is None:
                more = foreign_lines(record) if image.manifest.boot is None else []
                fill = partial(_fill_from_image, image, size)
            else:
                more = [machine_id_line(record)]  # the disk has that of the template
                record = above_template(record, template)
                new = identity_values(record, network, **keys) + new_host_values(record, network)
                fill = partial(fill_from_template, record, template, new)
            own[record.files.identity.name] = smbios_string(record, network, **keys, more=more)
            await make_host_folder(record, image, own, fill)
        await tell_switch(network, [*hosts, record])
    return record


async def delete_host(hostname: str, networkname: str, clustername: str) -> None:
    """Remove a stopped host with its disk, its forwards and its sockets.

    Args:
        hostname: Its name.
        networkname: Name of its network.
        clustername: Name of its cluster.

    Raises:
        HostNotFoundError: When there is none.
        HostRunningError: When it runs.
    """
    record = await records.load_host(hostname, networkname, clustername)
    network = await records.load_network(networkname)
    layout.make_socket_folders(network.sockets)
    # The host's lock first: a start that is under way has it, and takes the other.
    async with locked(network.sockets.lock(record.id)), locked(network.files.lock):
        record = await records.load_host(hostname, networkname, clustername)
        if lifecycle.host_process(record) is not None:
            raise HostRunningError(
                f"host {hostname!r} runs",
                hint="Stop it first, with stop() or force_stop().",
                driver="qemu",
                host=hostname,
            )
        await processes.end_unfinished(record.uuid)
        await forwards.begin_change(network)
        await anyio.to_thread.run_sync(_remove_files, record, network)
        await forwards.reconcile(network)
        await tell_switch(network, await records.load_hosts(networkname))


def _refuse_taken_name(hosts: list[HostRecord], hostname: str, clustername: str) -> None:
    for host in hosts:
        if host.name == hostname:
            raise HostExistsError(
                f"network {host.networkname!r} already has a host {hostname!r}"
                + (f", of cluster {host.clustername!r}" if host.clustername != clustername else ""),
                hint="Names are unique in a network: they are what its DNS answers to.",
                driver="qemu",
                network=host.networkname,
                host=hostname,
            )


def _free_address(network: NetworkRecord, hosts: list[HostRecord]) -> str:
    taken = {host.address for host in hosts}
    address = next((str(it) for it in network.host_addresses if str(it) not in taken), None)
    if address is None:
        raise InvalidCIDRError(
            f"network {network.name!r} ({network.cidr}) has no address left",
            hint="Use a network with a larger range.",
            driver="qemu",
            network=network.name,
        )
    return address


def _mac_for(address: str) -> str:
    # 52:54 is what QEMU's own cards begin with; networks are apart, so that the
    # address alone makes it unique.
    return ":".join(["52:54", *(f"{int(part):02x}" for part in address.split("."))])


async def _fill_from_image(image: LocalImage, size: HostSize, files: layout.HostFiles) -> None:
    await make_overlay(image, files.disk, size.disk)


async def _first_variables(image: LocalImage) -> bytes | None:
    if not boots_by_efi(image.manifest):
        return None
    efi = await anyio.to_thread.run_sync(find_efi, await find_qemu())
    return await anyio.Path(efi.nvram_template.filename).read_bytes()


def _remove_files(record: HostRecord, network: NetworkRecord) -> None:
    folder = record.files.folder
    folder.rename(folder.with_name(f"{layout.HALF_MADE}{folder.name}.{secrets.token_hex(4)}"))
    records.sweep(network.name)
    sockets = network.sockets
    for path in (
        sockets.card(record.id),
        sockets.unseen_card(record.id),
        sockets.monitor(record.id),
        sockets.agent(record.id),
        sockets.lock(record.id),
    ):
        path.unlink(missing_ok=True)
