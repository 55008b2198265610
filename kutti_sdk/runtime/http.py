"""HTTP clients with the settings that every download of ours wants."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from kutti_sdk.core.errors import InvalidInputError

if TYPE_CHECKING:
    import ssl

    import httpx

DEFAULT_STALL_TIMEOUT = 30.0
"""Seconds without a single byte after which a transfer counts as stalled."""


def http_client(
    *,
    proxy: str | None = None,
    ca_file: str | os.PathLike[str] | None = None,
    stall_timeout: float = DEFAULT_STALL_TIMEOUT,
) -> httpx.AsyncClient:
    """Make an HTTP client; use it with ``async with``.

    Trusted are the certificate authorities that httpx brings along, those that this
    system trusts (a company's own among them), and those of `ca_file`.

    Args:
        proxy: URL of a proxy; None for the one that the environment names, if any.
        ca_file: File with further certificate authorities, in PEM form.
        stall_timeout: Seconds without progress before a request fails; there is no
            limit to the whole.

    Returns:
        The client, which follows redirects.

    Raises:
        InvalidInputError: When the proxy or the file cannot be used.
    """
    import httpx

    trusted = httpx.create_ssl_context()
    trusted.load_default_certs()
    if ca_file is not None:
        _trust(trusted, ca_file)
    try:
        return httpx.AsyncClient(
            proxy=proxy,
            verify=trusted,
            timeout=httpx.Timeout(stall_timeout),
            follow_redirects=True,
            headers={"Accept-Encoding": "identity"},  # checksums are of the file itself
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


def _trust(trusted: ssl.SSLContext, ca_file: str | os.PathLike[str]) -> None:
    try:
        trusted.load_verify_locations(cafile=os.fspath(ca_file))
    except OSError as error:  # ssl.SSLError, when the file holds something else, is one
        raise InvalidInputError(
            f"no certificate authorities can be read from {os.fspath(ca_file)}: {error.strerror}",
            hint="It must be a readable file of certificates in PEM form.",
        ) from error
