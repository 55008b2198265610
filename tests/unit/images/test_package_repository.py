from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from threading import Event, Thread

import anyio
import pytest
from loopback_server import LoopbackServer
from package_samples import NAMES

from kutti_sdk.core.errors import ImageBuildError
from kutti_sdk.core.versions import K8sVersion
from kutti_sdk.images.builder.package_repository import packages_in_repository

pytestmark = pytest.mark.anyio

V1_34 = K8sVersion("1.34")
FOLDER = "/core:/stable:/v1.34/deb"
ARMORED = b"-----BEGIN PGP PUBLIC KEY BLOCK-----\n"


@pytest.fixture
def key(tmp_path: Path) -> Path:
    path = tmp_path / "Release.key"
    path.write_bytes(ARMORED)
    return path


def index(*architectures: str) -> bytes:
    return "".join(
        f"Package: {name}\nVersion: 1.34.2-1.1\nArchitecture: {architecture}\n"
        f"Filename: {architecture}/{name}.deb\nSHA256: {'0' * 64}\n\n"
        for name in NAMES
        for architecture in architectures
    ).encode()


async def test_packages_are_chosen_from_the_index(server: LoopbackServer, key: Path) -> None:
    server.files[f"{FOLDER}/Packages"] = index("amd64", "arm64", "s390x")
    found = await packages_in_repository(server.url(""), V1_34, key=key)
    assert found.version == "1.34.2"
    assert {one.architecture for one in found.packages} == {"amd64"}
    assert f"kubeadm={found.packages[0].version}" in found.names


@pytest.mark.parametrize(
    ("content", "name"), [(ARMORED, "Release.asc"), (b"\x99\x01binary", "Release.gpg")]
)
async def test_apt_is_told_to_trust_the_key_and_no_other(
    server: LoopbackServer, key: Path, content: bytes, name: str
) -> None:
    server.files[f"{FOLDER}/Packages"] = index("amd64")
    key.write_bytes(content)
    found = await packages_in_repository(server.url("/"), V1_34, key=key)
    line = found.source.format(folder="/scratch")
    assert line == f"deb [signed-by=/scratch/{name}] {server.url(FOLDER)}/ /"
    assert found.files == {name: content}


async def test_a_key_that_did_not_come_over_https_is_not_trusted(server: LoopbackServer) -> None:
    server.files[f"{FOLDER}/Packages"] = index("amd64")
    server.files[f"{FOLDER}/Release.key"] = ARMORED
    with pytest.raises(ImageBuildError, match="not sent over HTTPS"):
        await packages_in_repository(server.url(""), V1_34)


async def test_a_version_that_is_not_there_is_told(server: LoopbackServer, key: Path) -> None:
    with pytest.raises(ImageBuildError, match=r"there is no .*v1\.34/deb/Packages"):
        await packages_in_repository(server.url(""), V1_34, key=key)


async def test_an_index_that_is_none_is_refused(server: LoopbackServer, key: Path) -> None:
    server.files[f"{FOLDER}/Packages"] = b"<html>log in to the hotel's network</html>"
    with pytest.raises(ImageBuildError):
        await packages_in_repository(server.url(""), V1_34, key=key)


async def test_a_key_file_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    with pytest.raises(ImageBuildError, match=r"Release\.key"):
        await packages_in_repository("https://x.invalid", V1_34, key=tmp_path / "Release.key")


@pytest.fixture
def deaf_port() -> Iterator[int]:
    """A port where connections are taken and nothing is ever said."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


async def test_a_silent_repository_is_given_up_and_the_way_without_it_named(
    deaf_port: int, key: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with pytest.raises(ImageBuildError) as refused:
        await packages_in_repository(f"http://127.0.0.1:{deaf_port}", V1_34, key=key, deadline=0.2)
    assert "--packages DIR" in (refused.value.hint or "")
    assert "--container-images DIR" in (refused.value.hint or "")


@pytest.fixture
def dripping_port() -> Iterator[int]:
    """A port where an answer begins and never ends, a byte at a time."""
    ended = Event()

    def drip(listener: socket.socket) -> None:
        with suppress(OSError):
            connection, _ = listener.accept()
            with connection:
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")
                while not ended.wait(0.01):
                    connection.sendall(b".")

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = Thread(target=drip, args=(listener,))
        thread.start()
        yield listener.getsockname()[1]
        ended.set()
        thread.join()


async def test_an_answer_that_never_ends_is_given_up(
    dripping_port: int, key: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    url = f"http://127.0.0.1:{dripping_port}"
    with anyio.fail_after(30), pytest.raises(ImageBuildError, match="did not answer within"):
        await packages_in_repository(url, V1_34, key=key, deadline=0.5)


async def test_an_unreachable_repository_is_told_and_the_way_without_it_named(
    deaf_port: int, key: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with socket.create_server(("127.0.0.1", 0)) as gone:
        port = gone.getsockname()[1]
    with pytest.raises(ImageBuildError, match="cannot be reached") as refused:
        await packages_in_repository(f"http://127.0.0.1:{port}", V1_34, key=key)
    assert "--packages DIR" in (refused.value.hint or "")
