"""Packages from a signed repository, through apt: genuine ones are installed, others not.

The repository is on the loopback interface and laid out as the Kubernetes
project's is. The packages are small, and so is the system that they are
installed into; nothing else is left out.
"""

from __future__ import annotations

import datetime
import hashlib
import os
import shutil
import subprocess
import tarfile
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Thread

import pytest
from package_samples import NAMES, make_packages

from kutti_sdk.core.errors import ImageBuildError
from kutti_sdk.core.versions import K8sVersion
from kutti_sdk.images.builder import NodeImageRecipe
from kutti_sdk.images.builder import recipe as recipe_module
from kutti_sdk.images.builder.bootstrap import KUBERNETES_FOLDER, bootstrap
from kutti_sdk.images.builder.kubernetes_packages import KubernetesPackages
from kutti_sdk.images.builder.log import build_log
from kutti_sdk.images.builder.namespace import UserNamespace, subordinate_ids
from kutti_sdk.images.builder.package_folder import packages_in_folder
from kutti_sdk.images.builder.package_repository import packages_in_repository
from kutti_sdk.images.builder.scratch_files import put_files

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("gpg") is None, reason="needs gpg to sign"),
    # What is tested happens in apt: the same under asyncio and trio.
    pytest.mark.parametrize("anyio_backend", ["asyncio"]),
]

V1_34 = K8sVersion("1.34")


class Signer:
    """A key of its own, in a folder of its own."""

    def __init__(self, home: Path) -> None:
        home.mkdir(mode=0o700)
        self._environment = os.environ | {"GNUPGHOME": str(home)}
        self._gpg("--quick-gen-key", "--passphrase", "", "tests@example.invalid", "rsa2048", "sign")

    def public_key(self) -> bytes:
        return self._gpg("--armor", "--export")

    def sign(self, text: bytes) -> bytes:
        return self._gpg("--clearsign", text=text)

    def stop(self) -> None:
        subprocess.run(["gpgconf", "--kill", "all"], env=self._environment, check=True)

    def _gpg(self, *arguments: str, text: bytes = b"") -> bytes:
        command = ["gpg", "--batch", "--quiet", "--yes", "--pinentry-mode", "loopback", *arguments]
        done = subprocess.run(
            command, input=text, env=self._environment, capture_output=True, check=True
        )
        return done.stdout


@pytest.fixture(scope="module")
def place() -> Iterator[Path]:
    with TemporaryDirectory(prefix="repo-") as folder:  # short: gpg has a socket in it
        yield Path(folder)


@pytest.fixture(scope="module")
def signer(place: Path) -> Iterator[Signer]:
    signer = Signer(place / "gpg")
    yield signer
    signer.stop()


@pytest.fixture
async def repository(place: Path, signer: Signer) -> Path:
    """The folder that the server's root is, made anew for each test."""
    root = place / "www"
    shutil.rmtree(root, ignore_errors=True)
    folder = root / "core:" / "stable:" / "v1.34" / "deb"
    make_packages(folder)
    found = await packages_in_folder(folder, V1_34)
    index = found.files["Packages"]
    assert isinstance(index, bytes)
    for name, path in found.files.items():
        if isinstance(path, Path):
            path.rename(folder / name)
    (folder / "Packages").write_bytes(index)
    date = datetime.datetime.now(datetime.UTC).strftime("%a, %d %b %Y %H:%M:%S UTC")
    checksum = f"{hashlib.sha256(index).hexdigest()} {len(index)} Packages"
    release = f"Origin: test\nDate: {date}\nSHA256:\n {checksum}\n"
    (folder / "InRelease").write_bytes(signer.sign(release.encode()))
    (root / "Release.key").write_bytes(signer.public_key())
    return folder


@pytest.fixture
def url(place: Path, repository: Path) -> Iterator[str]:
    class Handler(SimpleHTTPRequestHandler):
        def log_message(self, *arguments: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=place / "www"))
    thread = Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(autouse=True)
def small_and_near(monkeypatch: pytest.MonkeyPatch) -> None:
    """Install nothing of Debian but what every system has; reach the server directly."""
    monkeypatch.setattr(recipe_module, "BASE_PACKAGES", ())
    monkeypatch.setenv("no_proxy", "127.0.0.1")


async def install(packages: KubernetesPackages, folder: Path) -> Path:
    """Do what a build does with packages, as far as apt goes."""
    archive = folder / "packages.tar"
    async with build_log(folder / "log") as log:
        namespace = UserNamespace(subordinate_ids(), log)
        async with namespace.scratch_folder() as scratch:
            files = {f"{KUBERNETES_FOLDER}/{name}": one for name, one in packages.files.items()}
            await put_files(namespace, scratch, files)
            await bootstrap(
                NodeImageRecipe(k8s_version="1.34"),
                packages,
                namespace,
                scratch,
                archive,
                timestamp=1_700_000_000,
                on_progress=lambda message, fraction: None,
            )
    return archive


async def test_packages_of_a_signed_repository_are_installed(
    url: str, place: Path, tmp_path: Path
) -> None:
    packages = await packages_in_repository(url, V1_34, key=place / "www" / "Release.key")
    with tarfile.open(await install(packages, tmp_path)) as root:
        names = set(root.getnames())
    assert {f"./usr/bin/{name}" for name in NAMES} <= names


async def test_a_repository_signed_with_another_key_is_refused(
    url: str, place: Path, tmp_path: Path
) -> None:
    other = Signer(place / "other")
    key = tmp_path / "other.key"
    key.write_bytes(other.public_key())
    other.stop()
    packages = await packages_in_repository(url, V1_34, key=key)
    with pytest.raises(ImageBuildError, match="mmdebstrap ended with status"):
        await install(packages, tmp_path)
    assert "NO_PUBKEY" in (tmp_path / "log").read_text()


async def test_an_index_that_was_changed_after_signing_is_refused(
    url: str, place: Path, repository: Path, tmp_path: Path
) -> None:
    index = repository / "Packages"
    index.write_bytes(index.read_bytes().replace(b"a test", b"a fake"))
    packages = await packages_in_repository(url, V1_34, key=place / "www" / "Release.key")
    with pytest.raises(ImageBuildError, match="mmdebstrap ended with status"):
        await install(packages, tmp_path)
    assert "Hash Sum mismatch" in (tmp_path / "log").read_text()
