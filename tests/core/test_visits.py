"""The slot a customer's wish means, and what is offered where there is none (REQ-D29, INT-32)."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.core.visits import Offer, Slot, Why, day_slots, find, reminder_at
from bot.core.windows import Calendar
from scripts.policies import SHIPPED, load_policies

ZONE = "Asia/Shanghai"
VISITS = load_policies([SHIPPED]).visits  # 08–12 and 14–18 in slots of two hours, three at once, four hours ahead
HOLIDAY = Calendar(holidays=frozenset({date(2026, 7, 3)}))


def at(text: str) -> datetime:
    return datetime.fromisoformat(f"2026-{text}").replace(tzinfo=ZoneInfo(ZONE))


NOW = at("07-01 10:00")  # a Wednesday


def slot(text: str) -> Slot:
    start = at(text).astimezone(UTC)
    return Slot(start, start + timedelta(hours=2))


@pytest.mark.parametrize(
    ("wish", "found"),
    [
        (None, "07-01 14:00"),
        ("07-02 14:00", "07-02 14:00"),  # 明天下午
        ("07-02 15:59", "07-02 14:00"),
        ("07-02 16:00", "07-02 16:00"),
        ("07-02 09:00", "07-02 08:00"),
        ("07-02 00:00", "07-02 08:00"),  # 明天: the first of the day
        ("07-01 00:00", "07-01 14:00"),  # 今天: the first that is far enough away
        ("07-04 17:30", "07-04 16:00"),  # a Saturday
    ],
)
def test_the_slot_a_wish_means(wish: str | None, found: str) -> None:
    assert find(at(wish) if wish else None, NOW, VISITS, HOLIDAY, ZONE, []) == slot(found)


@pytest.mark.parametrize(
    ("wish", "taken", "why", "offered"),
    [
        ("07-02 14:00", ["07-02 14:00"] * 3, Why.FULL, ["07-02 10:00", "07-02 16:00"]),
        ("07-02 12:30", [], Why.CLOSED, ["07-02 10:00", "07-02 14:00"]),
        ("07-02 21:00", [], Why.CLOSED, ["07-02 14:00", "07-02 16:00"]),
        ("07-03 09:00", [], Why.CLOSED, ["07-02 14:00", "07-02 16:00"]),  # a holiday
        ("07-03 00:00", [], Why.CLOSED, ["07-02 16:00", "07-04 08:00"]),
        ("07-01 11:00", [], Why.TOO_SOON, ["07-01 14:00", "07-01 16:00"]),
        ("06-30 14:00", [], Why.PAST, ["07-01 14:00", "07-01 16:00"]),
        ("08-20 14:00", [], Why.TOO_FAR, ["07-31 08:00", "07-31 10:00"]),
    ],
)
def test_what_is_offered_instead(wish: str, taken: list[str], why: Why, offered: list[str]) -> None:
    found = find(at(wish), NOW, VISITS, HOLIDAY, ZONE, [slot(each) for each in taken])
    assert found == Offer(why, tuple(slot(each) for each in offered))


def test_a_full_slot_is_free_again_below_its_capacity() -> None:
    taken = [slot("07-02 14:00")] * 2
    assert find(at("07-02 14:00"), NOW, VISITS, HOLIDAY, ZONE, taken) == slot("07-02 14:00")


def test_visits_of_another_length_count_where_they_overlap() -> None:
    long = Slot(at("07-02 13:00").astimezone(UTC), at("07-02 15:00").astimezone(UTC))
    assert isinstance(find(at("07-02 14:00"), NOW, VISITS, HOLIDAY, ZONE, [long] * 3), Offer)


def test_holidays_where_engineers_come_all_the_same() -> None:
    assert len(day_slots(date(2026, 7, 3), replace(VISITS, on_holidays=True), HOLIDAY, ZONE)) == 4
    assert day_slots(date(2026, 7, 3), VISITS, HOLIDAY, ZONE) == []


def test_nothing_is_free_at_all() -> None:
    never = replace(VISITS, notice=VISITS.ahead + timedelta(hours=1))
    assert find(at("07-02 14:00"), NOW, never, HOLIDAY, ZONE, []) == Offer(Why.TOO_SOON, ())


@pytest.mark.parametrize(
    ("starts", "reminded"), [("07-02 14:00", "07-01 14:00"), ("07-02 10:00", None), ("07-01 16:00", None)]
)
def test_a_reminder_needs_its_time(starts: str, reminded: str | None) -> None:
    assert reminder_at(at(starts), VISITS, NOW) == (at(reminded) if reminded else None)


@given(
    minutes=st.integers(-7 * 1440, 45 * 1440),
    taken=st.lists(st.sampled_from([f"07-{d:02} {h}:00" for d in range(1, 8) for h in ("08", "10", "14", "16")])),
    capacity=st.integers(1, 3),
)
def test_whatever_is_found_is_free_and_in_time(minutes: int, taken: list[str], capacity: int) -> None:
    visits, booked = replace(VISITS, capacity=capacity), [slot(each) for each in taken]
    found = find(NOW + timedelta(minutes=minutes), NOW, visits, HOLIDAY, ZONE, booked)
    for each in (found,) if isinstance(found, Slot) else found.slots:
        assert NOW + visits.notice <= each.start <= NOW + visits.ahead
        assert sum(each.overlaps(other) for other in booked) < capacity
        assert each in day_slots(each.start.astimezone(ZoneInfo(ZONE)).date(), visits, HOLIDAY, ZONE)
