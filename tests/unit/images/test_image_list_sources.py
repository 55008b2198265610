"""Image lists are got anew from many places, and the last good ones are there without any."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from download_samples import HTTP, http_for
from fault_server import FaultServer
from server_faults import (
    Endless,
    Fault,
    GzipBomb,
    Header,
    NoValidators,
    Redirect,
    Silent,
    Status,
    Truncate,
    WebPage,
    WrongLength,
)

from kutti_sdk.core.errors import ImageListError, InvalidInputError
from kutti_sdk.core.events import ProgressEvent, observe
from kutti_sdk.images.catalogue import Catalogue, load_catalogue, refresh_catalogue
from kutti_sdk.images.catalogue.refresh import check_source
from kutti_sdk.runtime.directories import config_dir
from kutti_sdk.runtime.http import HttpSettings

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("workspace")]


def a_list(*versions: str) -> bytes:
    return json.dumps(
        {
            version: {
                "ImageK8sVersion": version,
                "ImageChecksum": "0123456789abcdef" * 4,
                "ImageSourceURL": f"https://example.org/{version}.ova",
                "ImageStatus": "Notdownloaded",
                "ImageDeprecated": False,
            }
            for version in versions
        }
    ).encode()


@pytest.fixture
def source(server: FaultServer) -> str:
    server.files["/images.json"] = a_list("1.34", "1.33")
    return server.url("/images.json")


async def refreshed(*sources: str, http: HttpSettings = HTTP) -> tuple[list[str], list[str]]:
    """The versions that are known after a refresh, and the warnings in it."""
    told: list[ProgressEvent] = []
    with observe(told.append):
        catalogue = await refresh_catalogue(sources, http)
    assert (await load_catalogue(sources)).entries == catalogue.entries, "what is kept is the same"
    return list(catalogue.entries), [e.message for e in told if e.phase == "warning"]


async def test_a_list_that_was_fetched_is_there_without_its_server(
    server: FaultServer, source: str
) -> None:
    assert await refreshed(source) == (["1.34", "1.33"], [])
    server.stop()
    assert list((await load_catalogue([source])).entries) == ["1.34", "1.33"]


async def test_a_list_that_was_never_fetched_knows_nothing(source: str) -> None:
    assert await load_catalogue([source]) == Catalogue({})


async def test_a_list_that_did_not_change_is_not_sent_again(
    server: FaultServer, source: str
) -> None:
    await refreshed(source)
    assert await refreshed(source) == (["1.34", "1.33"], [])
    assert [request.sent > 0 for request in server.requests] == [True, False]
    server.files["/images.json"] = a_list("1.35")
    assert await refreshed(source) == (["1.35"], [])


async def test_a_list_without_an_etag_is_asked_for_by_its_date(
    server: FaultServer, source: str
) -> None:
    server.always["/images.json"] = Header("ETag", None)
    await refreshed(source)
    await refreshed(source)
    assert "if-modified-since" in server.requests[1].headers
    assert server.requests[1].sent == 0


async def test_a_list_without_validators_is_sent_again(server: FaultServer, source: str) -> None:
    server.always["/images.json"] = NoValidators()
    await refreshed(source)
    await refreshed(source)
    assert [request.sent > 0 for request in server.requests] == [True, True]


async def test_validators_of_another_list_are_not_used(server: FaultServer, source: str) -> None:
    """As after a crash between the two writes."""
    await refreshed(source)
    (kept,) = [path for path in lists() if not path.name.endswith(".source.json")]
    kept.write_bytes(a_list("1.20"))
    assert await refreshed(source) == (["1.34", "1.33"], [])
    assert "if-none-match" not in server.requests[1].headers


@pytest.mark.parametrize(
    "fault",
    [
        Status(404),
        Status(503),
        Status(206),
        Status(304),
        Truncate(after=20),
        WrongLength(by=10),
        WrongLength(by=-10),
        GzipBomb(),
        WebPage(),
        Silent(),
        Endless(),
        Redirect("/images.json"),
        Redirect("ftp://127.0.0.1/images.json"),
        Redirect("http://[::1"),
    ],
    ids=str,
)
async def test_whatever_is_wrong_with_a_server_the_last_good_list_is_used_and_that_is_told(
    server: FaultServer, source: str, fault: Fault
) -> None:
    server.always["/images.json"] = fault
    with pytest.raises(ImageListError) as refused:
        await refresh_catalogue([source], http_for(fault))
    assert source in refused.value.message
    assert refused.value.hint
    assert await load_catalogue([source]) == Catalogue({})
    del server.always["/images.json"]
    await refreshed(source)
    server.files["/images.json"] = a_list("1.35")
    server.always["/images.json"] = fault
    versions, warnings = await refreshed(source, http=http_for(fault))
    assert versions == ["1.34", "1.33"]
    if fault == Status(304):  # nothing is wrong with that any more
        return
    assert len(warnings) == 1
    assert source in warnings[0]
    assert "is used" in warnings[0]


async def test_a_server_that_is_not_there_is_told(source: str) -> None:
    with pytest.raises(ImageListError, match=r"http://127\.0\.0\.1:1/x\.json"):
        await refresh_catalogue(["http://127.0.0.1:1/x.json"], HTTP)
    versions, warnings = await refreshed("http://127.0.0.1:1/x.json", source)
    assert versions == ["1.34", "1.33"]
    assert len(warnings) == 1


async def test_all_failing_sources_are_told(server: FaultServer) -> None:
    with pytest.raises(ImageListError) as refused:
        await refresh_catalogue([server.url("/one"), server.url("/two")], HTTP)
    told = "\n".join([str(refused.value), *refused.value.__notes__])
    assert server.url("/one") in told
    assert server.url("/two") in told


async def test_the_first_source_that_knows_a_version_wins_whoever_answers_first(
    server: FaultServer, source: str
) -> None:
    mine = a_list("1.34").replace(b"example.org", b"lab.example")
    server.files["/mine.json"] = mine
    catalogue = await refresh_catalogue([server.url("/mine.json"), source], HTTP)
    assert catalogue.entries["1.34"].source_url == "https://lab.example/1.34.ova"
    assert set(catalogue.entries) == {"1.34", "1.33"}


async def test_a_file_is_a_source_and_kept_as_well(tmp_path: Path) -> None:
    path = tmp_path / "images.json"
    path.write_bytes(a_list("1.34"))
    source = check_source(str(path))
    assert await refreshed(source) == (["1.34"], [])
    path.unlink()
    versions, warnings = await refreshed(source)
    assert versions == ["1.34"]
    assert "No such file" in warnings[0]


@pytest.mark.parametrize("content", [b"{", b" " * (5 * 1024 * 1024), None])
async def test_a_file_that_is_no_list_is_refused(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "images.json"
    if content is None:
        path.mkdir()
    else:
        path.write_bytes(content)
    with pytest.raises(ImageListError):
        await refresh_catalogue([str(path)], HTTP)


async def test_refused_entries_are_told_with_their_list(tmp_path: Path) -> None:
    path = tmp_path / "images.json"
    path.write_bytes(a_list("../1.34", "1.33"))
    versions, (warning,) = await refreshed(str(path))
    assert versions == ["1.33"]
    assert "../1.34" in warning
    assert str(path) in warning


async def test_a_kept_list_that_is_damaged_is_left_out_and_fetched_again(
    server: FaultServer, source: str
) -> None:
    await refreshed(source)
    for path in lists():
        path.write_bytes(path.read_bytes()[:20])
    assert await load_catalogue([source]) == Catalogue({})
    assert await refreshed(source) == (["1.34", "1.33"], [])


@pytest.mark.parametrize(
    "source", ["", "ftp://example.org/x", "file:///x", "http://", "http://u:secret@h/x", "a\0b"]
)
async def test_a_source_that_cannot_be_one_is_refused(source: str) -> None:
    with pytest.raises(InvalidInputError) as refused:
        check_source(source)
    assert refused.value.hint


def lists() -> list[Path]:
    return list((config_dir() / "image-lists").iterdir())
