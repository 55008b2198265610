"""What tests of images share: a server of files, a stored image, its bundle, its server."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx
import pytest
from download_samples import CHECKSUM, CONTENT
from fault_server import FaultServer
from image_samples import VERSION, make_image_folder, nobody
from serving_lab import Lab, unlisted

from kutti_sdk.images.bundle.export import export_bundle
from kutti_sdk.images.catalogue import CatalogueEntry
from kutti_sdk.images.download import fetching
from kutti_sdk.images.download.partial import downloads_folder
from kutti_sdk.images.folder_import import import_folder
from kutti_sdk.images.serving import serve_images
from kutti_sdk.images.store import LocalImage, remove_local
from kutti_sdk.runtime.directories import cache_dir


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[FaultServer]:
    """A server of files over HTTP, reached directly whatever proxies there are."""
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with FaultServer() as running:
        yield running


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Downloads are given up after a few attempts, and wait for milliseconds."""
    policy = fetching.RetryPolicy(
        attempts=3, first_wait=0.01, longest_wait=0.02, longest_retry_after=0.2
    )
    monkeypatch.setattr(fetching, "DEFAULT_POLICY", policy)


@pytest.fixture
def entry(server: FaultServer) -> CatalogueEntry:
    """A listed file that the server of files has."""
    server.files["/disk.qcow2"] = CONTENT
    return CatalogueEntry("1.34", CHECKSUM, server.url("/disk.qcow2"))


@pytest.fixture
def destination(workspace: Path) -> Path:
    """Where a download is to put its file."""
    return downloads_folder() / "image"


@pytest.fixture
def store(workspace: Path) -> Path:
    """The folder of stored images."""
    return cache_dir() / "images"


@pytest.fixture
async def image(workspace: Path, tmp_path: Path) -> LocalImage:
    """A stored image."""
    return await import_folder(
        make_image_folder(tmp_path / "elsewhere", k8s_version=VERSION), VERSION
    )


@pytest.fixture
def stick(tmp_path: Path) -> Path:
    """A folder to carry bundles in."""
    (tmp_path / "stick").mkdir()
    return tmp_path / "stick"


@pytest.fixture
async def bundle(image: LocalImage, stick: Path) -> Path:
    """A bundle of an image that is not on this machine any more."""
    await export_bundle(image, None, stick / "lab.kutti")
    await remove_local(image, nobody)
    return stick / "lab.kutti"


@pytest.fixture
async def exported(image: LocalImage, tmp_path: Path) -> bytes:
    """What the bundle of the stored image is."""
    await export_bundle(image, None, tmp_path / "lab.kutti")
    return (tmp_path / "lab.kutti").read_bytes()


@pytest.fixture
def direct(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """This machine is reached directly, whatever proxies there are."""
    monkeypatch.setenv("no_proxy", "127.0.0.1,::1")


@pytest.fixture
async def lab(direct: None, image: LocalImage) -> AsyncIterator[Lab]:
    """A server of the stored image, and a client of it."""
    async with serve_images("127.0.0.1:0", unlisted) as server, httpx.AsyncClient() as client:
        yield Lab(server, client)
