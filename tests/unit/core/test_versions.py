from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kutti_sdk.core.errors import InvalidVersionError
from kutti_sdk.core.versions import K8sVersion, select_version

_number = st.integers(0, 9999).map(str)
_identifier = st.one_of(
    _number, st.from_regex(r"[0-9A-Za-z-]{0,8}[A-Za-z-][0-9A-Za-z-]{0,8}", fullmatch=True)
)


@st.composite
def _texts(draw: st.DrawFn) -> str:
    kind = draw(st.sampled_from(["none", "minor", "patch", "pre"]))
    if kind == "none":
        return "none"
    text = f"{draw(_number)}.{draw(_number)}"
    if kind == "minor":
        return text
    text += f".{draw(_number)}"
    if kind == "pre":
        text += "-" + ".".join(draw(st.lists(_identifier, min_size=1, max_size=3)))
    return text


_versions = _texts().map(K8sVersion.parse)


@given(_texts())
def test_versions_read_what_they_write(text: str) -> None:
    assert str(K8sVersion.parse(text)) == text
    if text != "none":
        assert K8sVersion.parse(f"v{text}") == K8sVersion.parse(text)


@given(_versions, _versions)
def test_any_two_versions_have_one_order(one: K8sVersion, other: K8sVersion) -> None:
    assert (one < other) + (one == other) + (one > other) == 1
    assert (one <= other) == (not other < one)


@given(_versions, _versions, _versions)
def test_the_order_is_transitive(a: K8sVersion, b: K8sVersion, c: K8sVersion) -> None:
    low, middle, high = sorted((a, b, c))
    assert low <= middle <= high
    assert low <= high


def test_versions_sort_by_semantic_versioning() -> None:
    ordered = [
        "none", "1.9.11", "1.10", "1.10.0-alpha", "1.10.0-alpha.1", "1.10.0-alpha.beta",
        "1.10.0-beta.2", "1.10.0-beta.11", "1.10.0-rc.1", "1.10.0", "1.10.1", "2.0",
    ]  # fmt: skip
    assert sorted(set(ordered), key=K8sVersion.parse) == ordered


@pytest.mark.parametrize(
    "text",
    ["", "1", "1.", "1.34.", "01.34", "1.034", "1.34.2.1", "1.34-rc.1", "1.34.0-", "1.34.0-a..b",
     "None", "v", "vnone", "1.34\n", "1.99999", "1.34.0+build", "\uff11.34"],
)  # fmt: skip
def test_what_is_no_version_is_refused_with_a_hint(text: str) -> None:
    with pytest.raises(InvalidVersionError) as refusal:
        K8sVersion.parse(text)
    assert refusal.value.hint


@given(_versions)
def test_a_version_accepts_itself_and_minor_versions_their_patches(version: K8sVersion) -> None:
    minor = K8sVersion.parse(version.minor_version)
    assert version.accepts(version)
    assert minor.accepts(version)
    assert version.names_a_patch == (minor != version)
    if version.names_a_patch:
        assert not version.accepts(minor)


@pytest.mark.parametrize(
    ("wanted", "chosen"),
    [
        ("1.34", "1.34.10"),
        ("v1.34", "1.34.10"),
        ("1.34.2", "1.34.2"),
        ("1.33", "1.33.1-rc.0"),
        ("none", "none"),
        ("1.3", None),
        ("1.34.3", None),
    ],
)
def test_the_newest_patch_is_chosen(wanted: str, chosen: str | None) -> None:
    there = ["1.34.2", "1.34.10", "none", "1.33.1-rc.0", "1.34.9"]
    assert select_version(wanted, there) == chosen


def test_a_version_that_is_there_as_written_is_chosen_before_newer_patches() -> None:
    assert select_version("1.34", ["1.34.2", "1.34"]) == "1.34"
