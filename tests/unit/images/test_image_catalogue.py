from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kutti_sdk.core.errors import ImageListError
from kutti_sdk.images.catalogue import Catalogue, CatalogueEntry, merge, parse_catalogue

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
        ("1.34", listed(ImageSourceURL=None)),
        ("1.34", listed(ImageSourceURL="https://example.org/a b")),
        ("1.34", listed(ImageSourceURL="https://example.org/a\r\nX: y")),
        ("1.34", listed(ImageSourceURL="https://example.org/\u202e")),
        ("1.34", listed(ImageSourceURL="https://example.org/" + "x" * 3000)),
        ("1.34", listed(ImageSourceURL="https://user:secret@example.org/x")),
        ("1.34", listed(ImageSourceURL="https://token@example.org/x")),
        ("1.34", listed(ImageDeprecated="false")),
        ("1.34", listed(ImageDeprecated=None)),
        ("1.34", listed(ImageContentChecksum="")),
        ("1.34", listed(ImageContentChecksum=[CHECKSUM])),
        ("1.34\x1b[2J", listed()),
        ("1.34", []),
        ("1.34", None),
    ],
)
def test_an_odd_entry_is_refused_and_told_and_the_others_are_kept(key: str, value: object) -> None:
    catalogue = parse_catalogue(json.dumps({"1.30": listed("1.30"), key: value}).encode())
    assert list(catalogue.entries) == ["1.30"]
    assert len(catalogue.problems) == 1
    assert ascii(key) in catalogue.problems[0]
    assert catalogue.problems[0].isprintable()
    assert "secret" not in catalogue.problems[0]


def test_a_version_that_is_listed_twice_is_the_first_one() -> None:
    other = listed(ImageSourceURL="https://example.org/other")
    catalogue = parse_catalogue(
        json.dumps({"1.34": listed(), "v1.34": other | {"ImageK8sVersion": "v1.34"}}).encode()
    )
    assert catalogue.entries["1.34"].source_url == "https://example.org/1.34.qcow2"
    assert "again" in catalogue.problems[0]


def test_a_bundle_is_known_by_the_checksum_of_what_is_in_it() -> None:
    content = "f" * 64
    plain, bundle = listed(), listed("1.35", ImageContentChecksum=content.upper())
    entries = parse_catalogue(json.dumps({"1.34": plain, "1.35": bundle}).encode()).entries
    assert entries["1.34"].image_checksum == entries["1.34"].checksum == CHECKSUM
    assert entries["1.35"].checksum == CHECKSUM
    assert entries["1.35"].image_checksum == content


def test_of_several_lists_the_first_that_knows_a_version_counts() -> None:
    lists = [
        parse_catalogue(json.dumps(entries).encode())
        for entries in (
            {"1.34": listed(ImageSourceURL="https://lab.example/x")},
            {"1.34": listed(), "1.33": listed("1.33"), "latest": listed("latest")},
        )
    ]
    together = merge(lists)
    assert together.entries["1.34"].source_url == "https://lab.example/x"
    assert together.entries["1.33"].source_url == "https://example.org/1.33.qcow2"
    assert len(together.problems) == 1
    assert merge([]) == Catalogue({})


@pytest.mark.parametrize(
    "raw", [b"", b"[]", b'{"1.34"', b"\xff", b"<html>", b"[" * 100_000, b'{"a":' * 100_000]
)
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
