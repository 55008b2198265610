"""Importing an .ova, against unpacking and converting it by hand."""

from __future__ import annotations

import hashlib
import os
import subprocess
import tarfile
from pathlib import Path
from tempfile import TemporaryDirectory

import anyio

import kutti_sdk as kutti
from benchmarks.measure import Measurement, alternating
from kutti_sdk.images.file_import import import_image
from kutti_sdk.images.store import remove_local
from kutti_sdk.runtime.directories import workspace

_MIB = 2**20
_DISK_SIZE = 1024 * _MIB

# Of the disk's data, this much cannot be packed; the rest packs to a third, as the
# files of an installed system do. What is left of the disk is empty.
_RANDOM, _PACKABLE = 100 * _MIB, 400 * _MIB


async def run(rounds: int) -> list[Measurement]:
    """Measure the import of an .ova with 500 MiB of data."""
    before = workspace()
    with TemporaryDirectory(prefix="kutti-bench-", dir=before) as folder:
        kutti.set_workspace(folder)
        try:
            return [await _measure(Path(folder), rounds)]
        finally:
            kutti.set_workspace(before)


async def _measure(folder: Path, rounds: int) -> Measurement:
    ova = _make_ova(folder)
    by_hand = folder / "by-hand"
    by_hand.mkdir()

    async def ours() -> None:
        await remove_local(await import_image(ova, "1.34.2"), _nobody)

    async def baseline() -> None:
        await anyio.run_process(["tar", "xf", str(ova)], cwd=by_hand)
        convert = ["qemu-img", "convert", "-f", "vmdk", "-O", "qcow2", "lab.vmdk", "lab.qcow2"]
        await anyio.run_process(convert, cwd=by_hand)
        for file in by_hand.iterdir():
            file.unlink()

    await baseline()  # so that both find the file in memory
    one, other = await alternating(ours, baseline, rounds)
    return Measurement(
        "import of an .ova, verified",
        one,
        goal=1.1,
        baseline=other,
        baseline_name="tar x, qemu-img convert",
    )


def _make_ova(folder: Path) -> Path:
    raw, disk = folder / "lab.raw", folder / "lab.vmdk"
    with raw.open("wb") as file:
        file.write(b"\0" * 510 + b"\x55\xaa")
        file.seek(_MIB)
        file.write(os.urandom(_RANDOM))
        for _ in range(_PACKABLE // _MIB):
            # A third of the bytes is random, in pieces as small as the words of a program.
            file.write(b"".join(os.urandom(16) + bytes(32) for _ in range(_MIB // 48)))
        file.truncate(_DISK_SIZE)
    convert = ["qemu-img", "convert", "-f", "raw", "-O", "vmdk", "-o", "subformat=streamOptimized"]
    subprocess.run([*convert, raw, disk], check=True)
    raw.unlink()
    ovf = folder / "lab.ovf"
    ovf.write_text(_ENVELOPE.format(capacity=_DISK_SIZE))
    manifest = folder / "lab.mf"
    manifest.write_text(
        "".join(
            f"SHA1 ({path.name}) = {hashlib.sha1(path.read_bytes()).hexdigest()}\n"
            for path in (ovf, disk)
        )
    )
    ova = folder / "lab.ova"
    with tarfile.open(ova, "w", format=tarfile.USTAR_FORMAT) as archive:
        for path in (ovf, disk, manifest):
            archive.add(path, arcname=path.name)
            path.unlink()
    return ova


_ENVELOPE = """<?xml version="1.0"?>
<Envelope xmlns="http://schemas.dmtf.org/ovf/envelope/1"
  xmlns:ovf="http://schemas.dmtf.org/ovf/envelope/1">
  <References><File ovf:id="file1" ovf:href="lab.vmdk"/></References>
  <DiskSection><Disk ovf:capacity="{capacity}" ovf:diskId="disk1" ovf:fileRef="file1"
    ovf:format="http://www.vmware.com/interfaces/specifications/vmdk.html#streamOptimized"/>
  </DiskSection>
  <VirtualSystem ovf:id="lab"/>
</Envelope>
"""


async def _nobody(_: str) -> list[str]:
    return []
