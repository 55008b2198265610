"""The OVF descriptor of an .ova: which machine it describes (DMTF DSP0243, XML)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import unquote

from kutti_sdk.core.errors import ImageFormatError
from kutti_sdk.images.manifest import Firmware

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

LARGEST_DESCRIPTOR = 4 * 1024 * 1024
"""Bytes that a descriptor may have; real ones have a few thousand."""

# CIM_ResourceAllocationSettingData.ResourceType
_PROCESSOR, _MEMORY = "3", "4"

_BYTE_UNITS = {
    "byte": 0,
    "bytes": 0,
    "kilobytes": 10,
    "kb": 10,
    "megabytes": 20,
    "mb": 20,
    "gigabytes": 30,
    "gb": 30,
}
_POWER = re.compile(r"byte\s*\*\s*2\^(\d{1,2})")
_VMDK = "vmdk"
_XML_NAMESPACE = re.compile(r"\{[^}]*\}")


@dataclass(frozen=True, slots=True)
class OvfMachine:
    """The machine that a descriptor describes.

    Attributes:
        name: What it is called.
        os: The operating system inside, in the words of the descriptor.
        cpus: Virtual CPUs that it wants; None when that is not said.
        memory: Bytes of memory that it wants; None when that is not said.
        capacity: Bytes of its disk as a guest sees it.
        disk: Name of the file of its disk.
        disk_size: Bytes of that file; None when that is not said.
        firmware: What it boots by.
    """

    name: str
    os: str
    cpus: int | None
    memory: int | None
    capacity: int
    disk: str
    disk_size: int | None
    firmware: Firmware


def parse_descriptor(raw: bytes) -> OvfMachine:
    """Read a descriptor.

    Args:
        raw: The content of the .ovf file.

    Returns:
        The machine.

    Raises:
        ImageFormatError: When it is none, or describes what is not one machine with
            one disk that is in the archive.
    """
    root = _parse(raw)
    machines = list(_named(root, "VirtualSystem"))
    if len(machines) != 1:
        raise ImageFormatError(
            f"the .ova describes {len(machines)} machines, and should describe one",
            hint="Export one machine by itself.",
        )
    (machine,) = machines
    disk = _only_disk(root)
    file = _file_of(root, disk)
    capacity = _number(disk, "capacity")
    if not capacity:
        raise ImageFormatError("the .ova does not tell how large its disk is")
    return OvfMachine(
        name=_attribute(machine, "id") or "unnamed",
        os=_operating_system(machine),
        cpus=_hardware(machine, _PROCESSOR),
        memory=_hardware(machine, _MEMORY),
        capacity=capacity << _shift(_attribute(disk, "capacityAllocationUnits") or "byte"),
        disk=unquote(_attribute(file, "href") or ""),
        disk_size=_number(file, "size"),
        firmware=_firmware(machine),
    )


def _parse(raw: bytes) -> Element:
    from defusedxml import DefusedXmlException
    from defusedxml.ElementTree import ParseError, fromstring

    try:
        root: Element = fromstring(raw, forbid_dtd=True)
    except (ParseError, DefusedXmlException, ValueError, LookupError) as error:
        raise ImageFormatError(
            f"the .ova's description of its machine cannot be read: {error}", hint="Get it again."
        ) from error
    if _local(root.tag) != "Envelope":
        raise ImageFormatError("the .ova's description of its machine is no OVF envelope")
    return root


def _only_disk(root: Element) -> Element:
    disks = list(_named(root, "Disk"))
    if len(disks) != 1:
        raise ImageFormatError(
            f"the machine in the .ova has {len(disks)} disks, and should have one",
            hint="Export a machine with one disk; hosts have no more.",
        )
    (disk,) = disks
    kind = _attribute(disk, "format") or ""
    if _VMDK not in kind.lower():
        raise ImageFormatError(f"the disk in the .ova has the unknown format {kind!r}")
    if _attribute(disk, "parentRef"):
        raise ImageFormatError("the disk in the .ova has a parent disk")
    return disk


def _file_of(root: Element, disk: Element) -> Element:
    wanted = _attribute(disk, "fileRef")
    files = [file for file in _named(root, "File") if wanted and _attribute(file, "id") == wanted]
    if len(files) != 1:
        raise ImageFormatError("the .ova does not name the file of its disk")
    (file,) = files
    if _attribute(file, "compression") or _attribute(file, "chunkSize"):
        raise ImageFormatError(
            "the disk in the .ova is compressed as a whole or cut into pieces",
            hint="Export it as a streamOptimized VMDK.",
        )
    return file


def _operating_system(machine: Element) -> str:
    for section in _named(machine, "OperatingSystemSection"):
        for name in ("Description", "OSType"):
            for child in section:
                if _local(child.tag) == name and child.text and child.text.strip():
                    return child.text.strip()[:100]
    return "unknown"


def _hardware(machine: Element, resource: str) -> int | None:
    for item in _named(machine, "Item"):
        fields = {_local(child.tag): (child.text or "").strip() for child in item}
        quantity = fields.get("VirtualQuantity", "")
        if fields.get("ResourceType") == resource and re.fullmatch(r"[0-9]{1,18}", quantity):
            units = fields.get("AllocationUnits", "") if resource == _MEMORY else "byte"
            return int(quantity) << _shift(units)
    return None


def _firmware(machine: Element) -> Firmware:
    """Tell the firmware; OVF itself has no word for it, and each product has its own."""
    for element in _named(machine, "Firmware"):  # VirtualBox: BIOS, EFI, EFI32, EFI64, EFIDUAL
        if (_attribute(element, "type") or "").upper().startswith("EFI"):
            return "efi"
    for element in _named(machine, "Config"):  # VMware
        if _attribute(element, "key") == "firmware" and _attribute(element, "value") == "efi":
            return "efi"
    return "bios"


def _shift(units: str) -> int:
    text = units.strip().lower()
    if (match := _POWER.fullmatch(text)) is not None:
        return int(match[1])
    if text not in _BYTE_UNITS:
        raise ImageFormatError(f"the .ova counts in {units!r}, which is no unit of memory")
    return _BYTE_UNITS[text]


def _number(element: Element, name: str) -> int | None:
    text = _attribute(element, name) or ""
    return int(text) if re.fullmatch(r"[0-9]{1,18}", text) else None


def _named(root: Element, name: str) -> Iterator[Element]:
    # Whatever the namespace: OVF 1 and 2 have different ones, products add theirs.
    return (element for element in root.iter() if _local(element.tag) == name)


def _attribute(element: Element, name: str) -> str | None:
    return next((value for key, value in element.attrib.items() if _local(key) == name), None)


def _local(tag: str) -> str:
    return _XML_NAMESPACE.sub("", tag)
