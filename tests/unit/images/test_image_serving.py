"""Images shared with a local network: what is served, to whom and where, over real sockets."""

from __future__ import annotations

import hashlib
import json
import os
import sys
from pathlib import Path

import anyio
import httpx
import pytest
from image_samples import VERSION, make_image_folder, nobody
from serving_lab import Lab, raw_answer, unlisted

from kutti_sdk.core.errors import InvalidPortError, PortInUseError
from kutti_sdk.core.events import ProgressEvent, observe
from kutti_sdk.core.status import ImageStatus
from kutti_sdk.images.catalogue import Catalogue, CatalogueEntry
from kutti_sdk.images.folder_import import import_folder
from kutti_sdk.images.image import StoredImage, stored_images
from kutti_sdk.images.serving import ImageServer, serve_images
from kutti_sdk.images.store import LocalImage, remove_local

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("direct")]

# What is served


async def test_the_list_names_what_is_served_in_the_schema_of_image_lists(
    lab: Lab, image: LocalImage, exported: bytes
) -> None:
    response = await lab.client.get(lab.server.list_url)
    sha256 = hashlib.sha256(exported).hexdigest()
    assert response.headers["Content-Type"] == "application/json"
    assert json.loads(response.content) == {
        VERSION: {
            "ImageK8sVersion": VERSION,
            "ImageChecksum": sha256,
            "ImageContentChecksum": image.checksum,
            "ImageSourceURL": f"{lab.server.url}/images/{sha256}.kutti",
            "ImageStatus": "Notdownloaded",
            "ImageDeprecated": False,
        }
    }


async def test_a_served_bundle_is_the_exported_one(lab: Lab, exported: bytes) -> None:
    response = await lab.get()
    assert response.status_code == 200
    assert response.content == exported
    assert response.headers["Accept-Ranges"] == "bytes"


async def test_an_image_is_fetched_from_where_it_is_served(
    lab: Lab, image: LocalImage, tmp_path: Path
) -> None:
    entry = await lab.entry()
    before = {path.name: path.read_bytes() for path in image.folder.iterdir()}
    # The other machine is another workspace in a process of its own.
    program = (
        "import anyio, sys\n"
        "from kutti_sdk.images.catalogue import CatalogueEntry\n"
        "from kutti_sdk.images.image import StoredImage\n"
        "version, checksum, url, known_by = sys.argv[1:]\n"
        "entry = CatalogueEntry(version, checksum, url, image_checksum=known_by)\n"
        "image = StoredImage(version, known_by, entry, None)\n"
        "anyio.run(image.fetch)\n"
        "print(anyio.run(image.status))\n"
    )
    arguments = [VERSION, entry.checksum, entry.source_url, entry.image_checksum]
    done = await anyio.run_process(
        [sys.executable, "-c", program, *arguments],
        env={**os.environ, "KUTTI_WORKSPACE": str(tmp_path / "other")},
    )
    assert done.stdout.decode().strip() == ImageStatus.DOWNLOADED
    fetched = tmp_path / "other" / "cache" / "images" / image.checksum
    assert {path.name: path.read_bytes() for path in fetched.iterdir()} == before


async def test_thirty_clients_at_once_get_the_same(lab: Lab, exported: bytes) -> None:
    url = (await lab.entry()).source_url
    received: list[bool] = []

    async def fetch() -> None:
        async with httpx.AsyncClient() as client:
            received.append((await client.get(url)).content == exported)

    async with anyio.create_task_group() as group:
        for _ in range(30):
            group.start_soon(fetch)
    assert received == [True] * 30


async def test_an_image_that_comes_later_is_served_without_a_restart(
    lab: Lab, tmp_path: Path
) -> None:
    await import_folder(make_image_folder(tmp_path / "y", k8s_version="1.35.0"), "1.35.0")
    with anyio.fail_after(30):
        while "1.35.0" not in (entries := await lab.entries()):
            await anyio.sleep(0.05)
    response = await lab.client.get(entries["1.35.0"].source_url)
    assert hashlib.sha256(response.content).hexdigest() == entries["1.35.0"].checksum


async def test_an_image_that_was_removed_is_served_no_more(lab: Lab, image: LocalImage) -> None:
    url = (await lab.entry()).source_url
    await remove_local(image, nobody)
    assert (await lab.client.get(url)).status_code == 404
    assert await lab.entries() == {}


async def test_a_damaged_image_is_not_offered(image: LocalImage) -> None:
    raw = bytearray(image.disk.read_bytes())
    raw[-1] ^= 1
    image.disk.write_bytes(raw)
    told: list[ProgressEvent] = []
    with observe(told.append):
        async with serve_images("127.0.0.1:0", unlisted) as server, httpx.AsyncClient() as client:
            assert (await client.get(server.list_url)).json() == {}
    assert any("damaged" in event.message for event in told)


async def test_a_deprecated_image_is_served_as_such(image: LocalImage) -> None:
    entry = CatalogueEntry(VERSION, image.checksum, "http://x.example/y", True)

    async def listed() -> list[StoredImage]:
        return await stored_images(Catalogue({VERSION: entry}), nobody)

    async with serve_images("127.0.0.1:0", listed) as server, httpx.AsyncClient() as client:
        assert (await Lab(server, client).entry()).deprecated


async def test_addresses_in_the_list_are_those_by_which_the_client_came(
    image: LocalImage,
) -> None:
    async with serve_images("0.0.0.0:0", unlisted) as server:
        port = server.url.rpartition(":")[2]
        answer = await raw_answer(
            ImageServer(f"http://127.0.0.1:{port}"),
            b"GET /images.json HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n",
        )
    assert f"http://127.0.0.1:{port}/images/".encode() in answer
    assert b"evil" not in answer


# Where it listens


@pytest.mark.parametrize(
    "address", ["", "8099", ":8099", "localhost:8099", "127.0.0.1", "127.0.0.1:65536", "::1:x"]
)
async def test_an_address_must_be_named_as_a_whole(address: str) -> None:
    with pytest.raises(InvalidPortError):
        async with serve_images(address, unlisted):
            pass


async def test_an_address_of_another_machine_is_refused() -> None:
    with pytest.raises(InvalidPortError, match=r"192\.0\.2\.1"):
        async with serve_images("192.0.2.1:0", unlisted):
            pass


async def test_a_port_that_is_taken_is_refused(lab: Lab) -> None:
    with pytest.raises(PortInUseError):
        async with serve_images(lab.server.url.removeprefix("http://"), unlisted):
            pass


async def test_when_the_block_ends_nobody_listens(image: LocalImage) -> None:
    async with serve_images("127.0.0.1:0", unlisted) as server:
        pass
    with pytest.raises(OSError, match="connect"):
        await anyio.connect_tcp("127.0.0.1", int(server.url.rpartition(":")[2]))
