from __future__ import annotations

import bz2
import gzip
import lzma
import shutil
import struct
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kutti_sdk.core.errors import ImageBuildError
from kutti_sdk.images.builder.kernel import extract_vmlinux

VMLINUX = b"\x7fELF" + bytes(range(256)) * 64


def bzimage(payload: bytes, *, version: int = 0x020F, setup_sects: int = 4) -> bytes:
    """A packaged kernel as far as the boot protocol tells where the payload lies."""
    offset = 700
    header = bytearray((setup_sects + 1) * 512)
    header[0x1F1] = setup_sects
    header[0x202:0x206] = b"HdrS"
    struct.pack_into("<H", header, 0x206, version)
    struct.pack_into("<II", header, 0x248, offset, len(payload))
    return bytes(header) + b"\x90" * offset + payload + b"\x90" * 100


def compressed_by(program: str) -> bytes:
    if shutil.which(program) is None:
        pytest.skip(f"needs {program}")
    options = ["-l"] if program == "lz4" else []
    done = subprocess.run([program, *options, "-c"], input=VMLINUX, capture_output=True, check=True)
    return done.stdout


@pytest.mark.parametrize("compress", [gzip.compress, lzma.compress, bz2.compress])
def test_the_elf_file_comes_out_however_it_was_packed(compress: object) -> None:
    size = struct.pack("<I", len(VMLINUX))
    assert extract_vmlinux(bzimage(compress(VMLINUX) + size)) == VMLINUX  # type: ignore[operator]


@pytest.mark.parametrize("program", ["zstd", "lz4"])
def test_the_elf_file_comes_out_of_what_python_cannot_unpack(program: str) -> None:
    payload = compressed_by(program) + struct.pack("<I", len(VMLINUX))
    assert extract_vmlinux(bzimage(payload)) == VMLINUX


def test_a_missing_program_is_told_with_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    with pytest.raises(ImageBuildError) as refused:
        extract_vmlinux(bzimage(b"\x28\xb5\x2f\xfd1234"))
    assert refused.value.hint == "apt-get install zstd"


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"MZ" * 600,
        bzimage(gzip.compress(VMLINUX), version=0x0207),
        bzimage(gzip.compress(b"no ELF file")),
        bzimage(b"\x89unknown"),
        bzimage(b"\xfd7zXZ\x00broken"),
    ],
)
def test_what_is_no_usable_kernel_is_refused(raw: bytes) -> None:
    with pytest.raises(ImageBuildError):
        extract_vmlinux(raw)


@given(st.binary(max_size=64))
def test_any_payload_is_unpacked_or_refused(payload: bytes) -> None:
    with pytest.raises(ImageBuildError):
        extract_vmlinux(bzimage(payload))
