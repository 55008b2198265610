"""Which file of the driver lies where.

```
data_dir()/qemu/ports.lock         held while ports of this machine are given away
data_dir()/qemu/networks/.NETWORK.lock  held while hosts, forwards or services change
data_dir()/qemu/networks/NETWORK/
    network.json        the network's record
    switch.json         configuration of the switch process
    switch.pid, switch.log, gateway.pid
    forwards.pending    there while the gateway's forwards may differ from the records'
    hosts/CLUSTER/HOST/
        host.json       the host's record
        disk*.qcow2     an overlay over the image's disk, and one more on top for each
                        checkpoint since; the record names the one that is written to
        identity        the host's keys and address, for SMBIOS; mode 0600
        enrolment       what the first log-in may have to run; gone when that is done
        efi-variables   only where it boots by EFI
        console.log     what it wrote to its serial console
        qemu.pid
        resume/         what it goes on from at its next start, in place of booting
        suspended/      the same, of a host that was suspended; see `suspended`
    checkpoints/CLUSTER/NAME/
        checkpoint.json the checkpoint's record
        HOST/           memory, devices, disk*.qcow2; see `checkpoints.files`
data_dir()/qemu/templates/         what new hosts may go on from; see `templates.files`
runtime_dir()/NETWORK-ID/
    gateway.sock, gateway.qmp
    HOST-ID.qmp, HOST-ID.qga, HOST-ID.lock
    ports/HOST-ID.sock  the host's network card; the switch connects to it
    HOST-ID.card        the same, as long as the host does not know who it is
```

A host's folder is made beside, under a name with a leading dot, and renamed
when it is complete; it is renamed back before it is removed. So a folder with
a leading dot is what an interrupted create or delete left, and nobody's.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from kutti_sdk.runtime.directories import data_dir, make_private, runtime_dir

HALF_MADE = "."
"""First character of the names of folders that are not complete."""

FIRST_DISK = "disk.qcow2"
"""Name of the disk that a host is made with."""


@dataclass(frozen=True, slots=True)
class NetworkFiles:
    """The files of one network.

    Attributes:
        folder: Its folder below the data folder.
    """

    folder: Path

    @property
    def record(self) -> Path:
        """The network's record."""
        return self.folder / "network.json"

    @property
    def lock(self) -> Path:
        """Its lock; beside the folder, so that it outlives it."""
        return self.folder.with_name(f"{HALF_MADE}{self.folder.name}.lock")

    @property
    def switch_config(self) -> Path:
        """Configuration of the switch process."""
        return self.folder / "switch.json"

    @property
    def switch_pid(self) -> Path:
        """Process id of the switch."""
        return self.folder / "switch.pid"

    @property
    def switch_log(self) -> Path:
        """What the switch has to tell."""
        return self.folder / "switch.log"

    @property
    def gateway_pid(self) -> Path:
        """Process id of the gateway."""
        return self.folder / "gateway.pid"

    @property
    def forwards_pending(self) -> Path:
        """There from before the records of forwards change until the gateway agrees with them."""
        return self.folder / "forwards.pending"

    @property
    def hosts(self) -> Path:
        """Folder of the hosts, by cluster."""
        return self.folder / "hosts"

    @property
    def checkpoints_folder(self) -> Path:
        """Folder of all checkpoints, by cluster."""
        return self.folder / "checkpoints"

    def checkpoints(self, clustername: str) -> Path:
        """Find the folder of a cluster's checkpoints.

        Args:
            clustername: Name of the cluster.

        Returns:
            The folder, whether it exists or not.
        """
        return self.checkpoints_folder / clustername

    def restoring(self, clustername: str) -> Path:
        """Find the mark of a restore that was begun.

        Args:
            clustername: Name of the cluster.

        Returns:
            A file that is there while the disks of the hosts may not fit together.
        """
        return self.checkpoints(clustername) / f"{HALF_MADE}restoring"

    def host(self, clustername: str, hostname: str) -> HostFiles:
        """Find the files of a host.

        Args:
            clustername: Name of its cluster.
            hostname: Its name.

        Returns:
            The files.
        """
        return HostFiles(self.hosts / clustername / hostname)


@dataclass(frozen=True, slots=True)
class HostFiles:
    """The files of one host.

    Attributes:
        folder: Its folder.
    """

    folder: Path

    @property
    def record(self) -> Path:
        """The host's record."""
        return self.folder / "host.json"

    @property
    def disk(self) -> Path:
        """Its disk, as long as it was never saved; see `HostRecord.disk_path`."""
        return self.folder / FIRST_DISK

    @property
    def identity(self) -> Path:
        """What QEMU puts into its SMBIOS tables."""
        return self.folder / "identity"

    @property
    def enrolment(self) -> Path:
        """What is run at the first log-in, where nobody knows whether it takes its identity."""
        return self.folder / "enrolment"

    @property
    def efi_variables(self) -> Path:
        """Its EFI variables, where it boots by EFI."""
        return self.folder / "efi-variables"

    @property
    def console(self) -> Path:
        """What it wrote to its serial console."""
        return self.folder / "console.log"

    @property
    def resume(self) -> Path:
        """Folder of the saved state that it goes on from; see `resume`."""
        return self.folder / "resume"

    @property
    def suspended(self) -> Path:
        """Folder of what was in its memory when it was suspended; see `suspended`."""
        return self.folder / "suspended"

    @property
    def pid(self) -> Path:
        """Process id of its QEMU."""
        return self.folder / "qemu.pid"


@dataclass(frozen=True, slots=True)
class Sockets:
    """The sockets of one network and its hosts.

    Attributes:
        folder: Their folder below the runtime folder.
    """

    folder: Path

    @property
    def gateway(self) -> Path:
        """The gateway's end of the network."""
        return self.folder / "gateway.sock"

    @property
    def gateway_monitor(self) -> Path:
        """The gateway's QMP monitor."""
        return self.folder / "gateway.qmp"

    @property
    def ports(self) -> Path:
        """Folder of the hosts' network cards."""
        return self.folder / "ports"

    def card(self, host_id: str) -> Path:
        """Find a host's network card.

        Args:
            host_id: The host's short id.

        Returns:
            The socket that its QEMU listens on.
        """
        return self.ports / f"{host_id}.sock"

    def unseen_card(self, host_id: str) -> Path:
        """Find a host's network card where the switch does not look for it.

        Args:
            host_id: The host's short id.

        Returns:
            The socket that its QEMU listens on, until it is moved to `card`.
        """
        return self.folder / f"{host_id}.card"

    def monitor(self, host_id: str) -> Path:
        """Find a host's QMP monitor.

        Args:
            host_id: The host's short id.

        Returns:
            The socket that its QEMU listens on.
        """
        return self.folder / f"{host_id}.qmp"

    def lock(self, host_id: str) -> Path:
        """Find a host's lock.

        Args:
            host_id: The host's short id.

        Returns:
            The file that is locked while the host is started.
        """
        return self.folder / f"{host_id}.lock"

    def agent(self, host_id: str) -> Path:
        """Find a host's guest agent.

        Args:
            host_id: The host's short id.

        Returns:
            The socket that its QEMU listens on.
        """
        return self.folder / f"{host_id}.qga"


def networks_folder() -> Path:
    """Give the folder of all networks, made if it is missing.

    Returns:
        The folder.
    """
    folder = data_dir() / "qemu" / "networks"
    make_private(folder)
    return folder


def templates_folder() -> Path:
    """Give the folder of all templates, made if it is missing.

    Returns:
        The folder.
    """
    folder = networks_folder().with_name("templates")
    folder.mkdir(mode=0o700, exist_ok=True)
    return folder


def ports_lock() -> Path:
    """Find the lock over all ports of this machine.

    Returns:
        The lock file.
    """
    return networks_folder().with_name("ports.lock")


def network_files(networkname: str) -> NetworkFiles:
    """Find the files of a network.

    Args:
        networkname: Its name.

    Returns:
        The files, whether they exist or not.
    """
    return NetworkFiles(networks_folder() / networkname)


def network_sockets(network_id: str) -> Sockets:
    """Find the sockets of a network.

    Args:
        network_id: Its short id.

    Returns:
        The sockets; their folders are not made here.
    """
    return Sockets(runtime_dir() / network_id)


def make_socket_folders(sockets: Sockets) -> None:
    """Make the folders of a network's sockets; they are gone after a reboot.

    Args:
        sockets: The sockets.
    """
    sockets.folder.mkdir(mode=0o700, exist_ok=True)
    sockets.ports.mkdir(mode=0o700, exist_ok=True)
