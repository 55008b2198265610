from __future__ import annotations

import lzma
import stat

import pytest

from kutti_sdk.core.errors import ImageBuildError
from kutti_sdk.images.builder.initrd import build_initrd


def unpacked(archive: bytes) -> dict[str, tuple[int, bytes]]:
    """Read a cpio archive in the newc format: modes and contents by path."""
    entries, position = {}, 0
    while True:
        assert archive[position : position + 6] == b"070701"
        fields = [int(archive[position + 6 + 8 * n :][:8], 16) for n in range(13)]
        mode, size, name_size = fields[1], fields[6], fields[11]
        start = position + 110
        name = archive[start : start + name_size - 1].decode()
        content = start + name_size + -(start + name_size) % 4
        if name == "TRAILER!!!":
            return entries
        entries[name] = (mode, archive[content : content + size])
        position = content + size + -size % 4


def test_it_holds_what_the_kernel_starts_first() -> None:
    mode, script = unpacked(build_initrd(b"busybox", {}))["init"]
    assert mode == stat.S_IFREG | 0o755
    assert script.startswith(b"#!/bin/sh\n")


def test_every_program_of_the_script_is_busybox() -> None:
    entries = unpacked(build_initrd(b"\x7fELF busybox", {}))
    assert entries["bin/busybox"] == (stat.S_IFREG | 0o755, b"\x7fELF busybox")
    script = entries["init"][1].decode()
    for program in ("mount", "umount", "insmod", "switch_root", "poweroff", "mknod", "mkdir"):
        assert f"{program} " in script
        assert entries[f"bin/{program}"] == (stat.S_IFLNK | 0o777, b"busybox")


def test_modules_are_loaded_in_the_order_given() -> None:
    modules = {f"m{number}.ko": b"%d" % number for number in (3, 1, 2)}
    entries = unpacked(build_initrd(b"", modules))
    loaded = [entries[name][1] for name in sorted(entries) if name.startswith("modules/")]
    assert loaded == [b"3", b"1", b"2"]


def test_packed_modules_are_unpacked() -> None:
    entries = unpacked(build_initrd(b"", {"virtio.ko.xz": lzma.compress(b"module")}))
    assert entries["modules/00-virtio.ko"][1] == b"module"


def test_a_module_packed_in_an_unknown_way_is_refused() -> None:
    with pytest.raises(ImageBuildError, match=r"virtio\.ko\.zst"):
        build_initrd(b"", {"virtio.ko.zst": b""})


def test_the_same_parts_make_the_same_bytes() -> None:
    assert build_initrd(b"b", {"m.ko": b"m"}) == build_initrd(b"b", {"m.ko": b"m"})
