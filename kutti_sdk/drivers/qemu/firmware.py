"""The firmware that boots disks with a boot loader of their own.

A BIOS, SeaBIOS, is part of every QEMU. EFI is a package of its own on most systems,
and tells where its files are by descriptors, which are looked up as QEMU's
``docs/interop/firmware.json`` says.
"""

from __future__ import annotations

from fnmatch import fnmatch
from pathlib import Path
from typing import Literal

import msgspec

from kutti_sdk.core.errors import DriverUnavailableError
from kutti_sdk.drivers.qemu.binaries import Qemu
from kutti_sdk.images.manifest import ImageManifest

_MACHINE = "pc-i440fx-0.0"  # any version of the machine type that hosts have
_ARCHITECTURE = "x86_64"
_SYSTEM_FOLDERS = (Path("/etc/qemu/firmware"), Path("/usr/share/qemu/firmware"))
_UNWANTED = {"requires-smm", "secure-boot"}  # hosts have no SMM, and images no signatures
_HINT = "Install it: apt-get install ovmf (Debian, Ubuntu), dnf install edk2-ovmf (Fedora)."


class FirmwareFile(msgspec.Struct, frozen=True):
    """A file of a firmware.

    Attributes:
        filename: Where it is.
        format: Its format: ``raw`` or ``qcow2``.
    """

    filename: str
    format: Literal["raw", "qcow2"]


class EfiFirmware(msgspec.Struct, frozen=True, rename="kebab"):
    """An EFI firmware: its code, and what a machine's variables are at first.

    Attributes:
        executable: The code, shared by all machines.
        nvram_template: The variables, of which each machine has a copy.
    """

    executable: FirmwareFile
    nvram_template: FirmwareFile


class _Mapping(msgspec.Struct, frozen=True, rename="kebab"):
    device: str
    executable: FirmwareFile | None = None
    nvram_template: FirmwareFile | None = None


class _Target(msgspec.Struct, frozen=True):
    architecture: str
    machines: list[str]


class _Descriptor(msgspec.Struct, frozen=True, rename="kebab"):
    interface_types: list[str]
    mapping: _Mapping
    targets: list[_Target]
    features: list[str]


def boots_by_efi(manifest: ImageManifest) -> bool:
    """Tell whether an image needs an EFI firmware.

    Args:
        manifest: What the image is.

    Returns:
        False for a BIOS, or a kernel that is booted directly.
    """
    return manifest.boot is None and manifest.firmware == "efi"


def find_efi(qemu: Qemu) -> EfiFirmware:
    """Find the EFI firmware of this machine. Reads files: call it in a thread.

    Args:
        qemu: The QEMU of this machine.

    Returns:
        The first that suits, in the order that its descriptors' names ask for.

    Raises:
        DriverUnavailableError: When there is none; the hint is how to install it.
    """
    for path in _descriptors(qemu):
        try:
            found = _suitable(msgspec.json.decode(path.read_bytes(), type=_Descriptor))
        except (OSError, msgspec.DecodeError, UnicodeDecodeError):
            continue  # an empty one hides another; one of a kind that is not known is no help
        if found is not None:
            return found
    raise DriverUnavailableError(
        "the image boots by EFI, and no EFI firmware for QEMU was found",
        hint=_HINT,
        driver="qemu",
    )


def _descriptors(qemu: Qemu) -> list[Path]:
    """Find descriptors by name: one in an earlier folder hides its namesake in a later one."""
    beside = Path(qemu.system).resolve().parent.parent / "share" / "qemu" / "firmware"
    own = Path.home() / ".config" / "qemu" / "firmware"
    by_name: dict[str, Path] = {}
    for folder in (own, *_SYSTEM_FOLDERS, beside):
        for path in folder.glob("*.json"):
            by_name.setdefault(path.name, path)
    return [by_name[name] for name in sorted(by_name)]


def _suitable(descriptor: _Descriptor) -> EfiFirmware | None:
    mapping = descriptor.mapping
    if "uefi" not in descriptor.interface_types or mapping.device != "flash":
        return None
    if _UNWANTED & set(descriptor.features):
        return None
    if not any(_fits(target) for target in descriptor.targets):
        return None
    if mapping.executable is None or mapping.nvram_template is None:
        return None
    return EfiFirmware(mapping.executable, mapping.nvram_template)


def _fits(target: _Target) -> bool:
    return target.architecture == _ARCHITECTURE and any(
        fnmatch(_MACHINE, pattern) for pattern in target.machines
    )
