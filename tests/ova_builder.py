"""Builds .ova files like those that kutti publishes for VirtualBox, from Debian's packages.

They have what counts for a driver: a disk with one partition, GRUB in its boot
sector, Debian's own kernel and initrd, ifupdown with DHCP, an SSH server that takes
passwords, and the user ``kuttiadmin`` with the published password and sudo. The
facts come from the preseed file and the scripts of kuttiproject/driver-vbox-images.
"""

from __future__ import annotations

import fcntl
import hashlib
import io
import os
import shutil
import subprocess
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import anyio
import anyio.to_thread

from kutti_sdk.images.builder.log import build_log
from kutti_sdk.images.builder.namespace import UserNamespace, subordinate_ids
from kutti_sdk.images.manifest import Firmware

DISK_SIZE = 3 * 2**30
"""Bytes of the disk as a guest sees it; those that kutti publishes have 100 GiB."""

PASSWORD = "Pass@word1"
"""The published password of kutti's images."""

WITH_CREDENTIALS = "net.ifnames=0 biosdevname=0"
"""Kernel arguments as kutti's images have them: the network card is eth0."""

WITHOUT_CREDENTIALS = "systemd.import_credentials=no"
"""Kernel arguments that make systemd behave as before version 251.

The network card has the name that VirtualBox's has by default, enp0s3.
"""

_PACKAGES = (
    *("linux-image-amd64", "initramfs-tools", "systemd-sysv", "dbus", "udev", "kmod"),
    *("ifupdown", "isc-dhcp-client", "iproute2", "iputils-ping", "openssh-server", "sudo"),
    *("e2fsprogs", "procps", "hostname"),
)
_SLIM = (
    "path-exclude=/usr/share/man/*",
    "path-exclude=/usr/share/locale/*",
    "path-exclude=/usr/share/doc/*",
    "path-exclude=/lib/udev/hwdb.d/*",
    # Hardware that no virtual machine has: two thirds of the modules.
    "path-exclude=/lib/modules/*/kernel/drivers/gpu/*",
    "path-exclude=/lib/modules/*/kernel/drivers/media/*",
    "path-exclude=/lib/modules/*/kernel/drivers/net/wireless/*",
    "path-exclude=/lib/modules/*/kernel/drivers/net/ethernet/*",
    "path-exclude=/lib/modules/*/kernel/drivers/infiniband/*",
    "path-exclude=/lib/modules/*/kernel/sound/*",
)
_PARTITION = 2**20  # bytes from the start of the disk; GRUB's core is before it
_UUID = "5a4d9b2e-6c1f-4f0e-9d7a-3b8c21e4f001"

# openssl passwd -6 -salt kuttiimages, of the published password
_HASH = (
    "$6$kuttiimages$P/hKajdhQgLsKhVUDsF5FtFV1oGhzle5Yd.w7G5YWat8IC.0XC5dVxjwIck3mKBjJFDw3e4H8A"
    "LbkeyFMKWqb1"
)

_FILES = {
    "etc/hostname": "kutti\n",
    "etc/hosts": "127.0.0.1 localhost\n127.0.1.1 kutti.kuttiproject.org kutti\n",
    "etc/fstab": f"UUID={_UUID} / ext4 errors=remount-ro 0 1\n",
    # One image for both kinds of names of the card; each host has one of the two.
    "etc/network/interfaces": (
        "auto lo\niface lo inet loopback\n"
        "allow-hotplug eth0\niface eth0 inet dhcp\n"
        "allow-hotplug enp0s3\niface enp0s3 inet dhcp\n"
    ),
    "etc/sudoers.d/kutti": "%kuttiadmin ALL=(ALL:ALL) NOPASSWD:ALL\n",
    "etc/machine-id": "00112233445566778899aabbccddeeff\n",  # published with the image
}
_SET_HOSTNAME = '#!/bin/sh -e\nhostnamectl set-hostname "$1"\n'

_TABLE = 446  # bytes of a boot sector before its partition table
_EFI_SIZE = 32 * 2**20


def build_ova(folder: Path, kernel_arguments: str, firmware: Firmware = "bios") -> Path:
    """Build an .ova, unless the folder has it.

    Args:
        folder: Where it is kept, with the packages that it is made from.
        kernel_arguments: `WITH_CREDENTIALS` or `WITHOUT_CREDENTIALS`.
        firmware: What it boots by.

    Returns:
        The file.
    """
    key = hashlib.sha256(Path(__file__).read_bytes() + kernel_arguments.encode()).hexdigest()[:12]
    ova = folder / f"kutti-{firmware}-{key}.ova"
    folder.mkdir(parents=True, exist_ok=True)
    with _locked(folder / ".lock"):
        if not ova.exists():
            with TemporaryDirectory(prefix="kutti-ova-", dir=folder) as place:
                disk, config = Path(place) / "disk.raw", Path(place) / "grub.cfg"
                subprocess.run(["cp", "--sparse=always", _base_disk(folder), disk], check=True)
                config.write_text(_grub_config(kernel_arguments))
                install = _install_efi_grub if firmware == "efi" else _install_bios_grub
                install(disk, config, Path(place))
                pack_ova(disk, ova, Path(place), firmware)
    return ova


def pack_ova(disk: Path, ova: Path, place: Path, firmware: Firmware = "bios") -> None:
    """Pack a raw disk as VirtualBox exports it: OVF, streamOptimized VMDK, SHA1 manifest.

    Args:
        disk: The raw disk.
        ova: The file to write.
        place: A folder on the same file system.
        firmware: What it boots by.
    """
    vmdk = place / "kutti-disk001.vmdk"
    convert = ["qemu-img", "convert", "-f", "raw", "-O", "vmdk", "-o", "subformat=streamOptimized"]
    subprocess.run([*convert, disk, vmdk], check=True)
    envelope = place / "kutti.ovf"
    sizes = (vmdk.stat().st_size, disk.stat().st_size)
    envelope.write_text(_envelope(vmdk.name, *sizes, firmware.upper()))
    manifest = place / "kutti.mf"
    manifest.write_text("".join(f"SHA1 ({it.name}) = {_sha1(it)}\n" for it in (envelope, vmdk)))
    beside = place / "kutti.ova"
    with tarfile.open(beside, "w", format=tarfile.USTAR_FORMAT) as archive:
        for path in (envelope, vmdk, manifest):
            archive.add(path, arcname=path.name)
    beside.rename(ova)


def _sha1(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha1").hexdigest()


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _base_disk(folder: Path) -> Path:
    """Give the disk that all of them have, without a boot loader."""
    key = hashlib.sha256(Path(__file__).read_bytes()).hexdigest()[:12]
    disk = folder / f"base-{key}" / "disk.raw"
    if not disk.exists():
        with TemporaryDirectory(prefix="kutti-base-", dir=folder) as place:
            anyio.run(_make_disk, folder, Path(place) / disk.name)
            disk.parent.mkdir()
            (Path(place) / disk.name).rename(disk)
    return disk


async def _make_disk(folder: Path, disk: Path) -> None:
    """Make a disk with a partition table and a root file system, and no boot loader yet."""
    async with build_log(folder / "build.log") as log:
        namespace = UserNamespace(subordinate_ids(), log)
        async with namespace.scratch_folder() as scratch:
            root = folder / "root.tar"
            key = hashlib.sha256(repr((_PACKAGES, _SLIM)).encode()).hexdigest()[:12]
            packages = folder / f"packages-{key}.tar"
            if not packages.exists():
                await _install_packages(namespace, scratch, packages)
            await anyio.to_thread.run_sync(_add_files, packages, root)
            await namespace.run("mkdir", "tree", folder=scratch)
            with root.open("rb") as file:
                await namespace.run(
                    *("tar", "--extract", "--directory=tree", "--numeric-owner", "-p"),
                    *("--xattrs", "--xattrs-include=security.capability"),
                    folder=scratch,
                    stdin=file,
                )
            root.unlink()
            await namespace.run(
                *("mke2fs", "-q", "-t", "ext4", "-d", "tree", "-U", _UUID),
                *("-E", f"offset={_PARTITION},lazy_itable_init=0,lazy_journal_init=0"),
                *("disk.raw", f"{(DISK_SIZE - _PARTITION) // 1024}k"),
                folder=scratch,
            )
            # As an archive, which keeps the holes: the disk is root's of the namespace.
            beside = disk.with_suffix(".tar")
            with beside.open("wb") as file:
                await namespace.run(
                    *("tar", "--create", "--sparse", "disk.raw"), folder=scratch, stdout=file
                )
    extract = ["tar", "--extract", "--sparse", "--no-same-owner", f"--file={beside}"]
    await anyio.run_process([*extract, f"--directory={disk.parent}"])
    beside.unlink()


async def _install_packages(namespace: UserNamespace, scratch: Path, packages: Path) -> None:
    beside = packages.with_suffix(".part")
    with beside.open("wb") as file:
        await namespace.run(
            *("mmdebstrap", "--mode=unshare", "--format=tar", "--variant=minbase"),
            *('--aptopt=Acquire::Languages "none"', '--aptopt=Apt::Install-Recommends "false"'),
            *(f"--dpkgopt={option}" for option in _SLIM),
            *(f"--include={','.join(_PACKAGES)}", "bookworm", "-"),
            folder=scratch,
            stdout=file,
        )
    beside.rename(packages)


def _add_files(packages: Path, root: Path) -> None:
    with tarfile.open(packages) as source, tarfile.open(root, "w") as to:
        for member in source:
            path = member.name.removeprefix("./")
            content = source.extractfile(member) if member.isreg() else None
            if path in _FILES or path.startswith("dev/"):  # the kernel fills that folder
                continue
            if path in _ACCOUNTS and content is not None:
                text = _ACCOUNTS[path](content.read().decode())
                member.size = len(text)
                content = io.BytesIO(text.encode())
            to.addfile(member, content)
        for path, text in _FILES.items():
            mode = 0o440 if "sudoers" in path else 0o644
            _add(to, path, text, mode)
        for folder in ("home/kuttiadmin", "home/kuttiadmin/kutti-installscripts"):
            entry = tarfile.TarInfo(folder)
            entry.type, entry.mode, entry.uid, entry.gid = tarfile.DIRTYPE, 0o755, 1000, 1000
            to.addfile(entry)
        script = "home/kuttiadmin/kutti-installscripts/set-hostname.sh"
        _add(to, script, _SET_HOSTNAME, 0o755, owner=1000)


def _add(archive: tarfile.TarFile, path: str, text: str, mode: int, *, owner: int = 0) -> None:
    entry = tarfile.TarInfo(path)
    entry.mode, entry.size, entry.uid, entry.gid = mode, len(text), owner, owner
    archive.addfile(entry, io.BytesIO(text.encode()))


_ACCOUNTS = {
    "etc/passwd": lambda text: f"{text}kuttiadmin:x:1000:1000::/home/kuttiadmin:/bin/bash\n",
    "etc/group": lambda text: f"{text}kuttiadmin:x:1000:\n",
    "etc/shadow": lambda text: (
        "".join(
            f"root:{_HASH}:19700:0:99999:7:::\n" if line.startswith("root:") else f"{line}\n"
            for line in text.splitlines()
        )
        + f"kuttiadmin:{_HASH}:19700:0:99999:7:::\n"
    ),
}


def _install_bios_grub(disk: Path, config: Path, place: Path) -> None:
    """Write GRUB's core image between the boot sector and the partition, where it looks for it."""
    core = place / "core.img"
    _make_grub("i386-pc", config, core, "biosdisk")
    assert 512 + core.stat().st_size <= _PARTITION
    boot = Path("/usr/lib/grub/i386-pc/boot.img").read_bytes()
    with disk.open("r+b") as file:
        file.write(boot[:_TABLE])
        file.write(_partition_table((0x83, _PARTITION, DISK_SIZE)))
        with core.open("rb") as source:
            shutil.copyfileobj(source, file)


def _install_efi_grub(disk: Path, config: Path, place: Path) -> None:
    """Add a second partition, with GRUB where EFI looks on a disk that it does not know."""
    program, partition = place / "grub.efi", place / "efi.img"
    _make_grub("x86_64-efi", config, program)
    with partition.open("wb") as file:
        file.truncate(_EFI_SIZE)
    path = f"{os.environ['PATH']}:/usr/sbin:/sbin"
    for command in (
        [shutil.which("mkfs.vfat", path=path), partition],
        ["mmd", "-i", partition, "::/EFI", "::/EFI/BOOT"],
        ["mcopy", "-i", partition, program, "::/EFI/BOOT/BOOTX64.EFI"],
    ):
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    end = DISK_SIZE + _EFI_SIZE
    with disk.open("r+b") as file:
        file.seek(_TABLE)
        file.write(_partition_table((0x83, _PARTITION, DISK_SIZE), (0xEF, DISK_SIZE, end)))
        file.seek(DISK_SIZE)
        with partition.open("rb") as source:
            shutil.copyfileobj(source, file)


def _make_grub(platform: str, config: Path, result: Path, *modules: str) -> None:
    command = ["grub-mkimage", "-O", platform, "-p", "/boot/grub", "-c", config, "-o", result]
    command += ["part_msdos", "ext2", "linux", "search_fs_uuid", *modules]
    subprocess.run(command, check=True)


def _grub_config(kernel_arguments: str) -> str:
    return (
        f"search.fs_uuid {_UUID} root\n"
        f"linux /vmlinuz root=UUID={_UUID} ro quiet {kernel_arguments}\n"
        "initrd /initrd.img\nboot\n"
    )


def _partition_table(*partitions: tuple[int, int, int]) -> bytes:
    """Write the end of a boot sector; a partition is a type and two places in bytes."""
    entries = b"".join(
        b"\x80\xfe\xff\xff"
        + bytes([kind])
        + b"\xfe\xff\xff"
        + (start // 512).to_bytes(4, "little")
        + ((end - start) // 512).to_bytes(4, "little")
        for kind, start, end in partitions
    )
    return entries.ljust(64, b"\0") + b"\x55\xaa"


def _envelope(disk_name: str, file_size: int, capacity: int, firmware: str) -> str:
    return f"""<?xml version="1.0"?>
<Envelope ovf:version="1.0" xml:lang="en-US" xmlns="http://schemas.dmtf.org/ovf/envelope/1"
    xmlns:ovf="http://schemas.dmtf.org/ovf/envelope/1"
    xmlns:rasd="http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/CIM_ResourceAllocationSettingData"
    xmlns:vssd="http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/CIM_VirtualSystemSettingData"
    xmlns:vbox="http://www.virtualbox.org/ovf/machine">
  <References>
    <File ovf:id="file1" ovf:href="{disk_name}" ovf:size="{file_size}"/>
  </References>
  <DiskSection>
    <Info>List of the virtual disks used in the package</Info>
    <Disk ovf:capacity="{capacity}" ovf:diskId="vmdisk1" ovf:fileRef="file1"
      ovf:format="http://www.vmware.com/interfaces/specifications/vmdk.html#streamOptimized"/>
  </DiskSection>
  <VirtualSystem ovf:id="kutti-vbox">
    <Info>A virtual machine</Info>
    <OperatingSystemSection ovf:id="96">
      <Info>The kind of installed guest operating system</Info>
      <Description>Debian_64</Description>
      <vbox:OSType ovf:required="false">Debian_64</vbox:OSType>
    </OperatingSystemSection>
    <VirtualHardwareSection>
      <Info>Virtual hardware requirements for a virtual machine</Info>
      <System>
        <vssd:ElementName>Virtual Hardware Family</vssd:ElementName>
        <vssd:InstanceID>0</vssd:InstanceID>
        <vssd:VirtualSystemType>virtualbox-2.2</vssd:VirtualSystemType>
      </System>
      <Item>
        <rasd:Caption>2 virtual CPU</rasd:Caption>
        <rasd:InstanceID>1</rasd:InstanceID>
        <rasd:ResourceType>3</rasd:ResourceType>
        <rasd:VirtualQuantity>2</rasd:VirtualQuantity>
      </Item>
      <Item>
        <rasd:AllocationUnits>MegaBytes</rasd:AllocationUnits>
        <rasd:Caption>2048 MB of memory</rasd:Caption>
        <rasd:InstanceID>2</rasd:InstanceID>
        <rasd:ResourceType>4</rasd:ResourceType>
        <rasd:VirtualQuantity>2048</rasd:VirtualQuantity>
      </Item>
      <Item>
        <rasd:Address>0</rasd:Address>
        <rasd:InstanceID>3</rasd:InstanceID>
        <rasd:ResourceSubType>AHCI</rasd:ResourceSubType>
        <rasd:ResourceType>20</rasd:ResourceType>
      </Item>
      <Item>
        <rasd:AddressOnParent>0</rasd:AddressOnParent>
        <rasd:Caption>disk1</rasd:Caption>
        <rasd:HostResource>/disk/vmdisk1</rasd:HostResource>
        <rasd:InstanceID>4</rasd:InstanceID>
        <rasd:Parent>3</rasd:Parent>
        <rasd:ResourceType>17</rasd:ResourceType>
      </Item>
    </VirtualHardwareSection>
    <vbox:Machine ovf:required="false" version="1.19-linux" name="kutti-vbox">
      <Hardware><Firmware type="{firmware}"/></Hardware>
    </vbox:Machine>
  </VirtualSystem>
</Envelope>
"""
