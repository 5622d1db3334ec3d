"""Who is down when, and where nobody is."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.core.roster import Gap, Shift, ShiftKind, at, clashes, gaps

DAY = datetime(2026, 7, 1, tzinfo=UTC)
ON_CALL, DUTY, LEAVE = ShiftKind.ON_CALL, ShiftKind.DUTY, ShiftKind.LEAVE


def hour(n: float) -> datetime:
    return DAY + timedelta(hours=n)


def shift(staff_id: int, start: float, end: float, kind: ShiftKind = ON_CALL) -> Shift:
    return Shift(staff_id, kind, hour(start), hour(end))


def test_a_shift_ends_before_its_last_moment_and_leave_takes_precedence() -> None:
    roster = [shift(1, 0, 8), shift(2, 8, 16), shift(3, 0, 24), shift(3, 4, 6, LEAVE), shift(4, 0, 8, DUTY)]
    assert at(roster, ON_CALL, hour(0)) == (1, 3)
    assert at(roster, ON_CALL, hour(5)) == (1,)
    assert at(roster, ON_CALL, hour(8)) == (3, 2)
    assert at(roster, DUTY, hour(8)) == ()


@pytest.mark.parametrize(
    ("roster", "missing"),
    [
        ([], [(0, 24)]),
        ([shift(1, 0, 24)], []),
        ([shift(1, 0, 8), shift(2, 16, 24)], [(8, 16)]),
        ([shift(1, 0, 12), shift(2, 10, 24)], []),
        ([shift(1, 0, 24), shift(1, 9, 11, LEAVE)], [(9, 11)]),
        ([shift(1, 0, 24, DUTY)], [(0, 24)]),
        ([shift(9, 0, 24)], [(0, 24)]),  # not one of those it wants
        ([shift(1, -5, 3), shift(1, 20, 30)], [(3, 20)]),
    ],
)
def test_gaps(roster: list[Shift], missing: list[tuple[float, float]]) -> None:
    found = gaps(roster, ON_CALL, [(hour(0), hour(24))], people=frozenset({1, 2}))
    assert found == tuple(Gap(ON_CALL, hour(a), hour(b)) for a, b in missing)


shifts = st.builds(
    lambda who, start, length, kind: shift(who, start, start + length, kind),
    st.integers(1, 3),
    st.integers(-4, 28),
    st.integers(1, 12),
    st.sampled_from([ON_CALL, LEAVE]),
)


@given(st.lists(shifts, max_size=8), st.integers(0, 23 * 4))
def test_somebody_is_there_exactly_outside_the_gaps(roster: list[Shift], quarter: int) -> None:
    found = gaps(roster, ON_CALL, [(hour(0), hour(24))], people=frozenset({1, 2, 3}))
    moment = hour(quarter / 4)
    assert bool(at(roster, ON_CALL, moment)) is not any(gap.start <= moment < gap.end for gap in found)


@pytest.mark.parametrize(
    ("one", "other", "clash"),
    [
        (shift(1, 0, 8), shift(1, 7, 9), True),
        (shift(1, 0, 8), shift(1, 8, 9), False),
        (shift(1, 0, 8), shift(2, 0, 8), False),
        (shift(1, 0, 8), shift(1, 0, 8, DUTY), False),
        (shift(1, 0, 8), shift(1, 2, 3, LEAVE), True),
        (shift(1, 2, 3, LEAVE), shift(1, 0, 8, DUTY), True),
    ],
)
def test_nobody_is_down_twice(one: Shift, other: Shift, clash: bool) -> None:
    assert clashes(one, [other]) is clash
