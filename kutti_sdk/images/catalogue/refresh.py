"""Getting image lists anew, from servers and from files.

A source that fails does not take away what is known: its last good list is used
on, and that is told as an event with the phase ``warning``.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import anyio
import anyio.to_thread

from kutti_sdk.core.errors import ImageListError, InvalidInputError
from kutti_sdk.core.events import report
from kutti_sdk.images.catalogue.kept import KeptList, keep, load_kept
from kutti_sdk.images.catalogue.schema import (
    LARGEST_LIST,
    Catalogue,
    check_url,
    merge,
    parse_catalogue,
)
from kutti_sdk.runtime.http import HttpSettings, body_of, encoding_of, http_client
from kutti_sdk.runtime.tasks import run_all

if TYPE_CHECKING:
    import httpx

_NOT_MODIFIED = 304


def check_source(source: str) -> str:
    """Make sure that a text names an image list.

    Args:
        source: An http or https URL, or a file.

    Returns:
        The same source in the form that it is known by: files with their whole path.

    Raises:
        InvalidInputError: When it can be neither.
    """
    if "://" not in source:
        if not source or "\0" in source:
            raise InvalidInputError(f"{source!r} is no file", hint="Name a file or a URL.")
        return str(Path(source).expanduser().absolute())
    try:
        return check_url(source)
    except ValueError as error:
        raise InvalidInputError(
            f"the image list {source[:60]!r} cannot be had: it {error}",
            hint="Name a file by its path, or an http or https URL without a password.",
        ) from error


async def refresh_catalogue(sources: Sequence[str], settings: HttpSettings) -> Catalogue:
    """Get the lists of all sources anew, all at once, and keep them.

    Args:
        sources: What `check_source` gives, the most important one first.
        settings: How servers are reached.

    Returns:
        One list; of a source that failed what was kept before.

    Raises:
        ImageListError: When no list could be had, and none is kept.
        InvalidInputError: When the proxy or the file of certificates cannot be used.
    """
    report("image-list", "getting the list of images")
    async with await anyio.to_thread.run_sync(http_client, settings) as client:
        found = await run_all(*(partial(_refresh, source, client) for source in sources))
    good = [one for one in found if isinstance(one, Catalogue)]
    failures = [one for one in found if isinstance(one, ImageListError)]
    if failures and not good:
        raise _nothing_to_be_had(failures)
    return merge(good)


async def _refresh(source: str, client: httpx.AsyncClient) -> Catalogue | ImageListError:
    kept = await load_kept(source)
    try:
        if "://" in source:
            catalogue = await _ask(source, client, kept)
        else:
            catalogue = await _read(source)
    except ImageListError as error:
        if kept is None:
            report("warning", error.message)
            return error
        since = f" of {kept.provenance.fetched}" if kept.provenance else ""
        report("warning", f"{error.message}; the list{since} is used")
        return kept.catalogue
    for problem in catalogue.problems:
        report("warning", f"image list {source}: left out is {problem}")
    return catalogue


async def _ask(url: str, client: httpx.AsyncClient, kept: KeptList | None) -> Catalogue:
    import httpx

    provenance = kept.provenance if kept is not None else None
    headers = {}
    if provenance is not None and provenance.etag:
        headers["If-None-Match"] = provenance.etag
    if provenance is not None and provenance.last_modified:
        headers["If-Modified-Since"] = provenance.last_modified
    try:
        async with client.stream("GET", url, headers=headers) as response:
            if response.status_code == _NOT_MODIFIED and kept is not None and headers:
                raw, catalogue = kept.raw, kept.catalogue
            else:
                raw = await _body(response, url)
                catalogue = _parsed(raw, url)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise _failed(url, str(error) or type(error).__name__) from error
    # Of a 304 too: it may tell newer validators (RFC 9110, section 15.4.5).
    await keep(
        url,
        raw,
        etag=response.headers.get("ETag", headers.get("If-None-Match")),
        last_modified=response.headers.get("Last-Modified", headers.get("If-Modified-Since")),
    )
    return catalogue


async def _body(response: httpx.Response, url: str) -> bytes:
    if response.status_code != 200:  # of others, 206 say, it would be a part
        raise _failed(url, f"the server answers {response.status_code} {response.reason_phrase}")
    if encoding := encoding_of(response):
        raise _failed(url, f"the server packs it with {encoding[:20]!r} without being asked to")
    raw = bytearray()
    async with body_of(response) as blocks:
        async for block in blocks:
            raw += block
            if len(raw) > LARGEST_LIST:
                raise _failed(url, "it is too large to be one")
    return bytes(raw)


async def _read(source: str) -> Catalogue:
    try:
        raw = await anyio.to_thread.run_sync(_read_file, Path(source))
    except OSError as error:
        raise _failed(source, error.strerror or str(error)) from error
    catalogue = _parsed(raw, source)
    await keep(source, raw)
    return catalogue


def _read_file(path: Path) -> bytes:
    if path.exists() and not path.is_file():
        raise OSError("it is no file")
    with path.open("rb") as file:
        raw = file.read(LARGEST_LIST + 1)
    if len(raw) > LARGEST_LIST:
        raise OSError("it is too large to be one")
    return raw


def _parsed(raw: bytes, source: str) -> Catalogue:
    try:
        return parse_catalogue(raw)
    except ImageListError as error:
        raise _failed(source, error.message) from error


def _failed(source: str, why: str) -> ImageListError:
    return ImageListError(
        f"the image list {source} cannot be had: {why}",
        hint="Look at the address, the network and the proxy; images that are here can be used.",
    )


def _nothing_to_be_had(failures: Sequence[ImageListError]) -> ImageListError:
    first, *others = failures
    for other in others:
        first.add_note(other.message)
    return first
