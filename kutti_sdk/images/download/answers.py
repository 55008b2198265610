"""What servers answer to a request for the rest of a file, judged.

The rules of range requests are those of RFC 9110, section 14.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

from kutti_sdk.images.download.partial import Origin
from kutti_sdk.runtime.http import encoding_of

if TYPE_CHECKING:
    import httpx

_CONTENT_RANGE = re.compile(r"bytes (\d{1,18})-(\d{1,18})/(\d{1,18}|\*)", re.ASCII)
_NUMBER = re.compile(r"\d{1,18}", re.ASCII)

_TRANSIENT = frozenset({408, 425, 429, 500, 502, 503, 504})
_WEB_PAGES = ("text/html", "application/xhtml+xml")


class Interrupted(Exception):  # noqa: N818 - not an error by itself
    """A transfer ended that may go on in another attempt.

    Args:
        reason: What happened, as the end of a sentence.
        retry_after: Seconds that the server asks to wait, or None.
    """

    def __init__(self, reason: str, retry_after: float | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.retry_after = retry_after


class Refused(Exception):  # noqa: N818 - becomes a DownloadError
    """A server's answer with which no other attempt will help.

    Args:
        reason: What it answers, as the end of a sentence.
        hint: What to do about it.
    """

    def __init__(self, reason: str, hint: str) -> None:
        super().__init__(reason)
        self.reason = reason
        self.hint = hint


class RangeUnusable(Exception):  # noqa: N818 - says what to do next
    """The rest of the file cannot be had as it was asked for; ask for all of it.

    Args:
        reason: Why, as a sentence.
    """


@dataclass(frozen=True, slots=True)
class Body:
    """A body that may be taken.

    Attributes:
        start: Where in the file its first byte belongs.
        length: How many bytes are promised; None when nothing is.
        origin: What is known of the file now.
    """

    start: int
    length: int | None
    origin: Origin


def judge(response: httpx.Response, position: int, known: Origin) -> Body:
    """Judge the answer to a request for a file from a position on.

    Args:
        response: The answer.
        position: The first byte that was asked for; 0 when there was no Range header.
        known: What was known of the file when it was asked for.

    Returns:
        What to do with the body.

    Raises:
        Interrupted: When another attempt may help.
        RangeUnusable: When the whole file has to be asked for.
        Refused: When nothing helps.
    """
    status = response.status_code
    if status in _TRANSIENT:
        raise Interrupted(f"the server answers {_words(response)}", _retry_after(response))
    if status == 416 and position:
        raise RangeUnusable("the server has no bytes from there on")
    if status not in (200, 206) or (status == 206 and not position):
        raise Refused(
            f"the server answers {_words(response)}",
            "Fetch the image list anew; the image may have been moved.",
        )
    if encoding := encoding_of(response):
        raise Refused(
            f"the server packs it with {encoding[:20]!r} without being asked to",
            "Tell whoever runs the server; images must be sent as they are.",
        )
    if response.headers.get("Content-Type", "").partition(";")[0].strip() in _WEB_PAGES:
        raise Refused(
            "the server answers with a web page",
            "Does this network want a login? Open a page in a browser, then fetch again.",
        )
    found = _origin(response, known.source_url)
    if status == 200:
        return Body(0, found.total, found)
    return _part(response, position, known, found)


def _part(response: httpx.Response, position: int, known: Origin, found: Origin) -> Body:
    match = _CONTENT_RANGE.fullmatch(response.headers.get("Content-Range", "").strip())
    if match is None:
        raise RangeUnusable("the server does not say which part it sends")
    first, last = int(match[1]), int(match[2])
    total = None if match[3] == "*" else int(match[3])
    if first != position or last < first or (total is not None and last >= total):
        raise RangeUnusable("the server sends another part than was asked for")
    if known.total is not None and total not in (None, known.total):
        raise RangeUnusable("the file has another length by now")
    if known.etag and found.etag and known.etag != found.etag:
        raise RangeUnusable("the file was changed")
    origin = Origin(
        source_url=known.source_url,
        total=total if total is not None else known.total,
        etag=found.etag or known.etag,
        last_modified=found.last_modified or known.last_modified,
    )
    return Body(first, last - first + 1, origin)


def _origin(response: httpx.Response, source_url: str) -> Origin:
    etag = response.headers.get("ETag", "")
    # A weak one says that two files are alike, not that they are the same bytes.
    strong = etag if etag.startswith('"') else None
    length = response.headers.get("Content-Length", "")
    return Origin(
        source_url=source_url,
        total=int(length) if _NUMBER.fullmatch(length) else None,
        etag=strong,
        last_modified=response.headers.get("Last-Modified"),
    )


def _words(response: httpx.Response) -> str:
    return f"{response.status_code} {response.reason_phrase}".strip()


def _retry_after(response: httpx.Response) -> float | None:
    """Read Retry-After: seconds or a date (RFC 9110, section 10.2.3)."""
    text = response.headers.get("Retry-After", "").strip()
    if _NUMBER.fullmatch(text):
        return float(text)
    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, OverflowError):
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return max(0.0, (moment - datetime.now(UTC)).total_seconds())
