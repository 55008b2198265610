"""Networks, hosts and processes of the QEMU driver as killed programs leave them.

The processes are real: the switch is the one that clusters have, and QEMU runs without a
machine, which takes a moment and hardly any memory.
"""

from __future__ import annotations

import uuid

from kutti_sdk.core.findings import Finding
from kutti_sdk.core.host import HostSize
from kutti_sdk.core.ports import PortForward
from kutti_sdk.doctor import Diagnosis
from kutti_sdk.drivers.qemu import QemuDriver, layout, records, services, switch
from kutti_sdk.drivers.qemu.binaries import find_qemu
from kutti_sdk.drivers.qemu.machine import background_arguments
from kutti_sdk.drivers.qemu.records import HostRecord, NetworkRecord
from kutti_sdk.runtime import processes
from kutti_sdk.runtime.processes import ProcessIdentity


async def make_network(name: str = "lab") -> NetworkRecord:
    await QemuDriver().create_network(name)
    network = await records.load_network(name)
    layout.make_socket_folders(network.sockets)
    return network


async def make_host(network: NetworkRecord, *forwards: PortForward) -> HostRecord:
    """A stopped host with an empty disk, of an image that is not here."""
    host = HostRecord(
        name="node1",
        networkname=network.name,
        clustername="lab",
        k8s_version="none",
        image="a" * 64,
        uuid=str(uuid.uuid4()),
        mac="52:54:0a:14:1e:0b",
        address="192.168.125.11",
        size=HostSize(),
        ssh_user="root",
        host_key="ssh-ed25519 AAAA",
        forwards=forwards,
    )
    host.files.folder.mkdir(parents=True)
    host.files.disk.touch()
    host.files.identity.touch(mode=0o600)
    await records.save_host(host)
    return host


async def start_switch(network: NetworkRecord) -> ProcessIdentity:
    await services.tell_switch(network, [])
    files = network.files
    command = switch.command(files.switch_config, files.switch_pid)
    return await processes.start_daemon(command, files.switch_pid, mark=str(files.switch_pid))


async def start_qemu(network: NetworkRecord, host: HostRecord) -> ProcessIdentity:
    qemu = await find_qemu()
    command = [
        *(qemu.system, "-machine", "none", "-nodefaults", "-no-user-config", "-display", "none"),
        *("-S", "-uuid", host.uuid),
        *background_arguments(network.sockets.monitor(host.id), host.files.pid),
    ]
    return await processes.start_daemon(command, host.files.pid, mark=host.uuid)


def found(diagnosis: Diagnosis, words: str) -> Finding:
    """The one finding that says something."""
    (finding,) = [it for it in diagnosis.findings if words in str(it)]
    return finding


def says(diagnosis: Diagnosis, words: str) -> bool:
    return words in str(diagnosis)
