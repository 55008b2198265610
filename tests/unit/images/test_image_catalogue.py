from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from loopback_server import LoopbackServer

from kutti_sdk.core.errors import ImageListError
from kutti_sdk.core.events import ProgressEvent, observe
from kutti_sdk.images.catalogue import (
    Catalogue,
    CatalogueEntry,
    fetch_catalogue,
    load_catalogue,
    parse_catalogue,
)

CHECKSUM = "0123456789abcdef" * 4


def listed(version: str = "1.34", **changes: object) -> dict[str, object]:
    return {
        "ImageK8sVersion": version,
        "ImageChecksum": CHECKSUM,
        "ImageSourceURL": f"https://example.org/{version}.qcow2",
        "ImageStatus": "Notdownloaded",
        "ImageDeprecated": False,
    } | changes


def test_kuttis_published_schema_is_read() -> None:
    catalogue = parse_catalogue(
        json.dumps({"1.34": listed(), "1.20": listed("1.20", ImageDeprecated=True)}).encode()
    )
    assert catalogue.entries == {
        "1.34": CatalogueEntry("1.34", CHECKSUM, "https://example.org/1.34.qcow2"),
        "1.20": CatalogueEntry("1.20", CHECKSUM, "https://example.org/1.20.qcow2", True),
    }
    assert catalogue.problems == ()


def test_unknown_keys_are_ignored_and_upper_case_checksums_read() -> None:
    entry = listed(ImageChecksum=CHECKSUM.upper(), ImageColour="green")
    assert (
        parse_catalogue(json.dumps({"1.34": entry}).encode()).entries["1.34"].checksum == CHECKSUM
    )


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("latest", listed("latest")),
        ("../1.34", listed("../1.34")),
        ("1.34", listed("1.33")),
        ("1.34", listed(ImageK8sVersion=1.34)),
        ("1.34", listed(ImageChecksum="")),
        ("1.34", listed(ImageChecksum=CHECKSUM[:-1])),
        ("1.34", listed(ImageChecksum=None)),
        ("1.34", listed(ImageSourceURL="file:///etc/passwd")),
        ("1.34", listed(ImageSourceURL="ftp://example.org/x")),
        ("1.34", listed(ImageSourceURL="https:///x")),
        ("1.34", listed(ImageSourceURL="http://[::1")),
        ("1.34", listed(ImageSourceURL="http://example.org:99999/x")),
        ("1.34", listed(ImageSourceURL=7)),
        ("1.34", []),
        ("1.34", None),
    ],
)
def test_an_odd_entry_is_refused_and_told_and_the_others_are_kept(key: str, value: object) -> None:
    catalogue = parse_catalogue(json.dumps({"1.30": listed("1.30"), key: value}).encode())
    assert list(catalogue.entries) == ["1.30"]
    assert len(catalogue.problems) == 1
    assert key in catalogue.problems[0]


@pytest.mark.parametrize("raw", [b"", b"[]", b'{"1.34"', b"\xff", b"<html>", b"[" * 100_000])
def test_what_is_no_list_at_all_is_refused(raw: bytes) -> None:
    with pytest.raises(ImageListError) as refused:
        parse_catalogue(raw)
    assert refused.value.hint


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
        max_leaves=8,
    )
)
def test_any_json_is_read_or_refused(value: object) -> None:
    try:
        catalogue = parse_catalogue(json.dumps(value).encode())
    except ImageListError:
        assert not isinstance(value, dict)
    else:
        assert isinstance(value, dict)
        assert len(catalogue.entries) + len(catalogue.problems) == len(value)


@given(st.fixed_dictionaries({key: st.text(max_size=80) for key in listed()}))
def test_any_texts_in_an_entry_are_judged(entry: dict[str, str]) -> None:
    catalogue = parse_catalogue(json.dumps({"1.34": entry}).encode())
    assert len(catalogue.entries) + len(catalogue.problems) == 1


@pytest.mark.anyio
async def test_a_list_that_was_fetched_is_there_without_its_server(
    server: LoopbackServer, tmp_path: Path
) -> None:
    server.files["/images.json"] = json.dumps({"1.34": listed()}).encode()
    fetched = await fetch_catalogue(server.url("/images.json"), tmp_path / "list.json")
    server.files.clear()
    assert list(fetched.entries) == ["1.34"]
    assert await load_catalogue(tmp_path / "list.json") == fetched


@pytest.mark.anyio
async def test_a_list_from_a_file_is_kept_as_well(tmp_path: Path) -> None:
    (tmp_path / "images.json").write_text(json.dumps({"1.34": listed()}))
    await fetch_catalogue(str(tmp_path / "images.json"), tmp_path / "list.json")
    assert list((await load_catalogue(tmp_path / "list.json")).entries) == ["1.34"]


@pytest.mark.anyio
@pytest.mark.parametrize("path", ["/bad.json", "/missing.json", "/short.json"])
async def test_a_bad_list_does_not_replace_a_good_one(
    server: LoopbackServer, tmp_path: Path, path: str
) -> None:
    kept = tmp_path / "list.json"
    server.files["/good.json"] = json.dumps({"1.34": listed()}).encode()
    good = await fetch_catalogue(server.url("/good.json"), kept)
    server.files["/bad.json"] = b"<html>Please log in</html>"
    server.files["/short.json"] = b"{}"
    server.promise = 10 if path == "/short.json" else 0
    with pytest.raises(ImageListError):
        await fetch_catalogue(server.url(path), kept)
    assert await load_catalogue(kept) == good


@pytest.mark.anyio
@pytest.mark.parametrize("source", ["http://127.0.0.1:1/x.json", "http://[::1", "/nowhere/x.json"])
async def test_a_source_that_cannot_be_read_is_told(source: str, tmp_path: Path) -> None:
    with pytest.raises(ImageListError) as refused:
        await fetch_catalogue(source, tmp_path / "list.json")
    assert refused.value.hint
    assert await load_catalogue(tmp_path / "list.json") == Catalogue({})


@pytest.mark.anyio
async def test_refused_entries_are_told_as_progress(tmp_path: Path) -> None:
    (tmp_path / "images.json").write_text(json.dumps({"latest": listed("latest")}))
    told: list[ProgressEvent] = []
    with observe(told.append):
        await fetch_catalogue(str(tmp_path / "images.json"), tmp_path / "list.json")
    assert any("latest" in event.message for event in told)
