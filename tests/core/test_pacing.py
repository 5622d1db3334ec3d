"""A channel's places: evenly handed out, never made up for, with conversations' share kept."""

from __future__ import annotations

from bisect import bisect_left

from hypothesis import given
from hypothesis import strategies as st

from bot.core import pacing

RATES = st.floats(0.2, 500)
UNITS = st.lists(st.integers(1, 4), min_size=1, max_size=60)


@given(RATES, st.lists(st.tuples(st.floats(0, 30), UNITS), min_size=1, max_size=8))
def test_never_more_than_ten_seconds_of_the_rate_in_ten_seconds(
    rate: float, asked: list[tuple[float, list[int]]]
) -> None:
    now, free_at = 0.0, 0.0
    taken: list[tuple[float, int]] = []
    for later, units in asked:
        now += later
        free_at, waits = pacing.places(free_at, now, units, rate)
        taken += [(now + wait, size) for wait, size in zip(waits, units, strict=True)]
    moments = [at for at, _ in taken]
    assert moments == sorted(moments)
    for first, at in enumerate(moments):
        last = bisect_left(moments, at + 10)
        sizes = [size for _, size in taken[first:last]]
        assert sum(sizes[:-1]) <= 10 * rate + 1  # the last one has begun only


def test_an_idle_channel_takes_one_however_slow_it_is() -> None:
    assert pacing.room(0, 100, 0.05) == 1
    assert pacing.room(100.5, 100, 0.05) == 0
    assert pacing.room(100.5, 100, 100) == 50


def test_conversations_get_their_share_of_single_places() -> None:
    credit, given_to_chat = 0.0, 0
    for _ in range(100):
        offered, owed = pacing.for_conversations(credit, 1, 0.2)
        given_to_chat += offered
        credit = pacing.spent(owed, offered)
    assert given_to_chat in (19, 20)


def test_what_conversations_leave_is_not_saved_up() -> None:
    credit = 0.0
    for _ in range(100):
        _, owed = pacing.for_conversations(credit, 10, 0.5)
        credit = pacing.spent(owed, 0)
    assert credit == 1.0
