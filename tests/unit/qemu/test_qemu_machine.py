"""The command line of a host, and the identity it is given."""

from __future__ import annotations

import base64
import os
import tempfile
from pathlib import Path

import pytest

from kutti_sdk.drivers.qemu.binaries import Qemu
from kutti_sdk.drivers.qemu.firmware import EfiFirmware, FirmwareFile
from kutti_sdk.drivers.qemu.identity import foreign_lines, nobodys_smbios_string, smbios_string
from kutti_sdk.drivers.qemu.machine import (
    Memory,
    base_arguments,
    escaped,
    host_command,
    host_outlets,
)
from kutti_sdk.drivers.qemu.records import HostRecord, NetworkRecord
from kutti_sdk.images.manifest import DirectBoot, ImageFile, ImageManifest

_QEMU = Qemu("/usr/bin/qemu-system-x86_64", "/usr/bin/qemu-img", (7, 2, 0))
_GIB = 2**30


def _file(name: str) -> ImageFile:
    return ImageFile(name=name, size=1, sha256="0" * 64)


def _manifest(boot: DirectBoot | None) -> ImageManifest:
    return ImageManifest(
        k8s_version="none",
        architecture="x86_64",
        os="Debian",
        created="2026-01-01T00:00:00+00:00",
        disk=_file("disk.qcow2"),
        boot=boot,
    )


def _command(
    host: HostRecord, network: NetworkRecord, boot: DirectBoot | None, accelerator: str = "tcg"
) -> list[str]:
    return host_command(
        _QEMU,
        host,
        host_outlets(host, network),
        accelerator=accelerator,
        manifest=_manifest(boot),
        image_folder=Path("/images/one"),
    )


@pytest.mark.parametrize(
    ("accelerator", "extra"),
    [("kvm", ""), ("tcg", "mitigations=off highres=off psi=0 norandmaps ")],
)
def test_an_image_with_a_kernel_boots_it_under_the_hosts_name(
    host: HostRecord, network: NetworkRecord, accelerator: str, extra: str
) -> None:
    boot = DirectBoot(kernel=_file("vmlinux"), initrd=_file("initrd.img"), cmdline="root=/dev/vda")
    command = _command(host, network, boot, accelerator)
    assert command[command.index("-kernel") + 1] == "/images/one/vmlinux"
    assert command[command.index("-append") + 1] == f"root=/dev/vda {extra}systemd.hostname=node1"


def test_an_image_without_a_kernel_boots_by_firmware(
    host: HostRecord, network: NetworkRecord
) -> None:
    assert not {"-kernel", "-initrd", "-append"} & set(_command(host, network, None))


def test_a_foreign_disk_finds_its_card_where_virtualbox_has_it(
    host: HostRecord, network: NetworkRecord
) -> None:
    text = " ".join(_command(host, network, None))
    assert "addr=3" in text
    assert "PIIX4_PM.acpi-root-pci-hotplug=off" in text


def test_efi_has_its_code_in_common_and_its_variables_for_itself(
    host: HostRecord, network: NetworkRecord
) -> None:
    efi = EfiFirmware(FirmwareFile("/fw/code,1.fd", "raw"), FirmwareFile("/fw/variables", "raw"))
    command = host_command(
        _QEMU,
        host,
        host_outlets(host, network),
        accelerator="tcg",
        manifest=_manifest(None),
        image_folder=Path("/images/one"),
        efi=efi,
    )
    text = " ".join(command)
    assert "read-only=on,filename=/fw/code,,1.fd" in text
    assert f"filename={host.files.efi_variables}" in text
    assert "/fw/variables" not in text, "that is a template"
    assert "pflash0=efi-code,pflash1=efi-variables" in text


def test_no_secret_is_on_the_command_line(host: HostRecord, network: NetworkRecord) -> None:
    text = " ".join(_command(host, network, None))
    assert "ssh-ed25519" not in text
    assert f"type=11,path={host.files.identity}" in text


def test_guests_get_nothing_but_what_is_named(host: HostRecord, network: NetworkRecord) -> None:
    command = _command(host, network, None)
    assert {"-nodefaults", "-no-user-config", "-sandbox"} <= set(command)


def test_sockets_fit_into_their_addresses(network: NetworkRecord, host: HostRecord) -> None:
    sockets = network.sockets
    for path in (sockets.card(host.id), sockets.agent(host.id), sockets.gateway_monitor):
        assert len(os.fsencode(path)) < 107, tempfile.gettempdir()


def test_translated_code_is_bounded_by_the_guests_memory() -> None:
    def bound(memory: int) -> str:
        arguments = base_arguments("tcg", memory=memory)
        return arguments[arguments.index("-accel") + 1]

    assert bound(_GIB // 4) == "tcg,tb-size=128"
    assert bound(3 * _GIB // 4) == "tcg,tb-size=192"
    assert bound(_GIB) == "tcg,tb-size=512"
    assert bound(2 * _GIB) == "tcg,tb-size=1024"
    assert bound(64 * _GIB) == "tcg,tb-size=1024"
    assert "kvm" in base_arguments("kvm", memory=_GIB)


@pytest.mark.parametrize(("path", "value"), [("/a/b", "/a/b"), ("/a,b", "/a,,b")])
def test_commas_in_paths_are_doubled(path: str, value: str) -> None:
    assert escaped(Path(path)) == value


def test_the_identity_names_keys_addresses_and_names(
    host: HostRecord, network: NetworkRecord
) -> None:
    raw = smbios_string(host, network, host_key="PRIVATE\n", authorized_key="ssh-ed25519 BBBB")
    assert raw.startswith(b"io.systemd.credential.binary:tmpfiles.extra=")
    files = _files(raw)
    assert files["/etc/ssh/ssh_host_ed25519_key"] == ("0600", "PRIVATE\n")
    assert files["/root/.ssh/authorized_keys"] == ("0600", "ssh-ed25519 BBBB\n")
    assert "10.20.30.11 node1.lab.kutti node1" in files["/etc/hosts"][1]
    assert "nameserver 10.20.30.1" in files["/etc/resolv.conf"][1]
    network_file = files["/etc/systemd/network/10-kutti.network"][1]
    assert "Address=10.20.30.11/24" in network_file
    assert "Gateway=10.20.30.2" in network_file


def test_the_host_of_a_template_has_keys_and_no_address(host: HostRecord) -> None:
    raw = nobodys_smbios_string(host, host_key="PRIVATE\n", authorized_key="ssh-ed25519 BBBB")
    files = _files(raw)
    assert files["/etc/ssh/ssh_host_ed25519_key"] == ("0600", "PRIVATE\n")
    network_file = files["/etc/systemd/network/10-kutti.network"][1]
    assert f"MACAddress={host.mac}" in network_file
    assert "Address=" not in network_file.replace("MACAddress=", "")
    assert not {"/etc/hosts", "/etc/resolv.conf"} & files.keys()


def test_a_host_with_a_file_as_its_memory_boots_in_it_unless_a_state_comes_with_it(
    host: HostRecord, network: NetworkRecord
) -> None:
    def command(memory: Memory) -> str:
        outlets = host_outlets(host, network)
        return " ".join(
            host_command(
                _QEMU,
                host,
                outlets,
                accelerator="tcg",
                manifest=_manifest(None),
                image_folder=Path("/images"),
                memory=memory,
            )
        )

    boots = command(Memory(Path("/memory"), "pc", share="on", is_saved=False))
    goes_on = command(Memory(Path("/memory"), "pc", share="off"))
    assert "mem-path=/memory" in boots
    assert "-incoming" not in boots
    assert "-S -incoming defer" in goes_on


def test_a_foreign_disk_gets_a_name_a_machine_id_and_no_passwords(
    host: HostRecord, network: NetworkRecord
) -> None:
    raw = smbios_string(
        host, network, host_key="PRIVATE\n", authorized_key="KEY", more=foreign_lines(host)
    )
    files = _files(raw)
    assert files["/etc/hostname"][1] == "node1\n"
    assert files["/etc/machine-id"] == ("0444", f"{host.uuid.replace('-', '')}\n")
    assert "PasswordAuthentication no" in files["/etc/ssh/sshd_config.d/00-kutti.conf"][1]
    assert "w /proc/sys/kernel/hostname - - - - node1" in _lines(raw)


def _files(smbios: bytes) -> dict[str, tuple[str, str]]:
    """Mode and content of each file that a string has written."""
    fields = (line.split(" ") for line in _lines(smbios) if line.startswith("f"))
    return {
        path: (mode, base64.b64decode(content).decode()) for _, path, mode, *_, content in fields
    }


def _lines(smbios: bytes) -> list[str]:
    return base64.b64decode(smbios.partition(b"=")[2]).decode().splitlines()
