"""Image servers heed HTTP: ranges, conditions, and clients that do not."""

from __future__ import annotations

import socket

import anyio
import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from serving_lab import Lab, raw_answer

from kutti_sdk.images.serving import connection
from kutti_sdk.images.serving.ranges import UnsatisfiableRangeError, parse_range
from kutti_sdk.images.store import LocalImage

pytestmark = pytest.mark.anyio

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


@pytest.mark.parametrize(
    "header",
    ["bytes=-", "bytes= -", "bytes=\t- ", "bytes=0-1,3-4", "lines=0-1", "bytes=3-1", "0-1"],
)
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
