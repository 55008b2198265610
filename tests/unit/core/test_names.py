from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kutti_sdk.core.errors import InvalidNameError
from kutti_sdk.core.names import MAX_NAME_LENGTH, validate_name


@pytest.mark.parametrize("name", ["a", "7", "node1", "a-b", "a--b", "n" * MAX_NAME_LENGTH])
def test_labels_are_taken_as_they_are(name: str) -> None:
    assert validate_name(name) == name


@pytest.mark.parametrize(
    "name",
    ["", "-", "a-", "-a", "A", "a_b", "a.b", "a b", "a\n", "\na", "ä", "a/b", "..", "٣", "a" * 33],
)
def test_anything_else_is_refused_with_a_hint(name: str) -> None:
    with pytest.raises(InvalidNameError, match="host name") as refusal:
        validate_name(name, "host name")
    assert refusal.value.hint


@pytest.mark.parametrize("name", [None, 1, b"node1", ["node1"]])
def test_what_is_no_text_is_refused(name: object) -> None:
    with pytest.raises(InvalidNameError):
        validate_name(name)  # type: ignore[arg-type]


@given(st.text(max_size=40))
def test_only_rfc_1123_labels_pass(name: str) -> None:
    ends = "abcdefghijklmnopqrstuvwxyz0123456789"
    is_label = (
        0 < len(name) <= MAX_NAME_LENGTH
        and set(name) <= {*ends, "-"}
        and name[0] in ends
        and name[-1] in ends
    )
    try:
        validate_name(name)
    except InvalidNameError:
        assert not is_label
    else:
        assert is_label
