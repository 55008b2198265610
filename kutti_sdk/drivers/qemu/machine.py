"""The command line of a host's QEMU.

The machine type, the CPU model and the devices are the ones that boot fastest
under software emulation and can be saved and cloned: no NVMe (it cannot be
migrated), no user-mode network inside (it ties a saved state to it).
"""

from __future__ import annotations

import os
from pathlib import Path

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

# VirtualBox's card is in this slot, and images that were made there name it enp0s3.
_CARD_SLOT = "3"

# Where ACPI offers slots to be changed while the machine runs, udev names cards by
# the slots' numbers (ens3) and not by their place on the bus (enp0s3).
_FOREIGN_MACHINE = ["-global", "PIIX4_PM.acpi-root-pci-hotplug=off"]

# System calls that a guest which broke out of QEMU may not use. Denying spawn and
# elevateprivileges as well would keep -daemonize from working.
_SANDBOX = "on,obsolete=deny,resourcecontrol=deny"


def host_command(
    qemu: Qemu,
    host: HostRecord,
    network: NetworkRecord,
    *,
    accelerator: str,
    manifest: ImageManifest,
    image_folder: Path,
    clock: str = "",
    efi: EfiFirmware | None = None,
) -> list[str]:
    """Write the command line that runs a host in the background.

    Args:
        qemu: The QEMU of this machine.
        host: The host.
        network: Its network.
        accelerator: Name of an accelerator: ``kvm``, ``tcg``.
        manifest: What its image is.
        image_folder: Where its image is.
        clock: Kernel arguments that choose the guest's clock; see `tsc`.
        efi: The EFI firmware that it boots by; None for a BIOS, or for no firmware.

    Returns:
        Program and arguments.
    """
    files, sockets = host.files, network.sockets
    command = [
        qemu.system,
        *("-name", f"{host.clustername}-{host.name}", "-uuid", host.uuid),
        *base_arguments(accelerator, memory=host.size.memory),
        *("-smp", str(host.size.cpus), "-m", f"{host.size.memory // MiB}M"),
        *("-rtc", "base=utc", "-smbios", f"type=11,path={escaped(files.identity)}"),
        *("-blockdev", _overlay(files.disk)),
        *("-device", "virtio-blk-pci,drive=disk0"),
        *(
            "-netdev",
            f"stream,id=net0,server=on,addr.type=unix,addr.path={escaped(sockets.card(host.id))}",
        ),
        *("-device", f"virtio-net-pci,netdev=net0,mac={host.mac},addr={_CARD_SLOT},romfile="),
        *("-device", "virtio-rng-pci"),
        *("-device", "virtio-serial-pci"),
        *(
            "-chardev",
            f"socket,id=agent0,server=on,wait=off,path={escaped(sockets.agent(host.id))}",
        ),
        *("-device", "virtserialport,chardev=agent0,name=org.qemu.guest_agent.0"),
        *("-chardev", f"file,id=console0,append=on,path={escaped(files.console)}"),
        *("-serial", "chardev:console0"),
        *background_arguments(sockets.monitor(host.id), files.pid),
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
        command += _efi_arguments(efi, files.efi_variables)
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
        *("-cpu", CPU_MODELS.get(accelerator, "host")),
    ]


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


def _overlay(disk: Path) -> str:
    # discard: what the guest frees is freed here. The whole chain is opened by
    # QEMU itself from the overlay's header, which only this driver writes.
    return (
        "driver=qcow2,node-name=disk0,discard=unmap,detect-zeroes=unmap,"
        f"file.driver=file,file.discard=unmap,file.filename={escaped(disk)}"
    )
