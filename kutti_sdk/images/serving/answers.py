"""What is answered to a request. Source: RFC 9110, sections 8.8, 13 and 14."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus

import anyio

from kutti_sdk.images.bundle.layout import Bundle, FilePart
from kutti_sdk.images.serving.offers import BUNDLES, SUFFIX, Offer, Offers
from kutti_sdk.images.serving.ranges import UnsatisfiableRangeError, parse_range

LIST = "/images.json"
"""Path of the image list."""

_BUNDLE = re.compile(rf"{re.escape(BUNDLES)}([0-9a-f]{{64}}){re.escape(SUFFIX)}")
_ABSOLUTE = re.compile(r"https?://[^/?#]*", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class BundleRange:
    """A part of a bundle, as the content of an answer.

    Attributes:
        bundle: The bundle.
        start: The first byte.
        end: The byte after the last one.
    """

    bundle: Bundle
    start: int
    end: int

    def __len__(self) -> int:
        """How many bytes it has."""
        return self.end - self.start


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer to a request.

    Attributes:
        status: Its status.
        headers: Its headers, but for those that every answer has.
        content: Its content.
    """

    status: HTTPStatus
    headers: Mapping[str, str] = field(default_factory=dict)
    content: bytes | BundleRange = b""


def refusal(status: HTTPStatus, **headers: str) -> Answer:
    """Make an answer that only tells its status.

    Args:
        status: The status.
        headers: Its headers; an underscore stands for a hyphen.

    Returns:
        The answer.
    """
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Answer(status, {"Content-Type": "text/plain", **named}, f"{status.phrase}\n".encode())


async def answer(
    method: str, target: str, headers: Mapping[str, str], offers: Offers, url: str
) -> Answer:
    """Answer a request.

    Args:
        method: Its method.
        target: What it asks for: a path, or a URL as proxies are told.
        headers: Its headers, by their names in lower case.
        offers: What there is.
        url: By which the client reached this server.

    Returns:
        The answer; to ``HEAD`` as to ``GET``, with the content to be left out.
    """
    if method not in ("GET", "HEAD"):
        return refusal(HTTPStatus.METHOD_NOT_ALLOWED, Allow="GET, HEAD")
    path = _ABSOLUTE.sub("", target, count=1).partition("?")[0]
    if path == LIST:
        return _list_answer(await offers.image_list(url), headers)
    match = _BUNDLE.fullmatch(path)
    offer = offers.find(match[1]) if match else None
    if offer is None or not await _is_here(offer.bundle):
        return refusal(HTTPStatus.NOT_FOUND)
    return _bundle_answer(offer, method, headers)


def _list_answer(content: bytes, headers: Mapping[str, str]) -> Answer:
    tag = f'"{hashlib.sha256(content).hexdigest()}"'
    own = {"Content-Type": "application/json", "ETag": tag, "Cache-Control": "no-cache"}
    if _names(headers.get("if-none-match", ""), tag):
        return Answer(HTTPStatus.NOT_MODIFIED, own)
    return Answer(HTTPStatus.OK, own, content)


def _bundle_answer(offer: Offer, method: str, headers: Mapping[str, str]) -> Answer:
    bundle, tag = offer.bundle, f'"{offer.sha256}"'
    own = {"Content-Type": "application/x-tar", "ETag": tag, "Accept-Ranges": "bytes"}
    if _names(headers.get("if-none-match", ""), tag):
        return Answer(HTTPStatus.NOT_MODIFIED, own)
    # Of two forms of If-Range we only ever gave out the tag; a date is never ours.
    wanted = headers.get("range") if headers.get("if-range", tag) == tag else None
    try:
        part = parse_range(wanted, bundle.size) if wanted and method == "GET" else None
    except UnsatisfiableRangeError:
        return refusal(
            HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE, Content_Range=f"bytes */{bundle.size}"
        )
    if part is None:
        return Answer(HTTPStatus.OK, own, BundleRange(bundle, 0, bundle.size))
    start, end = part
    own["Content-Range"] = f"bytes {start}-{end - 1}/{bundle.size}"
    return Answer(HTTPStatus.PARTIAL_CONTENT, own, BundleRange(bundle, start, end))


def _names(header: str, tag: str) -> bool:
    tags = [other.strip().removeprefix("W/") for other in header.split(",")]
    return tag in tags or tags == ["*"]


async def _is_here(bundle: Bundle) -> bool:
    files = [part.path for part in bundle.parts if isinstance(part, FilePart)]
    return all([await anyio.Path(path).is_file() for path in files])
