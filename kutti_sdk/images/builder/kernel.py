"""The uncompressed kernel out of a packaged one.

A hypervisor starts an ELF kernel at its PVH entry point at once, where the
packaged one (a bzImage) would first have to unpack itself, slowly when the CPU
is emulated. Where the ELF file lies inside is part of the boot protocol:
https://docs.kernel.org/arch/x86/boot.html, fields setup_sects, payload_offset
and payload_length, present since protocol 2.08.
"""

from __future__ import annotations

import bz2
import lzma
import struct
import subprocess
import zlib

from kutti_sdk.core.errors import ImageBuildError

_SECTOR = 512
_SETUP_SECTS, _MAGIC, _VERSION, _PAYLOAD = 0x1F1, 0x202, 0x206, 0x248
_FIRST_VERSION_WITH_PAYLOAD = 0x0208
_SIZE_FIELD = 4  # the unpacked size, which the kernel's build appends to the payload


def extract_vmlinux(bzimage: bytes) -> bytes:
    """Take the ELF kernel out of a bzImage. Takes a second: call it in a thread.

    Args:
        bzimage: The packaged kernel, `/boot/vmlinuz-*`.

    Returns:
        The uncompressed ELF file.

    Raises:
        ImageBuildError: When it is no bzImage or packed in an unknown way.
    """
    if len(bzimage) < _PAYLOAD + 8 or bzimage[_MAGIC : _MAGIC + 4] != b"HdrS":
        raise ImageBuildError("the kernel of the suite is not a Linux bzImage")
    (version,) = struct.unpack_from("<H", bzimage, _VERSION)
    if version < _FIRST_VERSION_WITH_PAYLOAD:
        raise ImageBuildError(f"the kernel's boot protocol {version:#06x} is too old")
    offset, length = struct.unpack_from("<II", bzimage, _PAYLOAD)
    start = (bzimage[_SETUP_SECTS] + 1) * _SECTOR + offset
    kernel = _unpack(bzimage[start : start + length])
    if not kernel.startswith(b"\x7fELF"):
        raise ImageBuildError("the kernel of the suite holds no ELF file")
    return kernel


def _unpack(payload: bytes) -> bytes:
    try:
        if payload.startswith(b"\x1f\x8b"):
            return zlib.decompressobj(zlib.MAX_WBITS | 16).decompress(payload)
        if payload.startswith((b"\xfd7zXZ\x00", b"\x5d\x00\x00")):
            return lzma.LZMADecompressor().decompress(payload)
        if payload.startswith(b"BZh"):
            return bz2.BZ2Decompressor().decompress(payload)
        if payload.startswith(b"\x28\xb5\x2f\xfd"):
            return _pipe_through("zstd", payload[:-_SIZE_FIELD])
        if payload.startswith(b"\x02\x21\x4c\x18"):
            return _pipe_through("lz4", payload[:-_SIZE_FIELD])
    except (zlib.error, lzma.LZMAError, OSError) as error:
        raise ImageBuildError(f"the kernel of the suite cannot be unpacked: {error}") from error
    raise ImageBuildError("the kernel of the suite is packed in an unknown way")


def _pipe_through(program: str, packed: bytes) -> bytes:
    try:
        done = subprocess.run([program, "-dc"], input=packed, capture_output=True, check=False)
    except FileNotFoundError:
        raise ImageBuildError(
            f"the kernel of the suite is packed by {program}, which is not installed",
            hint=f"apt-get install {program}",
        ) from None
    if done.returncode != 0:
        reason = done.stderr.decode(errors="replace").strip()
        raise ImageBuildError(f"the kernel of the suite cannot be unpacked: {reason}")
    return done.stdout
