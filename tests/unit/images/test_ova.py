"""What an .ova must be to be taken: everything else is refused before a byte is written."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from image_samples import MIB
from ova_samples import DISK_NAME, archive, envelope, manifest, ova, vmdk_head

from kutti_sdk.core.errors import ChecksumMismatchError, ImageFormatError, UnsafeImageError
from kutti_sdk.images.ova import archive as ova_archive
from kutti_sdk.images.ova import open_ova
from kutti_sdk.images.ova.checksum_list import parse_checksums
from kutti_sdk.images.ova.descriptor import parse_descriptor

_OVF = envelope().encode()


def write(folder: Path, content: bytes) -> Path:
    path = folder / "lab.ova"
    path.write_bytes(content)
    return path


def entry(name: str, kind: bytes, **fields: object) -> bytes:
    """An archive with one entry of any kind, and the descriptor."""
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w", format=tarfile.USTAR_FORMAT) as to:
        member = tarfile.TarInfo(name)
        member.type = kind
        for field, value in fields.items():
            setattr(member, field, value)
        to.addfile(member)
        ovf = tarfile.TarInfo("lab.ovf")
        ovf.size = len(_OVF)
        to.addfile(ovf, io.BytesIO(_OVF))
    return target.getvalue()


def with_notes(**notes: str) -> bytes:
    """An archive whose disk has a pax header."""
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w", format=tarfile.PAX_FORMAT) as to:
        for name, content in (("lab.ovf", _OVF), (DISK_NAME, vmdk_head())):
            member = tarfile.TarInfo(name)
            member.size = len(content)
            member.pax_headers = notes if name == DISK_NAME else {}
            to.addfile(member, io.BytesIO(content))
    return target.getvalue()


def test_an_ova_as_virtualbox_writes_it_is_understood(tmp_path: Path) -> None:
    package = open_ova(write(tmp_path, ova(vmdk_head())))
    machine = package.machine
    assert (machine.name, machine.os, machine.firmware) == ("lab", "Debian_64", "bios")
    assert (machine.cpus, machine.memory, machine.capacity) == (2, 2048 * MIB, MIB)
    assert package.disk.virtual_size == MIB
    assert {promised.name for promised in package.promised} == {"lab.ovf", DISK_NAME}


def test_the_descriptor_may_stand_anywhere(tmp_path: Path) -> None:
    files = [(DISK_NAME, vmdk_head()), ("lab.ovf", _OVF)]
    assert open_ova(write(tmp_path, archive(files))).promised == ()


# The archive


@pytest.mark.parametrize(
    "name",
    ["../lab.vmdk", "/etc/cron.d/lab", "a/lab.vmdk", "..", "a\\b", "./lab.vmdk", "new\nline"],
)
def test_a_name_that_leads_elsewhere_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(UnsafeImageError):
        open_ova(write(tmp_path, archive([("lab.ovf", _OVF), (name, b"")])))


@pytest.mark.parametrize(
    "kind",
    [
        tarfile.SYMTYPE,
        tarfile.LNKTYPE,
        tarfile.CHRTYPE,
        tarfile.BLKTYPE,
        tarfile.FIFOTYPE,
        tarfile.DIRTYPE,
        tarfile.GNUTYPE_SPARSE,
        tarfile.CONTTYPE,
        b"Z",
    ],
)
def test_what_is_no_plain_file_is_refused(kind: bytes, tmp_path: Path) -> None:
    with pytest.raises(UnsafeImageError):
        open_ova(write(tmp_path, entry(DISK_NAME, kind, linkname="/etc/shadow")))


def test_two_files_of_one_name_are_refused(tmp_path: Path) -> None:
    files = [("lab.ovf", _OVF), (DISK_NAME, vmdk_head()), (DISK_NAME, b"another")]
    with pytest.raises(UnsafeImageError, match="two files"):
        open_ova(write(tmp_path, archive(files)))


@pytest.mark.parametrize("key", ["path", "size", "linkpath", "GNU.sparse.name"])
def test_pax_headers_that_replace_names_and_sizes_are_refused(key: str, tmp_path: Path) -> None:
    with pytest.raises(UnsafeImageError, match="pax"):
        open_ova(write(tmp_path, with_notes(**{key: "7"})))


def test_pax_headers_with_dates_are_passed_over(tmp_path: Path) -> None:
    assert open_ova(write(tmp_path, with_notes(mtime="7.25"))).disk.virtual_size == MIB


@pytest.mark.parametrize("length", [0, 511, 512, 700, -1024, -10240, -1500])
def test_a_truncated_archive_is_refused(length: int, tmp_path: Path) -> None:
    whole = archive([("lab.ovf", _OVF), (DISK_NAME, vmdk_head())])
    end = whole.rstrip(b"\0")
    end += bytes(-len(end) % 512)
    with pytest.raises(ImageFormatError):
        ova_archive.read_members(write(tmp_path, whole[:length] if length >= 0 else end[:length]))


def test_a_claim_of_more_than_there_is_is_refused(tmp_path: Path) -> None:
    raw = bytearray(archive([("lab.ovf", _OVF), (DISK_NAME, vmdk_head())]))
    header = 512 + len(_OVF) + -len(_OVF) % 512
    raw[header + 124 : header + 136] = b"\x80" + (1 << 62).to_bytes(11)
    raw[header + 148 : header + 156] = b" " * 8
    checksum = sum(raw[header : header + 512])
    raw[header + 148 : header + 156] = b"%06o\0 " % checksum
    with pytest.raises(ImageFormatError, match="too early"):
        open_ova(write(tmp_path, bytes(raw)))


def test_a_damaged_header_is_refused(tmp_path: Path) -> None:
    raw = bytearray(ova(vmdk_head()))
    raw[20] ^= 1
    with pytest.raises(ImageFormatError, match="damaged"):
        open_ova(write(tmp_path, bytes(raw)))


def test_an_archive_of_countless_files_is_refused(tmp_path: Path) -> None:
    files = [(f"file{number}", b"") for number in range(ova_archive.MOST_MEMBERS + 1)]
    with pytest.raises(ImageFormatError, match="more than"):
        open_ova(write(tmp_path, archive(files)))


@given(raw=st.binary(max_size=2048), at=st.integers(0, 2048))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_damage_to_an_archive_is_judged(raw: bytes, at: int, tmp_path: Path) -> None:
    good = ova(vmdk_head())
    try:
        open_ova(write(tmp_path, good[:at] + raw + good[at + len(raw) :]))
    except (ImageFormatError, UnsafeImageError):
        pass


# The descriptor


def test_no_descriptor_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ImageFormatError, match="no description"):
        open_ova(write(tmp_path, archive([(DISK_NAME, vmdk_head())])))


def test_two_descriptors_are_refused(tmp_path: Path) -> None:
    files = [("a.ovf", _OVF), ("b.ovf", _OVF), (DISK_NAME, vmdk_head())]
    with pytest.raises(ImageFormatError, match="more than one"):
        open_ova(write(tmp_path, archive(files)))


@pytest.mark.parametrize(
    ("text", "what"),
    [
        (envelope(disks=2), "has 2 disks"),
        (envelope(disks=0), "has 0 disks"),
        (envelope(machines=2), "2 machines"),
        (envelope(machines=0), "0 machines"),
        (envelope(kind="http://example.org/floppy"), "unknown format"),
        (envelope(disk='ovf:parentRef="other"'), "parent disk"),
        (envelope(file='ovf:compression="gzip"'), "compressed"),
        (envelope(file='ovf:chunkSize="1000"'), "pieces"),
        (envelope(capacity="much"), "how large"),
        (envelope(disk='ovf:capacityAllocationUnits="bushel"'), "no unit"),
        ("<Envelope", "cannot be read"),
        ("<html/>", "no OVF envelope"),
        ("", "cannot be read"),
        (envelope(prolog="<!DOCTYPE x>"), "cannot be read"),
        (
            envelope(
                prolog='<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]>', machine="<a>&b;</a>"
            ),
            "cannot be read",
        ),
        (
            envelope(
                prolog='<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]>',
                machine="<a>&a;</a>",
            ),
            "cannot be read",
        ),
    ],
)
def test_a_descriptor_of_anything_else_is_refused(text: str, what: str) -> None:
    with pytest.raises(ImageFormatError, match=what):
        parse_descriptor(text.encode())


@pytest.mark.parametrize(
    ("machine", "firmware"),
    [
        ("", "bios"),
        ('<vbox:Machine><Hardware><Firmware type="BIOS"/></Hardware></vbox:Machine>', "bios"),
        ('<vbox:Machine><Hardware><Firmware type="EFI"/></Hardware></vbox:Machine>', "efi"),
        ('<vbox:Machine><Hardware><Firmware type="EFI64"/></Hardware></vbox:Machine>', "efi"),
        ('<vmw:Config ovf:required="false" vmw:key="firmware" vmw:value="efi"/>', "efi"),
        ('<vmw:Config vmw:key="firmware" vmw:value="bios"/>', "bios"),
    ],
)
def test_the_firmware_is_told_in_the_words_of_virtualbox_and_vmware(
    machine: str, firmware: str
) -> None:
    assert parse_descriptor(envelope(machine=machine).encode()).firmware == firmware


@pytest.mark.parametrize(
    ("capacity", "units", "size"),
    [("20", "byte * 2^30", 20 << 30), ("20480", "MegaBytes", 20 << 30), ("77", "byte", 77)],
)
def test_the_capacity_is_told_in_units(capacity: str, units: str, size: int) -> None:
    text = envelope(capacity=capacity, disk=f'ovf:capacityAllocationUnits="{units}"')
    assert parse_descriptor(text.encode()).capacity == size


@given(st.text(max_size=300), st.booleans())
def test_any_descriptor_is_judged(text: str, within: bool) -> None:
    raw = envelope(machine=text) if within else text
    try:
        parse_descriptor(raw.encode(errors="replace"))
    except ImageFormatError:
        pass


# The disk


def test_a_disk_that_is_not_there_is_missed(tmp_path: Path) -> None:
    with pytest.raises(ImageFormatError, match="is not in the"):
        open_ova(write(tmp_path, archive([("lab.ovf", _OVF), ("other.vmdk", vmdk_head())])))


@pytest.mark.parametrize("href", ["/etc/shadow", "../lab.ova", "http://example.org/disk.vmdk"])
def test_a_disk_outside_of_the_archive_is_not_looked_for(href: str, tmp_path: Path) -> None:
    with pytest.raises(ImageFormatError, match="is not in the"):
        open_ova(write(tmp_path, ova(vmdk_head(), ovf=envelope(href=href))))


def test_a_disk_of_another_length_than_described_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ImageFormatError, match="should have"):
        open_ova(write(tmp_path, ova(vmdk_head(), ovf=envelope(size=5))))


def test_a_disk_that_is_larger_than_described_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ImageFormatError, match="describes one of"):
        open_ova(write(tmp_path, ova(vmdk_head(capacity=1 << 49))))


def test_a_disk_that_names_other_files_is_unsafe(tmp_path: Path) -> None:
    text = b'# Disk DescriptorFile\nRW 2048 FLAT "/etc/shadow" 0\n'
    with pytest.raises(UnsafeImageError, match="names other files"):
        open_ova(write(tmp_path, ova(text)))


@pytest.mark.parametrize("content", [b"", b"\x1f\x8b\x08", b"<html>", archive([("a", b"")])])
def test_a_disk_of_an_unknown_kind_is_refused(content: bytes, tmp_path: Path) -> None:
    with pytest.raises(ImageFormatError):
        open_ova(write(tmp_path, ova(content)))


# The manifest


@pytest.mark.parametrize("algorithm", ["sha1", "sha256", "sha512"])
def test_a_manifest_promises_checksums(algorithm: str, tmp_path: Path) -> None:
    package = open_ova(write(tmp_path, ova(vmdk_head(), algorithm=algorithm)))
    assert {promised.span.algorithm for promised in package.promised} == {algorithm}


def test_a_wrong_checksum_is_told_with_both(tmp_path: Path) -> None:
    promised = open_ova(write(tmp_path, ova(vmdk_head()))).promised[1]
    with pytest.raises(ChecksumMismatchError) as caught:
        promised.verify("0" * 40)
    assert promised.checksum in str(caught.value)
    assert "0" * 40 in str(caught.value)


@pytest.mark.parametrize("left_out", ["lab.ovf", DISK_NAME])
def test_a_manifest_must_name_what_is_used(left_out: str, tmp_path: Path) -> None:
    files = [("lab.ovf", _OVF), (DISK_NAME, vmdk_head())]
    listed = manifest(file for file in files if file[0] != left_out)
    with pytest.raises(ImageFormatError, match="says nothing of"):
        open_ova(write(tmp_path, archive([*files, ("lab.mf", listed)])))


def test_a_manifest_must_name_what_is_there(tmp_path: Path) -> None:
    files = [("lab.ovf", _OVF), (DISK_NAME, vmdk_head())]
    listed = manifest([*files, ("gone.iso", b"")])
    with pytest.raises(ImageFormatError, match="which is not there"):
        open_ova(write(tmp_path, archive([*files, ("lab.mf", listed)])))


@pytest.mark.parametrize(
    "line", ["SHA1 (a)", "MD5 (a) = 00", "SHA1 (a) = 00", f"SHA256(a)= {'g' * 64}", "\0"]
)
def test_a_line_that_says_no_checksum_is_refused(line: str) -> None:
    with pytest.raises(ImageFormatError, match="has the line"):
        parse_checksums(line.encode())


def test_a_file_with_two_checksums_is_refused() -> None:
    with pytest.raises(ImageFormatError, match="twice"):
        parse_checksums(f"SHA1 (a) = {'0' * 40}\nSHA1 (a) = {'1' * 40}\n".encode())


def test_vmwares_way_of_writing_a_manifest_is_understood() -> None:
    raw = f"SHA256(a b.ovf)= {'AB' * 32}\r\n\r\n".encode()
    assert parse_checksums(raw) == {"a b.ovf": ("sha256", "ab" * 32)}


@given(st.binary(max_size=300))
def test_any_manifest_is_judged(raw: bytes) -> None:
    try:
        parse_checksums(raw)
    except ImageFormatError:
        pass
