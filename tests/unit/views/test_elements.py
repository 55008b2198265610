"""Markup: whatever is put in as text comes out as text."""

from __future__ import annotations

from xml.etree import ElementTree

from hypothesis import given
from hypothesis import strategies as st
from markup import parse

from kutti_sdk.views.elements import element

HOSTILE = '</td><script>alert(1)</script><img src=x onerror="alert(2)">\x1b[31m&amp;'


@given(st.text(), st.text())
def test_text_stays_text_and_attributes_stay_attributes(text: str, attribute: str) -> None:
    root = ElementTree.fromstring(str(element("p", text, title=attribute)))

    assert len(root) == 0
    assert set(root.attrib) == {"title"}


def test_markup_in_a_text_is_shown_and_not_obeyed() -> None:
    page = parse(str(element("td", HOSTILE)))

    assert [child.tag for child in page.children] == ["td"]
    assert page.all("script") == page.all("img") == []
    assert "<script>alert(1)</script>" in page.text


def test_characters_that_no_escape_makes_legal_are_replaced() -> None:
    assert str(element("p", "a\x00b\ud800c")) == "<p>a\ufffdb\ufffdc</p>"


def test_nothing_is_left_out_but_none() -> None:
    made = element("p", None, "", "0", class_="a b", aria_hidden="true", x=0, y=1.5, title=None)
    assert str(made) == '<p class="a b" aria-hidden="true" x="0" y="1.5">0</p>'
