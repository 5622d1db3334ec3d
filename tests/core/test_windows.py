"""When a contact may start, and what must hold on any day in any zone (table C.7: tests/services/test_table_c7.py)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.core.policy import EVERY_DAY, MonthDay, Policies, Season, Seasons, Window, Windows, daily
from bot.core.windows import (
    UNSET,
    Calendar,
    Closed,
    Due,
    Offer,
    Opening,
    Reason,
    Refused,
    call_windows,
    follow_up_due,
    is_open,
    next_open,
    offer_slots,
    requested,
    season_on,
    spans,
)
from bot.core.words import FollowUpGroup
from scripts.calendars import calendar_of
from scripts.policies import DEMO, SHIPPED, load_policies

CENTRE = "Asia/Shanghai"
POLICIES = load_policies([SHIPPED, DEMO])
CALENDAR = calendar_of(POLICIES.holidays, 2026)


def at(text: str, zone: str = CENTRE) -> datetime:
    """A local wall-clock time of `zone`, as "2026-07-01 14:30" or with seconds."""
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone))


def due(group: FollowUpGroup, happened: str, recorded: str | None = None, policies: Policies = POLICIES) -> Due:
    found = follow_up_due(group, at(happened), at(recorded or happened), policies, CALENDAR, CENTRE)
    assert isinstance(found, Due)
    return found


VISITED, PURCHASED = FollowUpGroup.VISITED_NO_PURCHASE, FollowUpGroup.VISITED_PURCHASED

# National Day 2026: 1–7 October off, Saturday 10 October worked; the eve is Wednesday 30 September.
FIRST_TRIES = [
    (
        "4 and 6: too late on the eve",
        PURCHASED,
        "2026-09-30 20:30",
        "2026-10-08 19:00",
        ("missed_same_evening", "late_holiday"),
    ),
    ("purchase inside the window", PURCHASED, "2026-07-01 19:20", "2026-07-01 19:20", ()),
    ("purchase as the window closes", PURCHASED, "2026-07-01 20:00", "2026-07-02 19:00", ("missed_same_evening",)),
    ("C06: the second day is a holiday", VISITED, "2026-09-29 10:00", "2026-09-29 14:30", ("pulled_forward",)),
    ("C06: only holidays are left", VISITED, "2026-09-30 20:30", "2026-10-08 14:30", ("late_holiday",)),
    ("a visit on a weekend inside the break", VISITED, "2026-10-03 10:00", "2026-10-08 14:30", ("late_holiday",)),
]


@pytest.mark.parametrize(
    ("group", "happened", "first_try", "flags"), [row[1:] for row in FIRST_TRIES], ids=[r[0] for r in FIRST_TRIES]
)
def test_the_first_try_of_a_follow_up(
    group: FollowUpGroup, happened: str, first_try: str, flags: tuple[str, ...]
) -> None:
    found = due(group, happened)
    assert found.at == at(first_try)
    assert found.flags == flags


def test_pulled_forward_means_in_time_before_the_holiday() -> None:
    assert due(VISITED, "2026-09-29 10:00").latest == at("2026-09-30 20:00")


@pytest.mark.parametrize(
    ("recorded", "first_try", "flags"),
    [
        ("2026-07-02 09:00", "2026-07-02 14:30", ()),
        ("2026-07-06 09:00", "2026-07-06 14:30", ("late",)),
        ("2026-10-02 09:00", "2026-10-08 14:30", ("late", "late_holiday")),
    ],
)
def test_a_visit_recorded_late(recorded: str, first_try: str, flags: tuple[str, ...]) -> None:
    found = due(VISITED, "2026-07-01 10:00", recorded)
    assert (found.at, found.flags) == (at(first_try), flags)


def test_a_purchase_recorded_after_the_window_moves_to_the_next_evening() -> None:
    found = due(PURCHASED, "2026-07-01 15:00", "2026-07-02 09:00")
    assert (found.at, found.flags) == (at("2026-07-02 19:00"), ("missed_same_evening",))


@pytest.mark.parametrize(
    ("moment", "allowed"),
    [
        ("2026-07-01 14:29:59", False),
        ("2026-07-01 14:30:00", True),
        ("2026-07-01 16:29:59", True),
        ("2026-07-01 16:30:00", False),
        ("2026-07-01 19:00:00", True),
        ("2026-07-01 19:59:59", True),
        ("2026-07-01 20:00:00", False),
        ("2026-05-14 14:10:00", True),  # the last day of winter
        ("2026-05-15 14:10:00", False),  # the first of summer
        ("2026-10-01 14:30:00", False),  # a holiday
        ("2026-10-10 14:30:00", True),  # a make-up Saturday
    ],
)
def test_the_follow_up_windows(moment: str, allowed: bool) -> None:
    windows = call_windows(VISITED, POLICIES)
    assert is_open(at(moment), windows, CALENDAR, CENTRE, seasons=POLICIES.seasons) is allowed


def test_row_7_a_call_too_late_for_the_afternoon_rolls_to_the_evening() -> None:
    windows = call_windows(VISITED, POLICIES)
    opening = next_open(at("2026-07-01 16:30:00"), windows, CALENDAR, CENTRE, seasons=POLICIES.seasons)
    assert opening == Opening(at("2026-07-01 19:00"), at("2026-07-01 20:00"), provisional=False)


def with_requested_hours(*windows: Window) -> Policies:
    narrow = Windows(weekdays=EVERY_DAY, all_year=windows, summer=(), winter=())
    return replace(POLICIES, hours=replace(POLICIES.hours, windows={**POLICIES.hours.windows, "requested": narrow}))


def test_row_9_a_customers_own_time_is_taken_where_the_operator_allows_it() -> None:
    now, wish = at("2026-07-01 10:00"), at("2026-07-02 13:00")
    taken = requested(wish, now, POLICIES, CALENDAR, CENTRE)
    assert isinstance(taken, Opening)
    assert taken.start == wish


def test_row_9_and_otherwise_the_nearest_windows_are_offered() -> None:
    policies = with_requested_hours(Window(time(9), time(10)), Window(time(14), time(16)))
    offer = requested(at("2026-07-02 13:00"), at("2026-07-01 10:00"), policies, CALENDAR, CENTRE)
    assert isinstance(offer, Offer)
    assert [slot.start for slot in offer.slots] == [at("2026-07-02 09:30"), at("2026-07-02 14:00")]


def test_a_wish_in_the_night_is_answered_with_the_morning() -> None:
    offer = requested(at("2026-07-02 23:30"), at("2026-07-01 10:00"), POLICIES, CALENDAR, CENTRE)
    assert isinstance(offer, Offer)
    assert at("2026-07-03 08:00") in [slot.start for slot in offer.slots]


def test_a_wish_on_a_holiday_is_taken() -> None:
    assert isinstance(requested(at("2026-10-02 10:00"), at("2026-09-30 10:00"), POLICIES, CALENDAR, CENTRE), Opening)


def test_row_10_without_season_dates_follow_ups_are_refused_and_requested_callbacks_are_not() -> None:
    policies, now = replace(POLICIES, seasons=UNSET), at("2026-07-01 10:00")
    for group in (VISITED, PURCHASED):
        assert follow_up_due(group, now, now, policies, CALENDAR, CENTRE) == Refused(Reason.SEASONS_UNSET)
    assert isinstance(requested(now, now, policies, CALENDAR, CENTRE), Opening)


def test_a_group_without_a_delay_is_refused() -> None:
    shipped = replace(load_policies([SHIPPED]), seasons=POLICIES.seasons)
    now = at("2026-07-01 10:00")
    refused = follow_up_due(FollowUpGroup.NOT_VISITED, now, now, shipped, CALENDAR, CENTRE)
    assert refused == Refused(Reason.DELAY_UNSET)


def test_the_complaint_follow_up_waits_its_days() -> None:
    found = due(FollowUpGroup.AFTER_COMPLAINT, "2026-07-01 15:00")
    assert (found.at, found.flags) == (at("2026-07-04 09:00"), ())


def test_tries_are_counted_in_open_days() -> None:
    found = due(PURCHASED, "2026-09-30 16:00")  # three more open evenings: 8, 9, 10 October
    assert found.gives_up_at == at("2026-10-11 00:00")


def test_a_year_without_a_decree_is_provisional() -> None:
    calendar = calendar_of(POLICIES.holidays, 2027)
    found = follow_up_due(VISITED, at("2027-07-01 10:00"), at("2027-07-01 10:00"), POLICIES, calendar, CENTRE)
    assert isinstance(found, Due)
    assert found.flags == ("provisional",)


def test_a_contacts_limits_narrow_the_search() -> None:
    windows, now = call_windows(VISITED, POLICIES), at("2026-07-01 10:00")

    def first(**limits: object) -> Opening | Closed:
        return next_open(now, windows, CALENDAR, CENTRE, seasons=POLICIES.seasons, **limits)  # type: ignore[arg-type]

    assert first(blocked=frozenset({date(2026, 7, 1)})) == Opening(
        at("2026-07-02 14:30"), at("2026-07-02 16:30"), provisional=False
    )
    assert first(not_before=at("2026-07-01 15:10")) == Opening(
        at("2026-07-01 15:10"), at("2026-07-01 16:30"), provisional=False
    )
    assert first(not_after=at("2026-07-01 15:00")) == Opening(
        at("2026-07-01 14:30"), at("2026-07-01 15:00"), provisional=False
    )
    assert first(not_after=at("2026-07-01 14:30")) == Closed(Reason.AFTER_END)
    assert first(not_after=at("2026-06-30 14:30")) == Closed(Reason.AFTER_END)


def test_windows_that_never_meet_are_told_and_do_not_loop() -> None:
    apart = (daily(Window(time(9), time(10))), daily(Window(time(10), time(11))))
    assert next_open(at("2026-07-01 10:00"), apart, Calendar(), CENTRE) == Closed(Reason.NO_WINDOW)


def test_two_sets_of_windows_mean_their_overlap() -> None:
    """REQ-C28: the stricter rule, in summer 14:30–16:00."""
    both = POLICIES.hours.named(("outbound", "follow_up"))
    opening = next_open(at("2026-07-01 09:30"), both, CALENDAR, CENTRE, seasons=POLICIES.seasons)
    assert opening == Opening(at("2026-07-01 14:30"), at("2026-07-01 16:00"), provisional=False)


def test_a_window_past_midnight_belongs_to_the_day_it_starts() -> None:
    night = (daily(Window(time(22), time(2))),)
    calendar = Calendar(holidays=frozenset({date(2026, 7, 2)}))
    assert is_open(at("2026-07-02 01:00"), night, calendar, CENTRE)
    assert not is_open(at("2026-07-02 23:00"), night, calendar, CENTRE)


@pytest.mark.parametrize(
    ("day", "hours"),
    [("2026-03-08", 2), ("2026-11-01", 4), ("2026-07-01", 3)],  # New York: an hour skipped, an hour twice, neither
)
def test_a_window_over_the_change_of_clocks_lasts_as_long_as_it_lasts(day: str, hours: int) -> None:
    [(start, end)] = spans(date.fromisoformat(day), (daily(Window(time(0), time(3))),), Calendar(), "America/New_York")
    assert end - start == timedelta(hours=hours)


def test_a_window_in_the_hour_that_is_skipped_does_not_open() -> None:
    skipped = (daily(Window(time(2), time(3))),)
    assert spans(date(2026, 3, 8), skipped, Calendar(), "America/New_York") == []


def test_offers_are_on_the_quarter_and_apart() -> None:
    windows = call_windows(VISITED, POLICIES)
    slots = offer_slots(at("2026-07-01 14:07"), windows, CALENDAR, CENTRE, seasons=POLICIES.seasons)
    assert [slot.start for slot in slots] == [at("2026-07-01 14:45"), at("2026-07-01 19:00")]
    late = offer_slots(at("2026-07-01 15:50"), windows, CALENDAR, CENTRE, seasons=POLICIES.seasons)
    assert [slot.start for slot in late] == [at("2026-07-01 19:00"), at("2026-07-02 14:30")]


def test_seasons_the_other_way_round() -> None:
    south = Seasons(summer_start=MonthDay(10, 15), winter_start=MonthDay(5, 15))
    assert season_on(date(2026, 1, 1), south) is Season.SUMMER
    assert season_on(date(2026, 7, 1), south) is Season.WINTER
    assert season_on(date(2026, 7, 1), UNSET) is None


def test_the_breaks_of_2026_are_as_decreed() -> None:
    """General Office of the State Council, holidays of 2026: seven breaks, six make-up days."""
    breaks = [("01-01", "01-03"), ("02-15", "02-23"), ("04-04", "04-06"), ("05-01", "05-05"), ("06-19", "06-21"),
              ("09-25", "09-27"), ("10-01", "10-07")]  # fmt: skip
    decreed = {
        first + timedelta(days=n)
        for a, b in breaks
        for first, last in [(date.fromisoformat(f"2026-{a}"), date.fromisoformat(f"2026-{b}"))]
        for n in range((last - first).days + 1)
    }
    assert {day for day in CALENDAR.holidays if day.year == 2026} == decreed
    assert {f"{day:%m-%d}" for day in CALENDAR.workdays if day.year == 2026} == {
        "01-04", "02-14", "02-28", "05-09", "09-20", "10-10",
    }  # fmt: skip


# ── on any day, in any zone ──────────────────────────────────────────────────────────────────────────────────────────

zones = st.sampled_from(["Asia/Shanghai", "America/New_York", "Europe/Berlin", "Australia/Lord_Howe", "Asia/Kathmandu"])
clocks = st.times().map(lambda t: t.replace(second=0, microsecond=0))
some_windows = st.builds(
    Windows,
    weekdays=st.frozensets(st.integers(1, 7), min_size=1),
    all_year=st.lists(st.builds(Window, clocks, clocks), min_size=1, max_size=3).map(tuple),
    summer=st.just(()),
    winter=st.just(()),
)
instants = st.integers(0, 1095 * 24 * 60).map(lambda n: datetime(2025, 1, 1, tzinfo=UTC) + timedelta(minutes=n))
calendars = st.builds(Calendar, holidays=st.frozensets(st.dates(date(2025, 1, 1), date(2028, 1, 1)), max_size=30))


@given(instants, st.lists(some_windows, min_size=1, max_size=2), calendars, zones)
def test_what_opens_is_open_and_nothing_opened_before(
    moment: datetime, windows: Sequence[Windows], calendar: Calendar, zone: str
) -> None:
    opening = next_open(moment, windows, calendar, zone)
    if isinstance(opening, Closed):
        assert opening.reason is Reason.NO_WINDOW
        return
    assert moment <= opening.start < opening.end
    assert is_open(opening.start, windows, calendar, zone)
    assert is_open(opening.end - timedelta(microseconds=1), windows, calendar, zone)
    assert next_open(opening.start, windows, calendar, zone) == opening
    if opening.start > moment:
        assert not is_open(moment, windows, calendar, zone)
        assert not is_open(moment + (opening.start - moment) / 2, windows, calendar, zone)


@given(st.sampled_from([VISITED, PURCHASED]), instants, st.timedeltas(timedelta(0), timedelta(days=5)), zones)
def test_a_follow_up_is_never_due_on_a_holiday_or_outside_its_windows(
    group: FollowUpGroup, happened: datetime, later: timedelta, zone: str
) -> None:
    calendar = calendar_of(POLICIES.holidays, happened.year)
    found = follow_up_due(group, happened, happened + later, POLICIES, calendar, zone)
    assert isinstance(found, Due)
    assert happened + later <= found.at < found.window_end <= found.latest
    assert found.at < found.gives_up_at
    local = found.at.astimezone(ZoneInfo(zone))
    assert local.date() not in calendar.holidays
    assert time(14) <= local.time() < time(16, 30) or time(19) <= local.time() < time(20)
