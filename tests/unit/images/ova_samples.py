"""Small .ova files, good and bad, and the disks of other formats in them."""

from __future__ import annotations

import hashlib
import io
import struct
import subprocess
import tarfile
from collections.abc import Iterable
from pathlib import Path

from image_samples import MIB

DISK_NAME = "lab-disk001.vmdk"

_DESCRIPTOR = """# Disk DescriptorFile
version=1
CID=12345678
parentCID=ffffffff
createType="streamOptimized"
RDONLY 2048 SPARSE "lab-disk001.vmdk"
"""


def vmdk_head(
    *,
    capacity: int = MIB,
    version: int = 3,
    descriptor: str = _DESCRIPTOR,
    descriptor_at: int = 1,
    magic: bytes = b"KDMV",
) -> bytes:
    """The head of a streamOptimized VMDK, without any data behind it."""
    header = struct.pack(
        "<4sIIQQQQ", magic, version, 0x30001, capacity // 512, 128, descriptor_at, 20
    )
    return header.ljust(512, b"\0") + descriptor.encode().ljust(20 * 512, b"\0")


def vdi_head(
    *, size: int = MIB, kind: int = 1, version: int = 0x00010001, parent: bytes = b""
) -> bytes:
    """The header of a VDI disk."""
    raw = bytearray(512)
    raw[:39] = b"<<< Oracle VM VirtualBox Disk Image >>>"
    struct.pack_into("<II", raw, 0x40, 0xBEDA107F, version)
    struct.pack_into("<I", raw, 0x4C, kind)
    struct.pack_into("<Q", raw, 0x170, size)
    raw[0x1A8 : 0x1A8 + len(parent)] = parent
    return bytes(raw)


def raw_disk(*, size: int = MIB) -> bytes:
    """A raw disk with a boot sector and something to be found again."""
    disk = bytearray(size)
    disk[510:512] = b"\x55\xaa"
    disk[size // 2 : size // 2 + 7] = b"a treat"
    return bytes(disk)


def real_disk(folder: Path, kind: str, *options: str) -> Path:
    """The raw disk in another format, made by qemu-img."""
    raw, disk = folder / "plain", folder / f"sample.{kind}"
    raw.write_bytes(raw_disk())
    convert = ["qemu-img", "convert", "-f", "raw", "-O", kind, *options, raw, disk]
    subprocess.run(convert, check=True)
    return disk


def real_vmdk(folder: Path) -> bytes:
    """The raw disk as VirtualBox exports it."""
    return real_disk(folder, "vmdk", "-o", "subformat=streamOptimized").read_bytes()


def envelope(
    *,
    href: str = DISK_NAME,
    file: str = "",
    size: int | None = None,
    disk: str = "",
    disks: int = 1,
    capacity: str = str(MIB),
    kind: str = "http://www.vmware.com/interfaces/specifications/vmdk.html#streamOptimized",
    machine: str = "",
    machines: int = 1,
    prolog: str = "",
) -> str:
    """An OVF descriptor as VirtualBox writes it."""
    says_size = "" if size is None else f'ovf:size="{size}"'
    disk_line = (
        f'<Disk ovf:capacity="{capacity}" ovf:diskId="vmdisk1" ovf:fileRef="file1" '
        f'ovf:format="{kind}" {disk}/>'
    )
    system = f"""
    <VirtualSystem ovf:id="lab">
      <OperatingSystemSection ovf:id="96"><Description>Debian_64</Description>
      </OperatingSystemSection>
      <VirtualHardwareSection>
        <Item><rasd:InstanceID>1</rasd:InstanceID><rasd:ResourceType>3</rasd:ResourceType>
          <rasd:VirtualQuantity>2</rasd:VirtualQuantity></Item>
        <Item><rasd:AllocationUnits>MegaBytes</rasd:AllocationUnits>
          <rasd:ResourceType>4</rasd:ResourceType>
          <rasd:VirtualQuantity>2048</rasd:VirtualQuantity></Item>
      </VirtualHardwareSection>
      {machine}
    </VirtualSystem>"""
    return f"""<?xml version="1.0"?>{prolog}
<Envelope ovf:version="1.0" xmlns="http://schemas.dmtf.org/ovf/envelope/1"
  xmlns:ovf="http://schemas.dmtf.org/ovf/envelope/1"
  xmlns:rasd="http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/CIM_ResourceAllocationSettingData"
  xmlns:vmw="http://www.vmware.com/schema/ovf"
  xmlns:vbox="http://www.virtualbox.org/ovf/machine">
  <References><File ovf:id="file1" ovf:href="{href}" {says_size} {file}/></References>
  <DiskSection><Info/>{disk_line * disks}</DiskSection>
  {system * machines}
</Envelope>"""


def manifest(files: Iterable[tuple[str, bytes]], algorithm: str = "sha1") -> bytes:
    """The checksums of files in the form of a .mf file."""
    lines = (
        f"{algorithm.upper()} ({name}) = {hashlib.new(algorithm, content).hexdigest()}\n"
        for name, content in files
    )
    return "".join(lines).encode()


def archive(files: Iterable[tuple[str, bytes]]) -> bytes:
    """An archive of plain files, as they come: names may be bad or doubled."""
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w", format=tarfile.USTAR_FORMAT) as to:
        for name, content in files:
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            to.addfile(entry, io.BytesIO(content))
    return target.getvalue()


def ova(disk: bytes, *, ovf: str | None = None, algorithm: str = "sha1") -> bytes:
    """A whole .ova with a manifest."""
    text = (envelope() if ovf is None else ovf).encode()
    files = [("lab.ovf", text), (DISK_NAME, disk)]
    return archive([*files, ("lab.mf", manifest(files, algorithm))])
