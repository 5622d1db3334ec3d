"""Whatever stands in a text is found by the words it has, in Chinese from one character on."""

from __future__ import annotations

import doctest

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.core import search
from bot.core.search import asked, folded, holds, snippet, terms

CHINESE = st.text(st.characters(min_codepoint=0x4E00, max_codepoint=0x4E40), min_size=1, max_size=8)
WORDS = st.text(st.characters(codec="utf-8", exclude_categories=("Cs",)), max_size=60)


def proposes(query: str, text: str) -> bool:
    """What the index does: every term of the query is one of the text's, or begins one."""
    known = terms(text)
    return all(
        any(each.startswith(term) if prefix else each == term for each in known) for term, prefix in asked(query)
    )


@pytest.mark.parametrize(
    ("query", "text", "found"),
    [
        ("退款", "我想退款", True),
        ("退款", "退回货款", False),
        ("气不", "暖气不热", True),
        ("煤", "有煤气味", True),
        ("味", "有煤气味", True),
        ("暖气 师傅", "师傅，暖气不热", True),
        ("暖气 漏水", "师傅，暖气不热", False),
        ("refund", "I want REFUNDS", True),
        ("ref", "a refund", True),
        ("fund", "a refund", False),
        ("ok", "ok", True),
        ("ok", "okay", False),
        ("a-1024", "订单A-1024", True),
        ("1024", "订单A-1024已发货", True),
        ("ＡＢＣ", "abc的单", True),
        ("退款", "退 款", False),
        ("？", "怎么办？", False),
    ],
)
def test_what_is_found(query: str, text: str, found: bool) -> None:
    assert holds(query, text) is found
    if found:
        assert proposes(query, text)


@given(CHINESE, CHINESE, CHINESE)
def test_any_stretch_of_chinese_is_proposed_and_held(before: str, wanted: str, after: str) -> None:
    text = before + wanted + after
    assert proposes(wanted, text)
    assert holds(wanted, text)


@given(WORDS, WORDS)
def test_the_index_proposes_whatever_holds(query: str, text: str) -> None:
    if holds(query, text):
        assert proposes(query, text)


@given(WORDS)
def test_terms_are_safe_to_write_into_an_index(text: str) -> None:
    for term in terms(text):
        assert term
        assert not set(term) & set("'\"\\ :&|!()*\n\t")
        assert term == folded(term) or len(term) == search.MAX_WORD


@given(CHINESE, WORDS)
def test_a_snippet_is_a_part_of_the_text_and_marks_what_was_asked(query: str, around: str) -> None:
    pieces = snippet(query, around + query)
    assert [piece for piece, marked in pieces if marked]
    assert all(folded(piece) == folded(query) for piece, marked in pieces if marked)


def test_a_snippet_shows_the_hit_in_a_long_text() -> None:
    pieces = snippet("退款", "一" * 500 + "我要退款" + "二" * 500)
    assert ("退款", True) in pieces
    assert (pieces[0], pieces[-1]) == (("…", False), ("…", False))


def test_examples() -> None:
    assert doctest.testmod(search).failed == 0
