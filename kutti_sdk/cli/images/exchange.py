"""``image export``, ``import`` and ``serve``: images that go from machine to machine."""

from __future__ import annotations

import argparse
from pathlib import Path

import anyio

from kutti_sdk.cli.images.options import add_driver, add_version
from kutti_sdk.cli.terminal import live_progress, output
from kutti_sdk.core.registry import get_driver
from kutti_sdk.core.sizes import format_size
from kutti_sdk.drivers.qemu import QemuDriver


def add_commands(actions: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the commands to ``image``.

    Args:
        actions: Where to add them.
    """
    export = actions.add_parser("export", help="write an image to one file, a bundle")
    add_version(export)
    export.add_argument("path", type=Path, help="file to write, for example lab.kutti")
    export.add_argument("--force", action="store_true", help="replace a file that is there")
    add_driver(export)
    export.set_defaults(command=_export)

    importing = actions.add_parser("import", help="take an image from a file or folder")
    importing.add_argument("path", type=Path, help="bundle, disk image or image folder")
    importing.add_argument(
        "--version", help='Kubernetes version (default: what the file says, else "none")'
    )
    importing.set_defaults(command=_import)

    serve = actions.add_parser("serve", help="share the images on this machine with a network")
    serve.add_argument(
        "--address", required=True, help="IP address of this machine and port: 192.168.1.5:8099"
    )
    serve.set_defaults(command=_serve)


async def _export(options: argparse.Namespace) -> int:
    image = await get_driver(options.driver).get_image(options.version)
    with live_progress():
        await image.export(options.path, replace=options.force)
    size = (await anyio.Path(options.path).stat()).st_size
    output.print(
        f"Exported image {image.k8s_version} to {options.path}, {format_size(size)}",
        markup=False,
        soft_wrap=True,
    )
    return 0


async def _import(options: argparse.Namespace) -> int:
    with live_progress():
        image = await QemuDriver().import_image(options.path, options.version)
    output.print(f"Imported image {image.k8s_version}, checksum {image.checksum}", soft_wrap=True)
    return 0


async def _serve(options: argparse.Namespace) -> int:
    with live_progress():
        async with QemuDriver().serve_images(options.address) as server:
            output.print(
                f"Serving images at {server.url}; end it with Ctrl-C.\n"
                "On the other machines:\n"
                f"  KUTTI_QEMU_IMAGE_LIST={server.list_url} "
                "python -m kutti_sdk image fetch VERSION\n"
                "This is plain HTTP: whoever reaches the address can have the images.",
                soft_wrap=True,
            )
            await anyio.sleep_forever()
    return 0
