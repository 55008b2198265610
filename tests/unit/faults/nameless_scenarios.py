"""What is tried where names cannot be found: ``nameless_scenarios.py BACKEND FOLDER``.

The image list and the image are on servers of which only the names are known.
"""

from __future__ import annotations

import json
import os
import socket
import sys
from pathlib import Path

import anyio
import pytest

import kutti_sdk as kutti
from kutti_sdk.core.image import VMImage
from kutti_sdk.drivers.qemu import QemuDriver
from kutti_sdk.images.download import fetching
from kutti_sdk.images.download.fetching import RetryPolicy

LIST = "http://images.example.org/list.json"
IMPATIENCE = 0.3  # seconds that the product has; by itself it would wait for ten


async def listed_image(folder: Path, **settings: float) -> VMImage:
    """An image of which the list is here."""
    entry = {
        "ImageK8sVersion": "1.34.2",
        "ImageChecksum": "0" * 64,
        "ImageSourceURL": "http://images.example.org/disk.qcow2",
        "ImageStatus": "Notdownloaded",
        "ImageDeprecated": False,
    }
    path = folder / "list.json"
    path.write_text(json.dumps({"1.34.2": entry}))
    driver = QemuDriver(image_list=str(path), **settings)
    await driver.fetch_image_list()
    return await driver.get_image("1.34")


async def nobody_is_asked(folder: Path) -> None:
    """No name server is there: both are told, with the name, and what is here can be used."""
    with pytest.raises(kutti.ImageListError, match="name resolution") as no_list:
        await QemuDriver(image_list=LIST).fetch_image_list()
    assert "network" in (no_list.value.hint or "")
    assert LIST in no_list.value.message
    image = await listed_image(folder)
    with pytest.raises(kutti.DownloadError, match="name resolution") as no_image:
        await image.fetch()
    assert "network" in (no_image.value.hint or "")
    assert await image.status() is kutti.ImageStatus.NOT_DOWNLOADED


async def nobody_answers(folder: Path) -> None:
    """A name server is silent: told after the time that was given, and cancelled at once."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 53))
        image = await listed_image(folder, stall_timeout=IMPATIENCE)
        with pytest.raises(kutti.ImageListError):
            await QemuDriver(image_list=LIST, stall_timeout=IMPATIENCE).fetch_image_list()
        with pytest.raises(kutti.DownloadError, match="nothing came"):
            await image.fetch()
        drain(server)
        driver = QemuDriver(image_list=LIST, stall_timeout=600)
        async with anyio.create_task_group() as group:
            group.start_soon(driver.fetch_image_list)
            await anyio.wait_readable(server)  # it is asked now
            group.cancel_scope.cancel()
        assert len(drain(server)) <= 2, "cancelled before it is asked again"
        os._exit(0)  # the end of asyncio's loop would wait for the resolver


def drain(server: socket.socket) -> list[bytes]:
    """Take the questions that have come."""
    server.setblocking(False)
    questions = []
    try:
        while True:
            questions.append(server.recv(512))
    except BlockingIOError:
        return questions


if __name__ == "__main__":
    backend, folder = sys.argv[1:]
    kutti.set_workspace(folder)
    fetching.DEFAULT_POLICY = RetryPolicy(attempts=2, first_wait=0.05)
    for scenario in (nobody_is_asked, nobody_answers):
        anyio.run(scenario, Path(folder), backend=backend)
