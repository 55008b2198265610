"""The initial RAM disk: busybox, a few kernel modules and one script.

It is a cpio archive in the "newc" format that the kernel unpacks
(https://docs.kernel.org/driver-api/early-userspace/buffer-format.html), not
compressed: unpacking costs an emulated CPU more than reading two megabytes.
"""

from __future__ import annotations

import lzma
import stat
from collections.abc import Mapping
from importlib.resources import files

from kutti_sdk.core.errors import ImageBuildError

MODULES = (
    "virtio_pci",
    "virtio_blk",
    # Needed later, and cheaper to load here than to be found by udev.
    "virtio_net",
    "virtio_console",
    "virtio_rng",
    "button",
    "evdev",
)
"""Kernel modules of the devices that every host has."""

_APPLETS = (
    *("sh", "mount", "umount", "mkdir", "mknod", "insmod", "cat", "usleep"),
    *("poweroff", "switch_root"),
)
_HEADER = "070701" + "{:08X}" * 13
_TRAILER = "TRAILER!!!"


def build_initrd(busybox: bytes, modules: Mapping[str, bytes]) -> bytes:
    """Make the initial RAM disk.

    Args:
        busybox: The statically linked busybox.
        modules: Kernel modules by file name, in the order to load them.

    Returns:
        The archive; the same for the same arguments.

    Raises:
        ImageBuildError: When a module is compressed in an unknown way.
    """
    archive = Cpio()
    for folder in ("bin", "dev", "modules", "proc", "root"):
        archive.add(folder, b"", stat.S_IFDIR | 0o755)
    archive.add("bin/busybox", busybox, stat.S_IFREG | 0o755)
    for applet in _APPLETS:
        archive.add(f"bin/{applet}", b"busybox", stat.S_IFLNK | 0o777)
    for number, (name, content) in enumerate(modules.items()):
        archive.add(
            f"modules/{number:02d}-{name.partition('.ko')[0]}.ko",
            _unpack_module(name, content),
            stat.S_IFREG | 0o644,
        )
    script = (files(__package__) / "initrd_init.sh").read_bytes()
    archive.add("init", script, stat.S_IFREG | 0o755)
    return archive.finish()


class Cpio:
    """A cpio archive that grows entry by entry; all belong to root and have no date."""

    def __init__(self) -> None:
        self._bytes = bytearray()
        self._entries = 0

    def add(self, path: str, content: bytes, mode: int) -> None:
        """Add an entry.

        Args:
            path: Its path, relative to the root.
            content: Its bytes; the target, for a symbolic link.
            mode: Its kind and permissions, as in `os.stat_result.st_mode`.
        """
        self._entries += 1
        links, name = 1, path.encode() + b"\0"
        header = _HEADER.format(
            self._entries, mode, 0, 0, links, 0, len(content), 0, 0, 0, 0, len(name), 0
        )
        for part in (header.encode() + name, content):
            self._bytes += part
            self._bytes += bytes(-len(self._bytes) % 4)

    def finish(self) -> bytes:
        """End the archive.

        Returns:
            All of its bytes.
        """
        self.add(_TRAILER, b"", 0)
        return bytes(self._bytes)


def _unpack_module(name: str, content: bytes) -> bytes:
    if name.endswith(".ko"):
        return content
    if name.endswith(".ko.xz"):
        return lzma.decompress(content)
    raise ImageBuildError(f"the kernel module {name} is packed in an unknown way")
