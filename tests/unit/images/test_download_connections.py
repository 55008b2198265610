"""Downloads through TLS and proxies."""

from __future__ import annotations

import ssl
from datetime import datetime
from pathlib import Path

import pytest
import trustme
from download_samples import CHECKSUM, CONTENT, HTTP
from fault_server import FaultServer
from server_faults import Redirect, Status

from kutti_sdk.core.errors import DownloadError, InvalidInputError
from kutti_sdk.images.catalogue import CatalogueEntry
from kutti_sdk.images.download import download
from kutti_sdk.runtime.http import HttpSettings

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("workspace", "impatient")]


class TestHttps:
    @pytest.fixture
    def authority(self) -> trustme.CA:
        return trustme.CA()

    @pytest.fixture
    def context(self, authority: trustme.CA) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert("127.0.0.1").configure_cert(context)
        return context

    @pytest.fixture
    def ca_file(self, authority: trustme.CA, tmp_path: Path) -> Path:
        path = tmp_path / "lab.pem"
        authority.cert_pem.write_to_path(path)
        return path

    async def test_a_labs_own_authority_is_trusted_when_it_is_named(
        self,
        context: ssl.SSLContext,
        ca_file: Path,
        destination: Path,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.setenv("no_proxy", "127.0.0.1")
        with FaultServer(tls=context) as server:
            server.files["/x"] = CONTENT
            entry = CatalogueEntry("1.34", CHECKSUM, server.url("/x"))
            with pytest.raises(DownloadError, match=r"(?s)certificate.*Hint: .*--ca-file"):
                await download(entry, destination, HTTP)
            await download(entry, destination, HttpSettings(ca_file=ca_file))
            assert destination.read_bytes() == CONTENT

    @pytest.mark.parametrize("year", [1999, 2099])
    async def test_a_certificate_of_another_time_sends_to_the_clock(
        self,
        year: int,
        authority: trustme.CA,
        ca_file: Path,
        destination: Path,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.setenv("no_proxy", "127.0.0.1")
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        valid = {"not_before": datetime(year, 1, 1), "not_after": datetime(year, 12, 31)}
        authority.issue_cert("127.0.0.1", **valid).configure_cert(context)
        with FaultServer(tls=context) as server:
            entry = CatalogueEntry("1.34", CHECKSUM, server.url("/x"))
            with pytest.raises(DownloadError, match=r"(?s)certificate.*Hint: .*clock"):
                await download(entry, destination, HttpSettings(ca_file=ca_file))

    async def test_ssl_cert_file_names_authorities_too(
        self,
        context: ssl.SSLContext,
        ca_file: Path,
        destination: Path,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.setenv("no_proxy", "127.0.0.1")
        monkeypatch.setenv("SSL_CERT_FILE", str(ca_file))
        with FaultServer(tls=context) as server:
            server.files["/x"] = CONTENT
            await download(CatalogueEntry("1.34", CHECKSUM, server.url("/x")), destination, HTTP)
        assert destination.read_bytes() == CONTENT
        monkeypatch.setenv("SSL_CERT_FILE", str(ca_file) + ".missing")
        with pytest.raises(InvalidInputError, match=r"lab\.pem\.missing"):
            await download(
                CatalogueEntry("1.34", "0" * 64, "https://127.0.0.1:1/x"), destination, HTTP
            )

    async def test_https_is_never_left_for_plain_http(
        self,
        context: ssl.SSLContext,
        ca_file: Path,
        server: FaultServer,
        entry: CatalogueEntry,
        destination: Path,
    ) -> None:
        with FaultServer(tls=context) as secure:
            secure.always["/x"] = Redirect(entry.source_url)
            with pytest.raises(DownloadError, match="from https to http"):
                await download(
                    CatalogueEntry("1.34", CHECKSUM, secure.url("/x")),
                    destination,
                    HttpSettings(ca_file=ca_file),
                )
        assert server.requests == []


class TestProxies:
    URL = "http://images.example/disk.qcow2"

    async def test_a_proxy_that_is_named_is_used(
        self, server: FaultServer, entry: CatalogueEntry, destination: Path
    ) -> None:
        far = CatalogueEntry("1.34", CHECKSUM, self.URL)
        await download(far, destination, HttpSettings(proxy=server.url("")))
        assert destination.read_bytes() == CONTENT
        assert server.requests[0].target == self.URL

    async def test_the_proxy_of_the_environment_is_used(
        self,
        server: FaultServer,
        entry: CatalogueEntry,
        destination: Path,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.setenv("http_proxy", server.url(""))
        await download(CatalogueEntry("1.34", CHECKSUM, self.URL), destination, HTTP)
        assert server.requests[0].target == self.URL

    async def test_a_proxy_that_wants_a_password_is_told(
        self, server: FaultServer, entry: CatalogueEntry, destination: Path
    ) -> None:
        server.always["/disk.qcow2"] = Status(407)
        with pytest.raises(DownloadError, match="407"):
            await download(
                CatalogueEntry("1.34", CHECKSUM, self.URL),
                destination,
                HttpSettings(proxy=server.url("")),
            )
        assert len(server.requests) == 1
