"""Whoever can be served is, by the right person, and nobody gets more than they can hold."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.core.assignment import Seat, Silence, Wish, able, assign, silence
from bot.core.words import Language, Presence

NOW = datetime(2026, 7, 1, 2, tzinfo=UTC)
ZH, EN = Language.ZH, Language.EN


def seat(staff_id: int, **how: object) -> Seat:
    return Seat(**{"staff_id": staff_id, "presence": Presence.ONLINE, "here": True, "holding": 0, "capacity": 2, **how})  # type: ignore[arg-type]


def wish(conversation_id: int, **how: object) -> Wish:
    known = {"queue": "service", "language": ZH, "priority": 5, "key_account": False, "queued_at": NOW}
    return Wish(**{"conversation_id": conversation_id, **known, **how})  # type: ignore[arg-type]


ago = NOW - timedelta(minutes=5)


@pytest.mark.parametrize(
    ("wishes", "seats", "given_to"),
    [
        ([wish(1)], [seat(1)], [(1, 1)]),
        ([wish(1)], [seat(1, presence=Presence.AWAY)], []),
        ([wish(1)], [seat(1, presence=Presence.OFFLINE)], []),
        ([wish(1)], [seat(1, here=False)], []),
        ([wish(1)], [seat(1, holding=2)], []),
        ([wish(1), wish(2), wish(3)], [seat(1)], [(1, 1), (2, 1)]),
        ([wish(1), wish(2)], [seat(1), seat(2)], [(1, 1), (2, 2)]),
        ([wish(1)], [seat(1, given_at=NOW), seat(2, given_at=ago)], [(1, 2)]),
        ([wish(1)], [seat(1, given_at=ago), seat(2)], [(1, 2)]),
        ([wish(1, knows=1)], [seat(1, given_at=NOW), seat(2)], [(1, 1)]),
        ([wish(1, knows=1)], [seat(1, presence=Presence.AWAY), seat(2)], [(1, 2)]),
        ([wish(1, passed=frozenset({1}))], [seat(1)], []),
        (
            [wish(1, queue="repair")],
            [seat(1, queues=frozenset({"service"})), seat(2, queues=frozenset({"repair"}))],
            [(1, 2)],
        ),
        (
            [wish(1, language=EN)],
            [seat(1, languages=frozenset({ZH})), seat(2, languages=frozenset({ZH, EN}))],
            [(1, 2)],
        ),
        ([wish(1), wish(2, key_account=True)], [seat(1, capacity=1)], [(2, 1)]),
        ([wish(1), wish(2, priority=0)], [seat(1, capacity=1)], [(2, 1)]),
        ([wish(1), wish(2, queued_at=ago)], [seat(1, capacity=1)], [(2, 1)]),
    ],
)
def test_who_gets_what(wishes: list[Wish], seats: list[Seat], given_to: list[tuple[int, int]]) -> None:
    assert list(assign(wishes, seats, NOW)) == given_to


SEATS = st.lists(
    st.builds(
        Seat,
        st.integers(1, 6),
        st.sampled_from(Presence),
        st.booleans(),
        st.integers(0, 3),
        st.integers(0, 3),
        st.frozensets(st.sampled_from(("service", "repair"))),
        st.frozensets(st.sampled_from(Language)),
        st.none() | st.just(ago) | st.just(NOW),
    ),
    max_size=6,
    unique_by=lambda each: each.staff_id,
)
WISHES = st.lists(
    st.builds(
        Wish,
        st.integers(1, 20),
        st.sampled_from(("service", "repair")),
        st.sampled_from(Language),
        st.integers(0, 5),
        st.booleans(),
        st.sampled_from((ago, NOW)),
        st.none() | st.integers(1, 6),
        st.frozensets(st.integers(1, 6), max_size=2),
    ),
    max_size=10,
    unique_by=lambda each: each.conversation_id,
)


@given(WISHES, SEATS)
def test_nobody_gets_too_much_and_nobody_waits_whom_somebody_could_take(wishes: list[Wish], seats: list[Seat]) -> None:
    given_to = assign(wishes, seats, NOW)
    assert len({conversation for conversation, _ in given_to}) == len(given_to)
    by_id = {each.staff_id: each for each in seats}
    asked = {each.conversation_id: each for each in wishes}
    for conversation, staff in given_to:
        assert able(asked[conversation], by_id[staff])
    left = {s.staff_id: s.capacity - s.holding - sum(staff == s.staff_id for _, staff in given_to) for s in seats}
    assert all(left[staff] >= 0 for _, staff in given_to)
    served = {conversation for conversation, _ in given_to}
    for each in wishes:
        if each.conversation_id not in served:
            assert not [s for s in seats if able(each, s) and left[s.staff_id] > 0]


@given(WISHES, SEATS, st.randoms())
def test_the_order_of_asking_changes_nothing(wishes: list[Wish], seats: list[Seat], chance) -> None:  # type: ignore[no-untyped-def]  # noqa: ANN001
    shuffled = wishes.copy()
    chance.shuffle(shuffled)
    assert assign(wishes, seats, NOW) == assign(shuffled, seats, NOW)


@pytest.mark.parametrize(
    ("seconds", "holder", "warned", "others", "becomes"),
    [
        (10, Presence.ONLINE, False, True, Silence.BEAR),
        (60, Presence.ONLINE, False, True, Silence.WARN),
        (60, Presence.ONLINE, True, True, Silence.BEAR),
        (180, Presence.ONLINE, False, True, Silence.WARN),
        (180, Presence.ONLINE, True, True, Silence.MOVE),
        (180, Presence.ONLINE, True, False, Silence.BEAR),
        (0, Presence.AWAY, False, True, Silence.MOVE),
        (0, Presence.OFFLINE, False, True, Silence.MOVE),
        (10, Presence.OFFLINE, False, False, Silence.BEAR),
        (60, Presence.OFFLINE, False, False, Silence.WARN),
    ],
)
def test_a_customer_left_without_an_answer(
    seconds: int, holder: Presence, warned: bool, others: bool, becomes: Silence
) -> None:
    found = silence(
        timedelta(seconds=seconds),
        holder=holder,
        warned=warned,
        warn_after=timedelta(seconds=60),
        move_after=timedelta(seconds=180),
        others=others,
    )
    assert found is becomes
