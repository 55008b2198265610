"""Image lists: which images are published where, in kutti's own schema.

An image list is a JSON object. Its keys are Kubernetes versions, its values
objects with ``ImageK8sVersion``, ``ImageChecksum`` (SHA-256), ``ImageSourceURL``,
``ImageStatus`` and ``ImageDeprecated``; other keys are ignored. Source: the
published lists of the kutti project's drivers.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import anyio
import anyio.to_thread
import msgspec

from kutti_sdk.core.errors import ImageListError, InvalidVersionError
from kutti_sdk.core.events import report
from kutti_sdk.core.versions import K8sVersion
from kutti_sdk.runtime.http import http_client
from kutti_sdk.runtime.state import write_bytes

_SHA256 = re.compile(r"[0-9a-f]{64}")
_SCHEMES = ("http", "https")
_LARGEST_LIST = 4 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class CatalogueEntry:
    """An image that is published.

    Attributes:
        k8s_version: Its Kubernetes version.
        checksum: SHA-256 of the file at the URL.
        source_url: Where its file is.
        deprecated: Whether it is not for new hosts any more.
    """

    k8s_version: str
    checksum: str
    source_url: str
    deprecated: bool = False


@dataclass(frozen=True, slots=True)
class Catalogue:
    """An image list that was read.

    Attributes:
        entries: The usable entries, by Kubernetes version.
        problems: What is wrong with the others, a sentence each.
    """

    entries: dict[str, CatalogueEntry]
    problems: tuple[str, ...] = ()


def parse_catalogue(raw: bytes) -> Catalogue:
    """Read an image list; entries that cannot be used are refused one by one.

    Args:
        raw: The JSON text.

    Returns:
        The list.

    Raises:
        ImageListError: When it is no image list at all.
    """
    try:
        listed = msgspec.json.decode(raw, type=dict[str, Any])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ImageListError(
            f"the image list does not parse: {error}", hint="The list from before is still used."
        ) from error
    entries, problems = {}, []
    for key, value in listed.items():
        try:
            entry = _parse_entry(key, value)
            entries[entry.k8s_version] = entry
        except (ValueError, InvalidVersionError) as error:
            problems.append(f"{key[:40]!r}: {error.args[0]}")
    return Catalogue(entries, tuple(problems))


async def load_catalogue(path: Path) -> Catalogue:
    """Read the image list that was fetched last.

    Args:
        path: Where it is kept.

    Returns:
        The list; an empty one when none was fetched yet.

    Raises:
        ImageListError: When it does not parse.
    """
    try:
        return parse_catalogue(await anyio.Path(path).read_bytes())
    except FileNotFoundError:
        return Catalogue({})


async def fetch_catalogue(source: str, path: Path) -> Catalogue:
    """Get an image list and keep it; a bad one does not replace a good one.

    Args:
        source: An http or https URL, or a local file.
        path: Where to keep it.

    Returns:
        The list.

    Raises:
        ImageListError: When it could not be had or does not parse.
    """
    if source.partition("://")[0] in _SCHEMES:
        raw = await _download(source)
    else:
        raw = await _read_file(source)
    catalogue = parse_catalogue(raw)
    for problem in catalogue.problems:
        report("image list", f"leaving out image {problem}")
    await anyio.to_thread.run_sync(write_bytes, path, raw)
    return catalogue


def _parse_entry(key: str, value: Any) -> CatalogueEntry:
    if not isinstance(value, dict):
        raise ValueError("is not an object")
    version = K8sVersion.parse(value.get("ImageK8sVersion", key)).text
    if K8sVersion.parse(key).text != version:
        raise ValueError(f"is of version {version}")
    checksum = str(value.get("ImageChecksum", "")).lower()
    if not _SHA256.fullmatch(checksum):
        raise ValueError("has no SHA-256 checksum")
    url = str(value.get("ImageSourceURL", ""))
    parts = urlsplit(url)
    if parts.scheme not in _SCHEMES or not parts.hostname or parts.port == 0:
        raise ValueError("has no http or https URL")
    return CatalogueEntry(version, checksum, url, value.get("ImageDeprecated") is True)


async def _download(url: str) -> bytes:
    import httpx

    raw = b""
    try:
        async with http_client() as client, client.stream("GET", url) as response:
            response.raise_for_status()
            async for block in response.aiter_bytes():
                raw += block
                if len(raw) > _LARGEST_LIST:
                    raise ImageListError(f"the image list at {url} is too large to be one")
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise ImageListError(
            f"the image list at {url} cannot be fetched: {error}",
            hint="The list from before is still used.",
        ) from error
    return raw


async def _read_file(source: str) -> bytes:
    try:
        return await anyio.Path(source).read_bytes()
    except OSError as error:
        raise ImageListError(
            f"the image list {source} cannot be read: {error.strerror}",
            hint="Name a file, or an http or https URL.",
        ) from error
