"""Fetch one image in a process of its own, and tell how much its memory grew in MiB."""

from __future__ import annotations

import sys
from pathlib import Path

import anyio

from benchmarks.downloads import image_at


async def main() -> None:
    """Fetch a small file that is refused, so that all code is loaded, and then the image."""
    small, url, checksum = sys.argv[1:]
    try:
        await image_at(small, "0" * 64).fetch()
    except Exception:  # noqa: BLE001 - whatever it says
        Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew (proc(5))
    before = _status("VmRSS")
    await image_at(url, checksum).fetch()
    sys.stdout.write(f"{(_status('VmHWM') - before) / 1024:.1f}\n")


def _status(name: str) -> int:
    """KiB, from the status that the kernel gives of this process."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{name}:"))


anyio.run(main)
