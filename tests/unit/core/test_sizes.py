from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kutti_sdk.core.errors import InvalidSizeError
from kutti_sdk.core.host import HostSize
from kutti_sdk.core.sizes import GiB, KiB, MiB, format_size, parse_size


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("1", 1),
        ("512MiB", 512 * MiB),
        ("2GiB", 2 * GiB),
        ("2Gi", 2 * GiB),
        ("2g", 2 * GiB),
        ("1.5G", 3 * GiB // 2),
        (" 4 kib ", 4 * KiB),
        ("1GB", 10**9),
        ("1TB", 10**12),
        (4096, 4096),
    ],
)
def test_sizes_are_read(text: int | str, number: int) -> None:
    assert parse_size(text) == number


@pytest.mark.parametrize(
    "text",
    ["", "GiB", "1PiB", "1 Gi B", "-1GiB", "1e3", "0x10", "1,5GiB", "٣GiB", "1" * 16, 0, -1, "0",
     "0.1", True, None, 1.5, "1GiB\x00"],
)  # fmt: skip
def test_what_is_no_size_is_refused_with_a_hint(text: int | str) -> None:
    with pytest.raises(InvalidSizeError, match="memory") as refusal:
        parse_size(text, "memory")
    assert refusal.value.hint


@given(st.integers(1, 10**15))
def test_a_number_of_bytes_is_itself(number: int) -> None:
    assert parse_size(number) == number


@given(st.text(max_size=20))
def test_any_text_is_a_positive_size_or_refused(text: str) -> None:
    try:
        assert parse_size(text) > 0
    except InvalidSizeError:
        pass


@given(st.integers(1, 2**50))
def test_what_is_written_for_people_can_be_read_again(number: int) -> None:
    assert parse_size(format_size(number)) == pytest.approx(number, rel=0.06)


@pytest.mark.parametrize(
    ("number", "text"),
    [(0, "0 B"), (1023, "1023 B"), (1024, "1 KiB"), (3 * GiB // 2, "1.5 GiB"), (2**40, "1 TiB")],
)
def test_sizes_are_written_with_one_decimal_at_most(number: int, text: str) -> None:
    assert format_size(number) == text


def test_a_host_has_a_size_unless_told() -> None:
    assert HostSize.parse() == HostSize()
    assert str(HostSize(1, GiB, 20 * GiB)) == "1 CPU, 1 GiB memory, 20 GiB disk"
    assert str(HostSize(2, GiB, 20 * GiB)).startswith("2 CPUs")


@pytest.mark.parametrize(
    ("cpus", "memory", "disk"),
    [
        (0, None, None),
        (256, None, None),
        (True, None, None),
        (1.0, None, None),
        (None, "127MiB", None),
        (None, None, "63MiB"),
        (None, "lots", None),
    ],
)
def test_a_host_of_a_senseless_size_is_refused(
    cpus: int, memory: int | str, disk: int | str
) -> None:
    with pytest.raises(InvalidSizeError):
        HostSize.parse(cpus, memory, disk)
