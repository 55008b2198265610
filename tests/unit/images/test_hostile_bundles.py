"""Bundles that are none: nothing else is taken for one, and nothing of it is written."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Callable
from pathlib import Path

import anyio
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from image_samples import VERSION, make_image_folder, names_in

from kutti_sdk.core.errors import ChecksumMismatchError, ImageFormatError
from kutti_sdk.core.events import ProgressEvent, observe
from kutti_sdk.images.bundle.contents import judge
from kutti_sdk.images.bundle.export import export_bundle
from kutti_sdk.images.bundle.unpacking import import_bundle
from kutti_sdk.images.folder_import import import_folder

pytestmark = pytest.mark.anyio

Members = list[tuple[tarfile.TarInfo, bytes]]


def members_of(bundle: Path) -> Members:
    with tarfile.open(bundle) as archive:
        return [(it, (archive.extractfile(it) or io.BytesIO()).read()) for it in archive]


def pack(members: Members, path: Path) -> None:
    with tarfile.open(path, "w", format=tarfile.GNU_FORMAT) as archive:
        for member, content in members:
            archive.addfile(member, io.BytesIO(content))


def named(name: str, kind: bytes = tarfile.REGTYPE, link: str = "") -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.type, member.linkname = kind, link
    return member


def swap(members: Members) -> None:
    members[3], members[4] = members[4], members[3]


def rename(name: str) -> Callable[[Members], None]:
    def change(members: Members) -> None:
        members[2][0].name = name

    return change


def turn_into(kind: bytes, link: str = "") -> Callable[[Members], None]:
    def change(members: Members) -> None:
        content = members[3][1]
        members[3] = (named("vmlinux", kind, link), content)
        members[3][0].size = len(content)  # as promised, so that only its kind is wrong

    return change


def grow(members: Members) -> None:
    member, content = members[3]
    member.size += 1
    members[3] = (member, content + b"x")


def other_entry(members: Members) -> None:
    member, content = members[1]
    members[1] = (member, content.replace(b"ContentChecksum", b"ContentChecksun"))


def entry_of_another_version(members: Members) -> None:
    member, content = members[1]
    members[1] = (member, content.replace(b'"1.34.2"', b'"1.34.3"'))


HOSTILE: dict[str, Callable[[Members], object]] = {
    "a file too many": lambda members: members.append((named("extra"), b"")),
    "a file before the manifest": lambda members: members.insert(0, (named("README"), b"")),
    "a file missing": lambda members: members.pop(),
    "the list entry missing": lambda members: members.pop(1),
    "a file twice": lambda members: members.append(members[-1]),
    "another order": swap,
    "a path out of the folder": rename("../../disk.qcow2"),
    "an absolute path": rename("/tmp/disk.qcow2"),
    "a path": rename("./disk.qcow2"),
    "a symbolic link": turn_into(tarfile.SYMTYPE, "/etc/passwd"),
    "a hard link": turn_into(tarfile.LNKTYPE, "disk.qcow2"),
    "a folder": turn_into(tarfile.DIRTYPE),
    "a device": turn_into(tarfile.CHRTYPE),
    "a pipe": turn_into(tarfile.FIFOTYPE),
    "a sparse file": turn_into(tarfile.GNUTYPE_SPARSE),
    "another size than promised": grow,
    "an entry of another image": other_entry,
    "an entry of another version": entry_of_another_version,
}


@pytest.mark.parametrize("hostile", HOSTILE)
async def test_what_bundles_do_not_have_is_refused_before_anything_is_written(
    bundle: Path, tmp_path: Path, store: Path, hostile: str
) -> None:
    members = members_of(bundle)
    HOSTILE[hostile](members)
    pack(members, tmp_path / "hostile")
    told: list[ProgressEvent] = []
    with pytest.raises(ImageFormatError) as refused, observe(told.append):
        await import_bundle(tmp_path / "hostile", VERSION)
    assert refused.value.hint
    assert told == []
    assert names_in(store) == []


@pytest.mark.usefixtures("workspace")
async def test_a_huge_manifest_is_refused_before_it_is_read(tmp_path: Path) -> None:
    with (tmp_path / "hostile").open("wb") as file:
        member = named("image.json")
        member.size = 1 << 40
        file.write(member.tobuf(tarfile.GNU_FORMAT))
        file.truncate(1 << 41)  # takes no room
    with pytest.raises(ImageFormatError, match="1 TiB"):
        await import_bundle(tmp_path / "hostile", VERSION)


async def test_what_follows_after_the_end_is_refused(bundle: Path, store: Path) -> None:
    whole = bundle.read_bytes()
    for rest in (b"x", b"\0" * 512 + b"x", b"\0" * 20480):
        bundle.write_bytes(whole + rest)
        with pytest.raises(ImageFormatError):
            await import_bundle(bundle, VERSION)
    assert names_in(store) == []
    bundle.write_bytes(whole + b"\0" * 4096)  # as tar fills up its last record
    await import_bundle(bundle, VERSION)


async def test_a_changed_byte_of_a_file_is_found_while_it_is_copied(
    bundle: Path, store: Path
) -> None:
    with bundle.open("rb") as file:
        members = judge(file).members
    whole = bundle.read_bytes()
    for member in members:
        changed = bytearray(whole)
        changed[member.offset + member.file.size - 1] ^= 1
        bundle.write_bytes(changed)
        with pytest.raises(ChecksumMismatchError, match=member.file.name):
            await import_bundle(bundle, VERSION)
        assert names_in(store) == []


def _sample() -> bytes:
    """A bundle without a store, to be damaged in all ways."""
    from tempfile import TemporaryDirectory

    from kutti_sdk.runtime.directories import set_workspace

    async def make(folder: Path) -> bytes:
        source = make_image_folder(folder / "x", k8s_version=VERSION)
        image = await import_folder(source, VERSION)
        await export_bundle(image, None, folder / "b")
        return (folder / "b").read_bytes()

    with TemporaryDirectory() as folder:
        set_workspace(folder)
        try:
            return anyio.run(make, Path(folder))
        finally:
            set_workspace(None)


SAMPLE = _sample()


@settings(deadline=None)
@given(st.integers(min_value=0, max_value=len(SAMPLE) - 1))
def test_a_bundle_that_was_cut_off_anywhere_is_refused(length: int) -> None:
    with pytest.raises(ImageFormatError):
        judge(io.BytesIO(SAMPLE[:length]))


@settings(deadline=None)
@given(st.integers(min_value=0, max_value=9 * 512), st.integers(min_value=1, max_value=255))
def test_a_changed_head_is_refused_or_names_the_same_files(position: int, change: int) -> None:
    raw = bytearray(SAMPLE)
    raw[position] ^= change
    try:
        contents = judge(io.BytesIO(bytes(raw)))
    except ImageFormatError:
        return
    assert [member.file.name for member in contents.members] == [
        *("disk.qcow2", "vmlinux", "initrd.img")
    ]
    assert sum(member.file.size for member in contents.members) == contents.size
