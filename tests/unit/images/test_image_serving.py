"""Images shared with a local network: real sockets, real requests, bad clients."""

from __future__ import annotations

import hashlib
import json
import os
import socket
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import anyio
import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from image_samples import make_image_folder

from kutti_sdk.core.errors import InvalidPortError, PortInUseError
from kutti_sdk.core.events import ProgressEvent, observe
from kutti_sdk.core.status import ImageStatus
from kutti_sdk.images.bundle.export import export_bundle
from kutti_sdk.images.catalogue import Catalogue, CatalogueEntry, parse_catalogue
from kutti_sdk.images.folder_import import import_folder
from kutti_sdk.images.image import StoredImage, stored_images
from kutti_sdk.images.serving import ImageServer, connection, serve_images
from kutti_sdk.images.serving.ranges import UnsatisfiableRangeError, parse_range
from kutti_sdk.images.store import LocalImage, remove_local

pytestmark = pytest.mark.anyio

VERSION = "1.34.2"


async def nobody(checksum: str) -> list[str]:
    return []


async def unlisted() -> list[StoredImage]:
    return await stored_images(Catalogue({}), nobody)


@pytest.fixture(autouse=True)
def direct(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "127.0.0.1,::1")


@pytest.fixture
async def image(direct: None, tmp_path: Path) -> LocalImage:
    return await import_folder(make_image_folder(tmp_path / "x", k8s_version=VERSION), VERSION)


@pytest.fixture
async def exported(image: LocalImage, tmp_path: Path) -> bytes:
    await export_bundle(image, None, tmp_path / "lab.kutti")
    return (tmp_path / "lab.kutti").read_bytes()


class Lab:
    """A server and a client of it."""

    def __init__(self, server: ImageServer, client: httpx.AsyncClient) -> None:
        self.server = server
        self.client = client

    async def entry(self) -> CatalogueEntry:
        return (await self.entries())[VERSION]

    async def entries(self) -> dict[str, CatalogueEntry]:
        catalogue = parse_catalogue((await self.client.get(self.server.list_url)).content)
        assert catalogue.problems == ()
        return catalogue.entries

    async def get(self, **headers: str) -> httpx.Response:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return await self.client.get((await self.entry()).source_url, headers=named)


@pytest.fixture
async def lab(image: LocalImage) -> AsyncIterator[Lab]:
    async with serve_images("127.0.0.1:0", unlisted) as server, httpx.AsyncClient() as client:
        yield Lab(server, client)


async def raw_answer(server: ImageServer, request: bytes) -> bytes:
    port = int(server.url.rpartition(":")[2])
    answer = b""
    async with await anyio.connect_tcp("127.0.0.1", port) as stream:
        await stream.send(request)
        try:
            while True:
                answer += await stream.receive()
        except (anyio.EndOfStream, anyio.BrokenResourceError):
            return answer


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


# Ranges and conditions


@settings(deadline=None)
@given(st.data())
def test_a_range_is_what_a_slice_of_the_whole_would_be(data: st.DataObject) -> None:
    size = data.draw(st.integers(min_value=1, max_value=10**12))
    first = data.draw(st.integers(min_value=0, max_value=2 * size))
    last = data.draw(st.integers(min_value=0, max_value=2 * size))
    expected = range(size)[first : last + 1]
    if last < first:
        assert parse_range(f"bytes={first}-{last}", size) is None
    elif not expected:
        with pytest.raises(UnsatisfiableRangeError):
            parse_range(f"bytes={first}-{last}", size)
    else:
        assert parse_range(f"bytes={first}-{last}", size) == (expected.start, expected.stop)
    if first < size:
        assert parse_range(f"bytes={first}-", size) == (first, size)
    if last:
        assert parse_range(f"bytes=-{last}", size) == (max(0, size - last), size)


@settings(deadline=None)
@given(st.text(max_size=30))
def test_what_is_no_range_is_ignored(text: str) -> None:
    try:
        found = parse_range(text, 1000)
    except UnsatisfiableRangeError:
        return
    assert found is None or 0 <= found[0] < found[1] <= 1000


@pytest.mark.parametrize("header", ["bytes=-", "bytes=0-1,3-4", "lines=0-1", "bytes=3-1", "0-1"])
def test_a_range_that_is_not_understood_is_ignored(header: str) -> None:
    assert parse_range(header, 1000) is None


async def test_any_range_of_a_bundle_is_that_of_the_exported_one(lab: Lab, exported: bytes) -> None:
    size = len(exported)
    disk = exported.index(b"QFI\xfb")
    cuts = [0, 1, 511, 512, disk - 1, disk, disk + 65536, size - 1025, size - 1]
    for start in cuts:
        for end in (start, min(start + 700, size - 1), size - 1):
            response = await lab.get(Range=f"bytes={start}-{end}")
            assert response.status_code == 206
            assert response.headers["Content-Range"] == f"bytes {start}-{end}/{size}"
            assert response.content == exported[start : end + 1]


async def test_a_download_is_resumed_only_when_it_is_of_the_same_bundle(
    lab: Lab, exported: bytes
) -> None:
    tag = (await lab.get()).headers["ETag"]
    resumed = await lab.get(Range="bytes=1000-", If_Range=tag)
    assert (resumed.status_code, resumed.content) == (206, exported[1000:])
    for other in ('"another"', f"W/{tag}", "Sun, 22 Nov 2026 12:00:00 GMT"):
        whole = await lab.get(Range="bytes=1000-", If_Range=other)
        assert (whole.status_code, whole.content) == (200, exported)


async def test_a_range_behind_the_end_is_refused_with_the_size(lab: Lab, exported: bytes) -> None:
    response = await lab.get(Range=f"bytes={len(exported)}-")
    assert response.status_code == 416
    assert response.headers["Content-Range"] == f"bytes */{len(exported)}"


async def test_who_has_the_list_or_a_bundle_is_told_so(lab: Lab) -> None:
    for url in (lab.server.list_url, (await lab.entry()).source_url):
        tag = (await lab.client.head(url)).headers["ETag"]
        again = await lab.client.get(url, headers={"If-None-Match": f'"x", {tag}'})
        assert (again.status_code, again.content) == (304, b"")
        other = await lab.client.get(url, headers={"If-None-Match": '"x"'})
        assert other.status_code == 200


async def test_a_head_tells_the_size_and_sends_nothing(lab: Lab, exported: bytes) -> None:
    response = await lab.client.head((await lab.entry()).source_url)
    assert response.headers["Content-Length"] == str(len(exported))
    assert response.content == b""
    # The connection can be used on.
    assert (await lab.get(Range="bytes=0-9")).content == exported[:10]


# Bad clients


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS"])
async def test_nothing_can_be_changed(lab: Lab, method: str) -> None:
    response = await lab.client.request(method, (await lab.entry()).source_url, content=b"x")
    assert response.status_code == 405
    assert response.headers["Allow"] == "GET, HEAD"
    assert (await lab.get()).status_code == 200


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/images",
        "/images/",
        "/images/../images.json",
        "/../../etc/passwd",
        "/images/%2e%2e/images.json",
        "//etc/passwd",
        "/images/" + "0" * 64 + ".kutti",
        "/images/CHECKSUM",
        "/images/CHECKSUM/disk.qcow2",
        "/images/CHECKSUM.kutti/",
        "/images/CHECKSUM.kutti%00",
        "*",
    ],
)
async def test_there_is_nothing_but_the_list_and_the_bundles(
    lab: Lab, image: LocalImage, path: str
) -> None:
    target = path.replace("CHECKSUM", image.checksum)
    answer = await raw_answer(
        lab.server, f"GET {target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode()
    )
    assert answer.startswith(b"HTTP/1.1 404 ")


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 this is TLS\r\n\r\n",
        b"GET / HTTP/1.1\r\n\r\n",  # without a host
        b"GET /images.json HTTP/1.1\r\nHost: x\r\nA : b\r\n\r\n",
        b"GET /images.json HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
        b"GET /" + b"x" * 100_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
    ],
)
async def test_what_is_no_request_is_told_so_and_the_others_are_served(
    lab: Lab, request_bytes: bytes
) -> None:
    answer = await raw_answer(lab.server, request_bytes)
    assert answer.startswith((b"HTTP/1.1 400 ", b"HTTP/1.1 431 "))
    assert (await lab.get()).status_code == 200


async def test_a_proxy_may_ask_by_the_whole_url(lab: Lab) -> None:
    answer = await raw_answer(
        lab.server,
        f"GET {lab.server.list_url} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode(),
    )
    assert answer.startswith(b"HTTP/1.1 200 ")


async def test_requests_sent_at_once_are_answered_in_turn(lab: Lab, exported: bytes) -> None:
    path = httpx.URL((await lab.entry()).source_url).path
    one = f"GET {path} HTTP/1.1\r\nHost: x\r\nRange: bytes=%s\r\n%s\r\n"
    answer = await raw_answer(
        lab.server, (one % ("0-9", "") + one % ("10-19", "Connection: close\r\n")).encode()
    )
    assert answer.count(b"HTTP/1.1 206 ") == 2
    assert answer.endswith(exported[10:20])


async def test_a_client_that_says_nothing_is_left(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "_REQUEST_TIMEOUT", 0.1)
    with anyio.fail_after(30):
        assert await raw_answer(lab.server, b"GET / HTT") == b""


async def test_a_client_that_takes_nothing_is_left(
    image: LocalImage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "_STALL_TIMEOUT", 0.2)
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.setblocking(False)
        with anyio.fail_after(30), pytest.raises(TimeoutError):
            await connection._send(ours, bytes(64 * 1024 * 1024))


async def test_clients_that_leave_in_the_middle_do_no_harm(lab: Lab, exported: bytes) -> None:
    url = httpx.URL((await lab.entry()).source_url)
    for _ in range(20):
        async with await anyio.connect_tcp("127.0.0.1", url.port or 0) as stream:
            await stream.send(f"GET {url.path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
            await stream.receive(100)
    assert (await lab.get()).content == exported


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
