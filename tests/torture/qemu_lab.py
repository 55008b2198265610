"""A laboratory on the QEMU driver whose hosts start in a tenth of a second.

They boot a disk of one sector (`kutti_sdk.testing.boot_disk`), so that QEMU, the switch
and the gateway are real, and nothing is waited for that boots inside.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from importlib import import_module
from pathlib import Path
from threading import Thread

import anyio
import anyio.lowlevel
import pytest
from pretended_agent import PretendedAgent, pretend
from tortured_operations import Lab

import kutti_sdk as kutti
from kutti_sdk.core.host import VMHost
from kutti_sdk.drivers.qemu import QemuDriver
from kutti_sdk.testing.boot_disk import DISK_SIZE, boot_disk

LISTED = "1.35.0"
"""Version of the image that is published, and not here."""


@contextmanager
def published_image(folder: Path) -> Iterator[Path]:
    """Publish an image by HTTP for the length of a block.

    Args:
        folder: An empty folder for what is published.

    Yields:
        The image list, a file.
    """
    disk = folder / "disk.img"
    disk.write_bytes(boot_disk() + b"another image".ljust(DISK_SIZE))
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(folder)))
    entry = {
        "ImageK8sVersion": LISTED,
        "ImageChecksum": hashlib.sha256(disk.read_bytes()).hexdigest(),
        "ImageSourceURL": f"http://127.0.0.1:{server.server_port}/{disk.name}",
        "ImageStatus": "Notdownloaded",
        "ImageDeprecated": False,
    }
    image_list = folder / "images.json"
    image_list.write_text(json.dumps({LISTED: entry}))
    thread = Thread(target=server.serve_forever)
    thread.start()
    try:
        yield image_list
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def make_lab(image_list: Path, folder: Path, port: int) -> Lab:
    """Describe the laboratory; nothing is made.

    Args:
        image_list: What `published_image` gave.
        folder: For files that operations make.
        port: A free port of this machine, to be forwarded to node1.

    Returns:
        The laboratory.
    """
    spec = (
        kutti.cluster("lab")
        .using(QemuDriver(image_list=str(image_list)))
        .nodes(2, cpus=1, memory="128MiB", disk="1GiB")
        .forward(port, to=80)
    )
    return Lab(spec, LISTED, image_list.with_name("disk.img"), folder)


def prepare_workspace(lab: Lab, folder: Path) -> None:
    """Take the image that hosts are made from into the workspace."""
    disk = folder / "boot.img"
    disk.write_bytes(boot_disk())
    driver = lab.driver
    assert isinstance(driver, QemuDriver)
    anyio.run(driver.import_image, disk)
    anyio.run(driver.fetch_image_list)


@contextmanager
def expect_no_system_inside() -> Iterator[None]:
    """Let hosts count as reachable when they are started, in this process, for a block.

    Their guest agents are pretended.

    Yields:
        Nothing.
    """

    async def reachable_at_once(host: VMHost, **_: object) -> None:
        await anyio.lowlevel.checkpoint()

    with pytest.MonkeyPatch.context() as patch:
        for module in ("kutti_sdk.clusters.apply", "kutti_sdk.clusters.cluster"):
            patch.setattr(import_module(module), "wait_until_reachable", reachable_at_once)
        patch.setenv("KUTTI_QEMU_ACCEL", "tcg")  # there is no kernel to probe others with
        with pretend(PretendedAgent()):
            yield


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass
