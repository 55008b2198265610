"""HTTP clients trust who they should, and say what is wrong with their settings."""

from __future__ import annotations

import datetime
import ssl
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, HTTPServer
from ipaddress import IPv4Address
from pathlib import Path

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from kutti_sdk.core.errors import InvalidInputError
from kutti_sdk.runtime.http import HttpSettings, http_client

pytestmark = pytest.mark.anyio


@pytest.fixture(autouse=True)
def no_proxy_around(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (
        "HTTP_PROXY",
        "HTTPS_PROXY",
        "ALL_PROXY",
        "http_proxy",
        "https_proxy",
        "all_proxy",
    ):
        monkeypatch.delenv(name, raising=False)


@dataclass
class Server:
    """A server of a company that has a certificate authority of its own."""

    url: str
    ca_file: Path


class Hello(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"hello")

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name there
        pass


def write_certificate(path: Path) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.datetime.now(datetime.UTC)
    address = x509.IPAddress(IPv4Address("127.0.0.1"))
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([address]), critical=False)
        .sign(key, hashes.SHA256())
    )
    path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        + certificate.public_bytes(serialization.Encoding.PEM)
    )


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    ca_file = tmp_path / "company.pem"
    write_certificate(ca_file)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(ca_file)
    with HTTPServer(("127.0.0.1", 0), Hello) as http:
        http.socket = context.wrap_socket(http.socket, server_side=True)
        thread = threading.Thread(target=http.serve_forever, args=(0.01,))
        thread.start()
        yield Server(f"https://127.0.0.1:{http.server_port}/", ca_file)
        http.shutdown()
        thread.join()


async def test_downloads_have_no_limit_but_stalls_have() -> None:
    async with http_client(HttpSettings(stall_timeout=7)) as client:
        assert client.timeout.read == client.timeout.connect == 7
        assert client.follow_redirects
        assert client.headers["Accept-Encoding"] == "identity"


async def test_a_server_with_an_unknown_certificate_is_not_trusted(server: Server) -> None:
    async with http_client(HttpSettings()) as client:
        with pytest.raises(httpx.ConnectError):
            await client.get(server.url)


async def test_a_companys_certificate_authority_is_trusted(server: Server) -> None:
    async with http_client(HttpSettings(ca_file=server.ca_file)) as client:
        assert (await client.get(server.url)).text == "hello"


async def test_what_the_system_trusts_is_trusted(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        ssl.SSLContext,
        "load_default_certs",
        lambda context: context.load_verify_locations(server.ca_file),
    )
    async with http_client(HttpSettings()) as client:
        assert (await client.get(server.url)).text == "hello"


@pytest.mark.parametrize("content", [None, b"", b"no certificate"])
async def test_a_file_without_certificates_is_refused(
    tmp_path: Path, content: bytes | None
) -> None:
    ca_file = tmp_path / "company.pem"
    if content is not None:
        ca_file.write_bytes(content)
    with pytest.raises(InvalidInputError, match=r"(?s)company.pem.*Hint: .*PEM"):
        http_client(HttpSettings(ca_file=ca_file))


@pytest.mark.parametrize("proxy", ["proxy.example.org:3128", "ftp://proxy", "http://proxy:x", ""])
async def test_a_proxy_that_makes_no_sense_is_refused(proxy: str) -> None:
    with pytest.raises(InvalidInputError, match=r"(?s)the proxy cannot be used.*Hint: .*http://"):
        http_client(HttpSettings(proxy=proxy))


async def test_a_socks_proxy_of_the_environment_tells_what_it_needs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("ALL_PROXY", "socks5://127.0.0.1:1")
    with pytest.raises(InvalidInputError, match=r"Hint: .*httpx\[socks\]"):
        http_client(HttpSettings())
