"""``image import``: images that come as files."""

from __future__ import annotations

import argparse
from pathlib import Path

from kutti_sdk.cli.images.options import add_version
from kutti_sdk.cli.terminal import live_progress, output
from kutti_sdk.drivers.qemu import QemuDriver


def add_commands(actions: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the commands to ``image``.

    Args:
        actions: Where to add them.
    """
    importing = actions.add_parser("import", help="take an image from a file or folder")
    add_version(importing)
    importing.add_argument("path", type=Path, help="disk image or image folder")
    importing.set_defaults(command=_import)


async def _import(options: argparse.Namespace) -> int:
    with live_progress():
        image = await QemuDriver().import_image(options.path, options.version)
    output.print(f"Imported image {image.k8s_version}, checksum {image.checksum}", soft_wrap=True)
    return 0
