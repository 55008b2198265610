"""The command line of a host's QEMU.

The machine type, the CPU model and the devices are the ones that boot fastest
under software emulation and can be saved and cloned: no NVMe (it cannot be
migrated), no user-mode network inside (it ties a saved state to it).
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from kutti_sdk.core.sizes import MiB
from kutti_sdk.drivers.qemu.binaries import Qemu
from kutti_sdk.drivers.qemu.firmware import EfiFirmware
from kutti_sdk.drivers.qemu.records import HostRecord, NetworkRecord
from kutti_sdk.images.manifest import ImageManifest

# The plain model boots fastest. What is added is what TCG emulates well and programs look
# for: AES five times as fast, which is what Kubernetes' parts speak to each other by.
_EMULATED_FEATURES = (
    "+rdrand,+ssse3,+sse4.1,+sse4.2,+popcnt,+aes,+pclmulqdq,+movbe,+bmi1,+bmi2,+adx,+fsgsbase"
)

CPU_MODELS = {"tcg": f"qemu64,{_EMULATED_FEATURES}"}
"""CPU model by accelerator; every other accelerator passes the host's CPU through."""

# What an emulated guest's kernel had better not do, since each costs it much: guard against
# the guesses of a processor that makes none; set the timer of each processor anew for every
# short sleep (programs in Go sleep for 20 us at a time); count how long programs wait; put
# programs at another address each time, where all their code is translated anew.
_EMULATED_KERNEL = "mitigations=off highres=off psi=0 norandmaps"

_LEAST_TRANSLATED = 128 * MiB  # room for the code of a boot, with two new beginnings
_MOST_TRANSLATED = 1024 * MiB
_LARGE = 1024 * MiB  # bytes of memory from which on the code of large programs is expected

_MEMORY_BLOCK = "pc.ram"  # of machine type pc

_WAITING = ("-S", "-incoming", "defer")  # for a state, and then to be told to go on

# VirtualBox's card is in this slot, and images that were made there name it enp0s3.
_CARD_SLOT = "3"

# Where ACPI offers slots to be changed while the machine runs, udev names cards by
# the slots' numbers (ens3) and not by their place on the bus (enp0s3).
_FOREIGN_MACHINE = ["-global", "PIIX4_PM.acpi-root-pci-hotplug=off"]

# System calls that a guest which broke out of QEMU may not use. Denying spawn and
# elevateprivileges as well would keep -daemonize from working.
_SANDBOX = "on,obsolete=deny,resourcecontrol=deny"


@dataclass(frozen=True, slots=True)
class Memory:
    """A file that is a host's memory, and what it takes to go on with it.

    Attributes:
        path: The file; as large as the memory.
        machine: The machine type with its version, ``pc-i440fx-7.2``: saved devices
            fit that one only.
        share: ``on`` to write to the file, ``off`` to leave it as it is; then it is
            shared by all who map it until they write.
        is_saved: Whether a saved state comes with it; else the host boots in it.
    """

    path: Path
    machine: str
    share: Literal["on", "off"]
    is_saved: bool = True


@dataclass(frozen=True, slots=True)
class Outlets:
    """Where a host's QEMU meets this machine.

    Attributes:
        disk: Its disk, as the value of ``-blockdev``, with a node name.
        disk_node: That node name.
        card: Socket of its network card.
        agent: Socket of its guest agent.
        monitor: Socket of its QMP monitor.
        console: What it writes to its serial console.
        pid: Where it writes its process id.
        identity: What it puts into its SMBIOS tables.
    """

    disk: str
    disk_node: str
    card: Path
    agent: Path
    monitor: Path
    console: Path
    pid: Path
    identity: Path


def host_outlets(host: HostRecord, network: NetworkRecord) -> Outlets:
    """Tell where a host meets this machine.

    Args:
        host: The host.
        network: Its network.

    Returns:
        Its own files and sockets.
    """
    files, sockets = host.files, network.sockets
    return Outlets(
        disk=disk_device(host.disk_path),
        disk_node=host.disk_path.stem,
        card=sockets.card(host.id),
        agent=sockets.agent(host.id),
        monitor=sockets.monitor(host.id),
        console=files.console,
        pid=files.pid,
        identity=files.identity,
    )


def disk_device(disk: Path) -> str:
    """Describe a host's disk to QEMU.

    Args:
        disk: The file, an overlay.

    Returns:
        The value of ``-blockdev``; its node is named after the file.
    """
    # That name is how a running QEMU tells which file it writes to, after checkpoints
    # have put others on top.
    # discard: what the guest frees is freed here. The whole chain is opened by
    # QEMU itself from the overlay's header, which only this driver writes.
    return (
        f"driver=qcow2,node-name={disk.stem},discard=unmap,detect-zeroes=unmap,"
        f"file.driver=file,file.discard=unmap,file.filename={escaped(disk)}"
    )


def host_command(
    qemu: Qemu,
    host: HostRecord,
    outlets: Outlets,
    *,
    accelerator: str,
    manifest: ImageManifest,
    image_folder: Path,
    clock: str = "",
    efi: EfiFirmware | None = None,
    memory: Memory | None = None,
    incoming: str | None = None,
) -> list[str]:
    """Write the command line that runs a host in the background.

    Args:
        qemu: The QEMU of this machine.
        host: The host.
        outlets: Where it meets this machine.
        accelerator: Name of an accelerator: ``kvm``, ``tcg``.
        manifest: What its image is.
        image_folder: Where its image is.
        clock: Kernel arguments that choose the guest's clock; see `tsc`.
        efi: The EFI firmware that it boots by; None for a BIOS, or for no firmware.
        incoming: Machine type with its version, in which it waits, paused, for a state that
            has all of its memory in it; None to boot, or to go on with `memory`.
        memory: A file that is its memory; with a saved one it waits, paused, to go on.
            None to boot.

    Returns:
        Program and arguments.
    """
    command = [
        qemu.system,
        *("-name", f"{host.clustername}-{host.name}", "-uuid", host.uuid),
        *base_arguments(accelerator, memory=host.size.memory),
        *("-smp", str(host.size.cpus), "-m", f"{host.size.memory // MiB}M"),
        *("-rtc", "base=utc", "-smbios", f"type=11,path={escaped(outlets.identity)}"),
        *("-blockdev", outlets.disk),
        *("-device", f"virtio-blk-pci,drive={outlets.disk_node}"),
        *(
            "-netdev",
            f"stream,id=net0,server=on,addr.type=unix,addr.path={escaped(outlets.card)}",
        ),
        *("-device", f"virtio-net-pci,netdev=net0,mac={host.mac},addr={_CARD_SLOT},romfile="),
        *("-device", "virtio-rng-pci"),
        *("-device", "virtio-serial-pci"),
        *(
            "-chardev",
            f"socket,id=agent0,server=on,wait=off,path={escaped(outlets.agent)}",
        ),
        *("-device", "virtserialport,chardev=agent0,name=org.qemu.guest_agent.0"),
        *("-chardev", f"file,id=console0,append=on,path={escaped(outlets.console)}"),
        *("-serial", "chardev:console0"),
        *background_arguments(outlets.monitor, outlets.pid),
    ]
    if manifest.boot is not None:
        emulated = _EMULATED_KERNEL if accelerator == "tcg" else ""
        arguments = (manifest.boot.cmdline, clock, emulated, f"systemd.hostname={host.name}")
        command += [
            *("-kernel", str(image_folder / manifest.boot.kernel.name)),
            *("-initrd", str(image_folder / manifest.boot.initrd.name)),
            *("-append", " ".join(filter(None, arguments))),
        ]
    else:
        command += _FOREIGN_MACHINE
    if efi is not None:
        command += _efi_arguments(efi, host.files.efi_variables)
    if memory is not None:
        command += _memory_arguments(memory, host.size.memory)
    if incoming is not None:
        command += ["-machine", incoming, *_WAITING]
    return command


def base_arguments(accelerator: str, *, memory: int) -> list[str]:
    """Give the arguments that decide how fast a kernel runs, and whether it does.

    Args:
        accelerator: Name of an accelerator.
        memory: Bytes of memory that the guest has.

    Returns:
        Machine type, accelerator and CPU model, with nothing that QEMU adds unasked.
    """
    options = ""
    if accelerator == "tcg":
        # Left alone, QEMU fills up to 1 GiB with translated code, however small the guest.
        # All is translated anew when the room is full: a control plane of Kubernetes, which
        # has no less than 1700 MB, fills 512 MiB three times.
        share = memory // 4 if memory < _LARGE else memory // 2
        options = f",tb-size={min(max(share, _LEAST_TRANSLATED), _MOST_TRANSLATED) // MiB}"
    return [
        *("-nodefaults", "-no-user-config", "-display", "none"),
        *("-machine", "pc", "-accel", accelerator + options),
        *("-cpu", cpu_model(accelerator)),
    ]


def cpu_model(accelerator: str) -> str:
    """Give the CPU model that hosts have.

    Args:
        accelerator: Name of an accelerator.

    Returns:
        The value of ``-cpu``.
    """
    return CPU_MODELS.get(accelerator, "host")


def background_arguments(monitor: Path, pidfile: Path) -> list[str]:
    """Give the arguments that put a QEMU into the background, under control.

    Args:
        monitor: Socket for its QMP monitor.
        pidfile: Where it writes its process id.

    Returns:
        The arguments.
    """
    return [
        *("-qmp", f"unix:{escaped(monitor)},server=on,wait=off"),
        *(("-sandbox", _SANDBOX) if os.name == "posix" else ()),
        *("-daemonize", "-pidfile", str(pidfile)),
    ]


def escaped(path: Path) -> str:
    """Write a path as the value of a QEMU option, where a comma is doubled.

    Args:
        path: The path.

    Returns:
        The value.
    """
    return str(path).replace(",", ",,")


def _memory_arguments(memory: Memory, size: int) -> list[str]:
    # The block of memory must be called as if no file had been given: that is what a
    # host that booted calls it. Source: "memory-backend" in QEMU's manual page.
    return [
        "-object",
        (
            f"memory-backend-file,id={_MEMORY_BLOCK},size={size // MiB}M,share={memory.share},"
            f"mem-path={escaped(memory.path)},x-use-canonical-path-for-ramblock-id=off"
        ),
        *("-machine", f"{memory.machine},memory-backend={_MEMORY_BLOCK}"),
        *(_WAITING if memory.is_saved else ()),
    ]


def _efi_arguments(efi: EfiFirmware, variables: Path) -> list[str]:
    code = escaped(Path(efi.executable.filename))
    return [
        *("-blockdev", f"driver=file,node-name=efi-code-file,read-only=on,filename={code}"),
        *("-blockdev", f"driver=file,node-name=efi-variables-file,filename={escaped(variables)}"),
        "-blockdev",
        f"driver={efi.executable.format},node-name=efi-code,read-only=on,file=efi-code-file",
        "-blockdev",
        f"driver={efi.nvram_template.format},node-name=efi-variables,file=efi-variables-file",
        *("-machine", "pflash0=efi-code,pflash1=efi-variables"),
    ]
