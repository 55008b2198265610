"""HTTP clients with the settings that every download of ours wants."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import anyio

from kutti_sdk.core.errors import InvalidInputError

if TYPE_CHECKING:
    import ssl

    import httpx

DEFAULT_STALL_TIMEOUT = 30.0
"""Seconds without a single byte after which a transfer counts as stalled."""

_MOST_REDIRECTS = 10


@dataclass(frozen=True, slots=True)
class HttpSettings:
    """How servers are reached.

    Attributes:
        proxy: URL of a proxy; None for the one that the environment names, if any.
        ca_file: File with further certificate authorities, in PEM form.
        stall_timeout: Seconds without a single byte before a request fails; there is no
            limit to the whole.
    """

    proxy: str | None = None
    ca_file: str | os.PathLike[str] | None = None
    stall_timeout: float = DEFAULT_STALL_TIMEOUT


DEFAULT_HTTP_SETTINGS = HttpSettings()
"""What the environment says, and nothing beyond."""


def http_client(settings: HttpSettings) -> httpx.AsyncClient:
    """Make an HTTP client; use it with ``async with``.

    Trusted are the certificate authorities that httpx brings along or that
    ``SSL_CERT_FILE`` names, those that this system trusts (a company's own among
    them), and those of `HttpSettings.ca_file`.

    Args:
        settings: How servers are reached.

    Returns:
        The client. It follows redirects, but never from https to plain http, and asks
        for bodies as they are: checksums are of the file itself.

    Raises:
        InvalidInputError: When the proxy or a file of certificates cannot be used.
    """
    import httpx

    trusted = _trusted(settings.ca_file)
    try:
        return httpx.AsyncClient(
            proxy=settings.proxy,
            verify=trusted,
            timeout=httpx.Timeout(settings.stall_timeout),
            follow_redirects=True,
            max_redirects=_MOST_REDIRECTS,
            event_hooks={"response": [_refuse_downgrade]},
            headers={"Accept-Encoding": "identity"},
        )
    except (ValueError, httpx.InvalidURL) as error:
        raise InvalidInputError(
            f"the proxy cannot be used: {error}",
            hint="Its URL looks like http://proxy.example.org:3128; look at HTTPS_PROXY too.",
        ) from error
    except ImportError as error:  # ALL_PROXY=socks5://... is enough
        raise InvalidInputError(
            f"the proxy cannot be used: {error}",
            hint='SOCKS proxies need one more package: pip install "httpx[socks]"',
        ) from error


def encoding_of(response: httpx.Response) -> str | None:
    """Tell how a server has encoded a body that was asked for as it is.

    Args:
        response: The answer.

    Returns:
        The encoding, such as ``gzip``; None for a body as it is.
    """
    encoding = response.headers.get("Content-Encoding", "").strip().lower()
    return None if encoding in ("", "identity") else str(encoding)


@asynccontextmanager
async def body_of(response: httpx.Response) -> AsyncIterator[AsyncIterator[bytes]]:
    """Read a body as it comes, and stop anywhere.

    Args:
        response: The answer.

    Yields:
        The blocks.
    """
    blocks = response.aiter_raw()
    try:
        yield blocks
    finally:
        # Below it are generators in generators, and closing the outermost leaves the
        # others to the garbage collector, which trio warns of. Cancelled at their next
        # wait for the network, all of them end.
        with anyio.CancelScope(shield=True) as scope:
            scope.cancel()
            async for _ in blocks:
                pass


async def _refuse_downgrade(response: httpx.Response) -> None:
    import httpx

    if not response.has_redirect_location or response.url.scheme != "https":
        return
    target = response.url.join(response.headers["Location"])
    if target.scheme != "https":
        raise httpx.UnsupportedProtocol(
            f"it redirects from https to {target.scheme}://{target.host}"
        )


def _trusted(ca_file: str | os.PathLike[str] | None) -> ssl.SSLContext:
    import httpx

    try:
        trusted = httpx.create_ssl_context()
        trusted.load_default_certs()
    except OSError as error:
        raise _no_authorities(os.environ.get("SSL_CERT_FILE", "SSL_CERT_FILE"), error) from error
    if ca_file is not None:
        try:
            trusted.load_verify_locations(cafile=os.fspath(ca_file))
        except OSError as error:  # ssl.SSLError, when the file holds something else, is one
            raise _no_authorities(os.fspath(ca_file), error) from error
    return trusted


def _no_authorities(name: str, error: OSError) -> InvalidInputError:
    return InvalidInputError(
        f"no certificate authorities can be read from {name}: {error.strerror or error}",
        hint="It must be a readable file of certificates in PEM form.",
    )
