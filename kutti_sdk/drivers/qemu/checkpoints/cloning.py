"""Makes running copies of a saved cluster."""

from __future__ import annotations

import secrets
import uuid
from dataclasses import replace
from functools import partial

import anyio.to_thread

from kutti_sdk.core.events import report
from kutti_sdk.core.names import validate_name
from kutti_sdk.drivers.qemu import capacity, layout, records
from kutti_sdk.drivers.qemu.binaries import find_qemu
from kutti_sdk.drivers.qemu.checkpoints import disks, store
from kutti_sdk.drivers.qemu.checkpoints.files import CheckpointFiles, checkpoint_files
from kutti_sdk.drivers.qemu.checkpoints.records import (
    CheckpointRecord,
    layers_of,
    load_checkpoint,
)
from kutti_sdk.drivers.qemu.checkpoints.restoring import refuse_unusable
from kutti_sdk.drivers.qemu.host_folder import make_host_folder
from kutti_sdk.drivers.qemu.identity import machine_id_line, smbios_string
from kutti_sdk.drivers.qemu.images import image_of
from kutti_sdk.drivers.qemu.network import create_network
from kutti_sdk.drivers.qemu.records import HostRecord, NetworkRecord
from kutti_sdk.drivers.qemu.resume import identity_values, place_state
from kutti_sdk.drivers.qemu.services import tell_switch
from kutti_sdk.drivers.qemu.starting import start_host
from kutti_sdk.runtime.locks import locked
from kutti_sdk.runtime.tasks import run_all
from kutti_sdk.ssh.keys import cluster_key_pair, generate_host_key


async def clone_checkpoint(name: str, networkname: str, clustername: str, to: str) -> None:
    """Make a running copy of a saved cluster.

    Args:
        name: Name of the checkpoint.
        networkname: Name of its network.
        clustername: Name of its cluster.
        to: Name of the copy.

    Raises:
        KuttiError: As `SupportsCheckpoints.clone_checkpoint` lists them.
    """
    validate_name(to, "cluster name")
    source = await records.load_network(networkname)
    await load_checkpoint(source, clustername, name)
    async with store.changing(source, clustername):
        saved = await load_checkpoint(source, clustername, name)
        await refuse_unusable(saved)
        await capacity.check_memory([host.size for host in saved.hosts])
        await capacity.check_disk(len(saved.hosts))
        report("clone", f"cloning {name} of {clustername} as {to}", cluster=to)
        await create_network(to, saved.cidr)
        files = checkpoint_files(source.files, clustername, name)
        network = await records.load_network(to)
        async with locked(network.files.lock):
            hosts = [await _make_host(host, network, saved, files) for host in saved.hosts]
            await tell_switch(network, hosts)
    await run_all(*(partial(_start, network, host) for host in hosts))
    report("clone", f"{to} runs", cluster=to, fraction=1.0)


async def _make_host(
    saved: HostRecord, network: NetworkRecord, checkpoint: CheckpointRecord, files: CheckpointFiles
) -> HostRecord:
    """Make a host that is another one than was saved, and goes on where that one was."""
    host_key = generate_host_key()
    image = await image_of(saved)
    born = replace(
        saved,
        networkname=network.name,
        clustername=network.name,
        uuid=str(uuid.uuid4()),
        # Like those of all hosts, and as unlikely to be another's as a UUID of 4 bytes is.
        mac=":".join(["52:54", *(f"{byte:02x}" for byte in secrets.token_bytes(4))]),
        host_key=host_key.public_line,
        forwards=(),
    )
    authorized = await cluster_key_pair(network.name)
    keys = {"host_key": host_key.private_text, "authorized_key": authorized.public_line}
    # It boots by itself as well, from the disk of another one.
    own = {
        born.files.identity.name: smbios_string(born, network, **keys, more=[machine_id_line(born)])
    }
    above = replace(born, disk=disks.new_name(), layers=layers_of(born))

    async def fill(folder: layout.HostFiles) -> None:
        layers = (above.layers, files.folder / saved.name, folder.folder)
        await anyio.to_thread.run_sync(disks.link_layers, *layers)
        await disks.make_above(await find_qemu(), above, folder.folder)
        await anyio.to_thread.run_sync(
            place_state,
            files.host(saved.name),
            folder,
            checkpoint.conditions,
            identity_values(above, network, **keys),
        )

    await make_host_folder(above, image, own, fill)
    return above


async def _start(network: NetworkRecord, host: HostRecord) -> None:
    layout.make_socket_folders(network.sockets)
    async with locked(network.sockets.lock(host.id)):
        await start_host(network, host)
