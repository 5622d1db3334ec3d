"""Waits over transcripts: when they begin, what ends them, whose they are."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.core.standards import Line, Wait, percentile, waits
from bot.core.words import Author

NOON = datetime(2026, 7, 1, 4, 0, tzinfo=UTC)
C, B, A = Author.CUSTOMER, Author.BOT, Author.AGENT


def at(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ([], []),
        ([(0, B)], []),
        ([(0, C), (2, B)], [(0, 2, B, True)]),
        ([(0, C), (5, C), (9, B), (10, B)], [(0, 9, B, True)]),
        ([(0, C), (1, B), (60, C), (75, A)], [(0, 1, B, True), (60, 75, A, False)]),
        ([(0, C)], [(0, None, None, True)]),
        ([(0, B), (3, C), (4, B)], [(3, 4, B, True)]),
    ],
)
def test_waits(lines: list[tuple[int, Author]], expected: list[tuple[int, int | None, Author | None, bool]]) -> None:
    found = waits(Line(at(seconds), author) for seconds, author in lines)
    assert [
        (
            int((wait.asked_at - NOON).total_seconds()),
            int((wait.answered_at - NOON).total_seconds()) if wait.answered_at else None,
            wait.author,
            wait.first,
        )
        for wait in found
    ] == expected


def test_a_holding_line_answers_nothing() -> None:
    lines = [Line(at(0), C), Line(at(20), B, answers=False), Line(at(90), A, staff_id=7)]
    assert waits(lines) == [Wait(at(0), at(90), A, 7, True)]


def test_what_comes_from_the_middle_of_a_conversation_is_no_first_reply() -> None:
    assert [wait.first for wait in waits([Line(at(0), C), Line(at(1), B)], from_start=False)] == [False]


@pytest.mark.parametrize(
    ("answered", "until", "expected"),
    [(20, 100, True), (20.1, 100, False), (None, 20, None), (None, 20.1, False)],
)
def test_a_limit_is_kept_broken_or_not_known_yet(answered: float | None, until: float, expected: bool | None) -> None:
    wait = Wait(at(0), at(answered) if answered else None, None, None, True)
    assert wait.within(timedelta(seconds=20), at(until)) is expected


@given(st.lists(st.sampled_from([C, B, A])))
def test_every_customers_line_is_in_one_wait_and_at_most_the_last_is_open(authors: list[Author]) -> None:
    found = waits(Line(at(number), author) for number, author in enumerate(authors))
    assert all(wait.answered_at is not None for wait in found[:-1])
    spans = [(wait.asked_at, wait.answered_at or at(len(authors))) for wait in found]
    for number, author in enumerate(authors):
        inside = sum(start <= at(number) < end for start, end in spans)
        assert inside == 1 if author is C else inside <= 1


@given(st.lists(st.integers(0, 10_000), min_size=1), st.sampled_from([0.5, 0.9, 0.99]))
def test_percentiles_lie_within_what_was_measured(seconds: list[int], share: float) -> None:
    found = percentile((timedelta(seconds=each) for each in seconds), share)
    assert found is not None
    assert min(seconds) <= found.total_seconds() <= max(seconds)
    assert percentile([], share) is None
