"""Whatever a server answers, bytes are only ever put where they belong."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kutti_sdk.images.download.answers import (
    Interrupted,
    RangeUnusable,
    Refused,
    judge,
)
from kutti_sdk.images.download.fetching import RetryPolicy
from kutti_sdk.images.download.partial import Origin

URL = "http://images.example/x"

numbers = st.integers(0, 300).map(str) | st.sampled_from(["-1", "*", "", "9" * 30, "\u0661"])
ranges = st.builds("bytes {}-{}/{}".format, numbers, numbers, numbers) | st.text(
    st.characters(codec="latin-1"), max_size=20
)
texts = st.text(st.characters(codec="latin-1"), max_size=20)
some_headers = st.fixed_dictionaries(
    {},
    optional={
        "Content-Range": ranges,
        "Content-Length": numbers,
        "ETag": st.sampled_from(['"one"', '"two"', 'W/"one"', ""]) | texts,
        "Last-Modified": texts,
        "Content-Type": texts,
        "Content-Encoding": st.sampled_from(["", "identity", "gzip"]),
        "Retry-After": numbers | texts,
    },
)


def answer(status: int, headers: dict[str, str]) -> httpx.Response:
    pairs = [(name.encode(), value.encode("latin-1", "replace")) for name, value in headers.items()]
    return httpx.Response(status, headers=pairs)


@given(
    status=st.sampled_from([200, 204, 206, 304, 404, 416, 429, 503]),
    headers=some_headers,
    position=st.integers(0, 300),
    total=st.none() | st.integers(1, 300),
)
def test_a_body_is_taken_from_its_beginning_or_from_where_it_was_asked_for(
    status: int, headers: dict[str, str], position: int, total: int | None
) -> None:
    known = Origin(URL, total, etag='"one"')
    try:
        body = judge(answer(status, headers), position, known)
    except (Interrupted, RangeUnusable, Refused):
        return
    assert body.origin.etag in (None, '"one"') or body.start == 0
    if status == 200:
        assert body.start == 0
        return
    assert body.start == position > 0
    assert body.length is not None
    assert body.length > 0
    if body.origin.total is not None:
        assert body.start + body.length <= body.origin.total
    assert total is None or body.origin.total == total


@pytest.mark.parametrize(
    ("text", "seconds"), [("7", 7), ("-7", None), ("soon", None), ("", None), ("1e3", None)]
)
def test_a_server_may_ask_to_wait(text: str, seconds: float | None) -> None:
    with pytest.raises(Interrupted) as fault:
        judge(answer(503, {"Retry-After": text}), 0, Origin(URL))
    assert fault.value.retry_after == seconds


def test_a_server_may_name_the_moment_to_come_back() -> None:
    moment = format_datetime(datetime.now(UTC) + timedelta(seconds=100), usegmt=True)
    with pytest.raises(Interrupted) as fault:
        judge(answer(503, {"Retry-After": moment}), 0, Origin(URL))
    assert fault.value.retry_after is not None
    assert 90 < fault.value.retry_after <= 100


@given(failures=st.integers(1, 50), asked=st.none() | st.floats(0, 1e9))
def test_a_wait_has_bounds_and_heeds_what_a_server_asks(failures: int, asked: float | None) -> None:
    policy = RetryPolicy()
    wait = policy.wait(failures, asked)
    assert policy.first_wait / 2 <= wait <= 60
    assert wait >= min(asked or 0, 60)
    assert asked is not None or wait <= policy.longest_wait
