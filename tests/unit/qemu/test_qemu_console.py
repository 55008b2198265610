"""The end of a console is shown, and nothing in it reaches a terminal but text."""

from __future__ import annotations

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from kutti_sdk.core.plain_text import plain_text
from kutti_sdk.drivers.qemu.console import read_console


def test_the_last_lines_are_shown_without_empty_ones(tmp_path: Path) -> None:
    path = tmp_path / "console"
    path.write_bytes(b"one\r\ntwo\r\n\r\nthree\r\n")
    assert read_console(path, 2) == "two\nthree"
    assert read_console(path, 0) == ""
    assert read_console(tmp_path / "missing", 5) == ""


def test_lines_are_whole_however_long_they_and_the_gaps_between_them_are(tmp_path: Path) -> None:
    path = tmp_path / "console"
    path.write_text("first\n" + "x" * 5000 + "\n" * 5000 + "y" * 3000 + "\n" * 3000)
    assert read_console(path, 1) == "y" * 3000
    assert read_console(path, 2) == "x" * 5000 + "\n" + "y" * 3000
    assert read_console(path, 9) == "first\n" + "x" * 5000 + "\n" + "y" * 3000


def test_of_a_long_console_only_the_end_is_read(tmp_path: Path) -> None:
    path = tmp_path / "console"
    path.write_bytes(b"x" * 10_000_000 + b"\nlast\n")
    assert read_console(path, 1) == "last"


def test_colours_and_titles_are_left_out() -> None:
    assert plain_text("\x1b[0;32m[  OK  ]\x1b[0m Started\x1b[K") == "[  OK  ] Started"
    assert plain_text("\x1b]0;title\x07text") == "0;titletext"


@given(st.binary())
def test_no_control_character_is_left(raw: bytes) -> None:
    assert all(
        character.isprintable() or character in "\t\n" or ord(character) > 0x9F
        for character in plain_text(raw.decode("latin-1"))
    )
