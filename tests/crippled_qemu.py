"""A stand-in for a QEMU that was built without user-mode networking and without its sandbox.

No distribution at hand has such a one. It tells its version and what it has in the words of
QEMU 8.2, and refuses what it has not as that does.
"""

from __future__ import annotations

from pathlib import Path

_PROGRAM = r"""#!/bin/sh
case "$*" in
*--version) echo 'QEMU emulator version 8.2.0';;
*-sandbox*) echo '-sandbox support is not enabled in this QEMU binary' >&2; exit 1;;
*'-netdev help') printf 'Available netdev backend types:\nstream\nhubport\n';;
*'-device help')
    for name in virtio-blk-pci virtio-net-pci virtio-rng-pci virtio-serial-pci virtserialport; do
        echo "name \"$name\", bus somewhere"
    done;;
*) exit 1;;
esac
"""


def write_crippled_qemu(folder: Path) -> None:
    """Put the stand-in into a folder, for ``KUTTI_QEMU_DIR``."""
    program = folder / "qemu-system-x86_64"
    program.write_text(_PROGRAM)
    program.chmod(0o755)
    (folder / "qemu-img").symlink_to("/bin/true")
