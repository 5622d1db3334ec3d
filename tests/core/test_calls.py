"""Dial, wait or give up: attempts that rang, spacing by reason, several numbers, never outside the window."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.core.calls import PLAN_ENDS, AttemptFacts, CallFacts, Dial, GiveUp, Wait, WaitReason, decide
from bot.core.policy import Seasons, Window
from bot.core.windows import call_windows, is_open
from bot.core.words import CallbackState, Disposition, FollowUpGroup
from scripts.calendars import calendar_of
from scripts.policies import DEMO, SHIPPED, load_policies

CENTRE = "Asia/Shanghai"
POLICIES = load_policies([SHIPPED, DEMO])
CALENDAR = calendar_of(POLICIES.holidays, 2026)
D = Disposition


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(CENTRE))


DUE = at("2026-07-01 14:30")
CALL = CallFacts(
    state=CallbackState.SCHEDULED,
    plan=FollowUpGroup.VISITED_NO_PURCHASE,
    zone=CENTRE,
    due=DUE,
    numbers=(1,),
    ends_at=at("2026-07-04 00:00"),
)


def attempt(
    ended: datetime, disposition: Disposition, number: int = 1, *, rang: bool = True, invalid: bool = False
) -> AttemptFacts:
    return AttemptFacts(number, ended - timedelta(seconds=30), ended, disposition, rang, invalid)


def step(now: datetime, *attempts: AttemptFacts, call: CallFacts = CALL) -> Dial | Wait | GiveUp:
    return decide(call, attempts, POLICIES, CALENDAR, now)


def test_it_waits_until_due_and_then_dials() -> None:
    assert step(DUE - timedelta(seconds=1)) == Wait(DUE, WaitReason.NOT_DUE)
    assert step(DUE) == Dial(1, at("2026-07-01 16:30"))


def test_row_7_at_the_end_of_the_window() -> None:
    assert step(at("2026-07-01 16:29:59")) == Dial(1, at("2026-07-01 16:30"))
    assert step(at("2026-07-01 16:30:00")) == Wait(at("2026-07-01 19:00"), WaitReason.WINDOW)


def test_one_call_at_a_time() -> None:
    ringing = AttemptFacts(1, DUE, None, None, rang=True)
    assert step(DUE + timedelta(minutes=1), ringing) == Wait(None, WaitReason.UNDER_WAY)


@pytest.mark.parametrize(
    ("disposition", "again", "reason"),
    [
        (D.BUSY, "2026-07-01 14:41", WaitReason.SPACING),
        (D.FAILED, "2026-07-01 15:01", WaitReason.SPACING),
        (D.PARTLY_COMPLETED, "2026-07-01 15:01", WaitReason.SPACING),
        (D.NO_ANSWER, "2026-07-01 19:00", WaitReason.WINDOW),  # two hours later the afternoon is over
        (D.MACHINE, "2026-07-01 19:00", WaitReason.WINDOW),
    ],
)
def test_the_spacing_after_each_ending(disposition: Disposition, again: str, reason: WaitReason) -> None:
    ended = DUE + timedelta(minutes=1)
    assert step(ended, attempt(ended, disposition)) == Wait(at(again), reason)
    assert isinstance(step(at(again), attempt(ended, disposition)), Dial)


@pytest.mark.parametrize("disposition", [D.COMPLETED, D.REFUSED, D.OPTED_OUT, D.ESCALATED, D.CANCELLED])
def test_what_ends_it_at_once(disposition: Disposition) -> None:
    assert step(DUE, attempt(DUE, disposition)) == GiveUp(disposition, last_sms=False)


def test_after_the_last_attempt_one_sms() -> None:
    tries = [attempt(DUE + timedelta(minutes=n), D.BUSY) for n in (1, 15, 30)]
    assert step(at("2026-07-01 16:00"), *tries) == GiveUp(D.BUSY, last_sms=True)


def test_an_attempt_that_never_rang_does_not_count_and_does_not_go_on_for_ever() -> None:
    later = at("2026-07-02 19:30")
    unrung = [attempt(DUE + timedelta(minutes=n), D.FAILED, rang=False) for n in range(POLICIES.calls.unrung)]
    assert isinstance(step(later, *unrung[: POLICIES.calls.attempts + 1]), Dial)
    assert step(later, *unrung) == GiveUp(D.FAILED, last_sms=True)


def test_the_customers_other_time_is_kept_and_counts_no_attempt() -> None:
    tomorrow = at("2026-07-02 13:00")
    tries = [attempt(DUE, D.BUSY), attempt(DUE, D.BUSY), attempt(DUE, D.ANOTHER_TIME)]
    call = replace(CALL, due=tomorrow, wished=True)
    assert step(DUE, *tries, call=call) == Wait(tomorrow, WaitReason.NOT_DUE)
    assert step(tomorrow, *tries, call=call) == Dial(1, at("2026-07-02 21:00"))


def test_a_wished_time_stands_on_a_holiday_and_in_no_season() -> None:
    now = at("2026-10-02 10:00")
    wish = replace(CALL, plan=FollowUpGroup.REQUESTED, due=now, ends_at=None)
    unset = replace(POLICIES, seasons=Seasons(summer_start=None, winter_start=None))
    assert decide(wish, (), unset, CALENDAR, now) == Dial(1, at("2026-10-02 21:00"))


def test_several_numbers_take_turns() -> None:
    two = replace(CALL, numbers=(7, 8))
    first = attempt(DUE, D.NO_ANSWER, 7)
    assert step(DUE, first, call=two) == Wait(DUE + timedelta(minutes=2), WaitReason.SPACING)
    second = attempt(DUE + timedelta(minutes=3), D.BUSY, 8)
    assert step(DUE + timedelta(minutes=2), first, call=two) == Dial(8, at("2026-07-01 16:30"))
    assert step(DUE + timedelta(minutes=13), first, second, call=two) == Dial(8, at("2026-07-01 16:30"))


def test_a_wrong_number_is_dropped_and_the_other_tried() -> None:
    two = replace(CALL, numbers=(7, 8))
    later = DUE + timedelta(minutes=30)
    wrong = attempt(DUE, D.WRONG_NUMBER, 7)
    dead = attempt(DUE + timedelta(minutes=5), D.FAILED, 8, rang=False, invalid=True)
    assert step(later, wrong, call=two) == Dial(8, at("2026-07-01 16:30"))
    assert step(later, wrong, dead, call=two) == GiveUp(D.FAILED, last_sms=False)
    assert step(later, wrong, call=replace(two, numbers=(7,))) == GiveUp(D.WRONG_NUMBER, last_sms=False)


def test_nobody_to_call() -> None:
    assert step(DUE, call=replace(CALL, numbers=())) == GiveUp(D.FAILED, last_sms=False)


def test_past_the_end_date_it_gives_up_once() -> None:
    ended = at("2026-07-04 00:00")
    assert step(ended) == GiveUp(D.CANCELLED, last_sms=False)
    assert step(ended, attempt(DUE, D.NO_ANSWER)) == GiveUp(D.NO_ANSWER, last_sms=True)
    given_up = replace(CALL, state=CallbackState.GIVEN_UP)
    assert step(ended, attempt(DUE, D.NO_ANSWER), call=given_up) == Wait(None, WaitReason.ENDED)


def test_no_retry_is_planned_past_the_end_date() -> None:
    call = replace(CALL, ends_at=at("2026-07-01 18:00"))
    assert step(DUE, attempt(DUE, D.NO_ANSWER), call=call) == GiveUp(D.NO_ANSWER, last_sms=True)


def test_without_season_dates_it_waits_for_the_operator() -> None:
    unset = replace(POLICIES, seasons=Seasons(summer_start=None, winter_start=None))
    assert decide(CALL, (), unset, CALENDAR, DUE) == Wait(None, WaitReason.SEASONS_UNSET)


def test_a_persons_own_hours_and_blocked_days() -> None:
    evenings = replace(CALL, hours=Window(time(18), time(0)), blocked=frozenset({date(2026, 7, 1)}))
    assert step(DUE, call=evenings) == Wait(at("2026-07-02 19:00"), WaitReason.WINDOW)


endings = st.tuples(st.sampled_from(sorted(POLICIES.calls.spacing)), st.booleans(), st.integers(0, 20))


@given(st.lists(endings, max_size=30), st.integers(0, 600), st.sampled_from([(1,), (1, 2), (1, 2, 3)]))
def test_a_whole_callback_ends_and_never_leaves_its_windows(
    story: Sequence[tuple[Disposition, bool, int]], late: int, numbers: tuple[int, ...]
) -> None:
    """Follow a callback to its end: every call inside the window, properly spaced, and no endless tail."""
    call = replace(CALL, numbers=numbers)
    now, made = DUE + timedelta(minutes=late), list[AttemptFacts]()
    outcomes = iter(story)
    for _ in range(200):
        match decide(call, made, POLICIES, CALENDAR, now):
            case GiveUp():
                break
            case Wait(until=until):
                assert until is not None
                assert until > now
                now = until
            case Dial(number=number, window_end=window_end):
                windows = call_windows(call.plan, POLICIES)
                assert is_open(now, windows, CALENDAR, CENTRE, seasons=POLICIES.seasons)
                assert now < window_end
                assert call.ends_at is not None
                assert now < call.ends_at
                for earlier in made:
                    if earlier.number == number and earlier.ended_at and earlier.disposition:
                        assert now >= earlier.ended_at + POLICIES.calls.spacing[earlier.disposition]
                disposition, rang, minutes = next(outcomes, (D.NO_ANSWER, True, 1))
                made.append(attempt(now + timedelta(minutes=minutes), disposition, number, rang=rang))
                now += timedelta(minutes=minutes)
    else:
        pytest.fail("the callback never ended")


@pytest.mark.parametrize("how", list(Disposition))
def test_what_ends_the_other_contacts_of_a_plan(how: Disposition) -> None:
    table = {
        D.COMPLETED: None,
        D.PARTLY_COMPLETED: None,
        D.NO_ANSWER: None,
        D.BUSY: None,
        D.MACHINE: None,
        D.REFUSED: "plan_refused",
        D.WRONG_NUMBER: "plan_no_number",
        D.ANOTHER_TIME: None,
        D.ESCALATED: None,
        D.OPTED_OUT: "plan_refused",
        D.UNREACHABLE: None,
        D.INVALID_NUMBER: "plan_no_number",
        D.FAILED: None,
        D.CANCELLED: None,
    }
    assert PLAN_ENDS.get(how) == table[how]
