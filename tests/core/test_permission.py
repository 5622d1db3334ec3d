"""The one gate: its table is total, and each rule means what the requirements say."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.core.permission import (
    EVERY_PURPOSE,
    RULES,
    STOPPED,
    TABLE,
    Allowed,
    Consent,
    ConsentKind,
    Contacted,
    ContactFacts,
    Refused,
    Why,
    may_contact,
    stopped,
)
from bot.core.policy import Seasons, Window
from bot.core.windows import Calendar
from bot.core.words import Cell, ChannelName, Purpose, Rule
from scripts.calendars import calendar_of
from scripts.policies import DEMO, SHIPPED, load_policies

CENTRE = "Asia/Shanghai"
POLICIES = load_policies([SHIPPED, DEMO])
CALENDAR = calendar_of(POLICIES.holidays, 2026)
ANYONE = ContactFacts(zone=CENTRE)
VOICE, SMS, CHAT = ChannelName.VOICE, ChannelName.SMS, ChannelName.TELEGRAM


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(CENTRE))


AFTERNOON, NIGHT, HOLIDAY = at("2026-07-01 15:00"), at("2026-07-01 22:00"), at("2026-10-02 15:00")
WILLING = replace(ANYONE, consents={ConsentKind.MARKETING: Consent(True, at("2026-01-01 10:00"))})


def ask(
    purpose: Purpose, channel: ChannelName = VOICE, facts: ContactFacts = ANYONE, now: datetime = AFTERNOON
) -> Allowed | Refused:
    return may_contact(purpose, channel, facts, POLICIES, CALENDAR, now)


def test_the_table_is_total() -> None:
    assert set(TABLE) == set(Purpose)
    assert set(RULES) == set(Rule)
    assert all(set(cells) == set(Rule) for cells in TABLE.values())


def test_only_an_emergency_overrides() -> None:
    assert {p for p, cells in TABLE.items() if Cell.OVERRIDE in cells.values()} == {Purpose.EMERGENCY}


def test_no_purpose_is_exempt_from_the_drill() -> None:
    assert all(cells[Rule.DRILL] is Cell.APPLIES for cells in TABLE.values())


@pytest.mark.parametrize(
    ("purpose", "channel", "now", "until"),
    [
        (Purpose.FOLLOW_UP, VOICE, NIGHT, "2026-07-02 14:30"),
        (Purpose.FOLLOW_UP, SMS, NIGHT, "2026-07-02 14:30"),
        (Purpose.FOLLOW_UP, VOICE, HOLIDAY, "2026-10-08 14:30"),
        (Purpose.FOLLOW_UP, SMS, HOLIDAY, "2026-10-08 14:30"),
        (Purpose.MARKETING, SMS, HOLIDAY, "2026-10-08 14:30"),
        (Purpose.REQUESTED_CALLBACK, VOICE, NIGHT, "2026-07-02 08:00"),
        (Purpose.SERVICE_NOTICE, SMS, NIGHT, "2026-07-02 08:00"),
        (Purpose.SERVICE_NOTICE, VOICE, at("2026-10-02 07:30"), "2026-10-02 08:00"),
        (Purpose.FOLLOW_UP, VOICE, at("2026-07-01 16:30:00"), "2026-07-01 19:00"),
    ],
)
def test_what_must_wait_and_until_when(purpose: Purpose, channel: ChannelName, now: datetime, until: str) -> None:
    answer = ask(purpose, channel, WILLING, now)
    assert isinstance(answer, Refused)
    assert answer.until == at(until)


@pytest.mark.parametrize(
    ("purpose", "channel", "now"),
    [
        (Purpose.REPLY, CHAT, NIGHT),
        (Purpose.REPLY, SMS, HOLIDAY),
        (Purpose.REQUESTED_CALLBACK, VOICE, HOLIDAY),  # REQ-C05
        (Purpose.SERVICE_NOTICE, SMS, HOLIDAY),
        (Purpose.FOLLOW_UP, VOICE, at("2026-07-01 16:29:59")),
        (Purpose.MARKETING, SMS, AFTERNOON),
        (Purpose.STAFF_ALERT, VOICE, NIGHT),
    ],
)
def test_what_goes_out(purpose: Purpose, channel: ChannelName, now: datetime) -> None:
    assert ask(purpose, channel, WILLING, now) == Allowed()


def test_stop_ends_marketing_and_follow_up_and_nothing_else() -> None:
    stopped = replace(WILLING, do_not_contact=STOPPED)
    refused = {p for p in Purpose if isinstance(ask(p, SMS, stopped), Refused)}
    assert refused == {Purpose.MARKETING, Purpose.FOLLOW_UP}
    assert ask(Purpose.FOLLOW_UP, SMS, stopped) == Refused(Rule.DO_NOT_CONTACT, Why.OPTED_OUT, None)


@pytest.mark.parametrize(
    ("scopes", "channel", "ended"),
    [
        ({"all"}, ChannelName.VOICE, {Purpose.MARKETING, Purpose.FOLLOW_UP}),
        ({"all"}, ChannelName.TELEGRAM, {Purpose.MARKETING, Purpose.FOLLOW_UP}),
        ({"sms"}, ChannelName.SMS, {Purpose.MARKETING, Purpose.FOLLOW_UP}),
        ({"sms"}, ChannelName.VOICE, set()),
        ({"calls", "marketing"}, ChannelName.SMS, {Purpose.MARKETING}),
        ({"follow_up"}, ChannelName.VOICE, {Purpose.FOLLOW_UP}),
        ({"recording", "emergency", "service_notice"}, ChannelName.VOICE, set()),
    ],
)
def test_what_a_withdrawn_scope_ends(scopes: set[str], channel: ChannelName, ended: set[Purpose]) -> None:
    assert stopped(scopes, channel) == ended


def test_a_stop_to_everything_leaves_replies_emergencies_and_staff() -> None:
    silent = replace(WILLING, do_not_contact=EVERY_PURPOSE)
    allowed = {p for p in Purpose if isinstance(ask(p, SMS, silent), Allowed)}
    assert allowed == {Purpose.REPLY, Purpose.EMERGENCY, Purpose.STAFF_ALERT}


def test_an_emergency_passes_what_stands_against_it_and_says_which() -> None:
    called = tuple(Contacted(NIGHT - timedelta(minutes=n), VOICE, Purpose.EMERGENCY) for n in range(3))
    facts = replace(ANYONE, do_not_contact=EVERY_PURPOSE, recent_contacts=called)
    assert ask(Purpose.EMERGENCY, VOICE, facts, NIGHT) == Allowed(
        (Rule.DO_NOT_CONTACT, Rule.QUIET_HOURS, Rule.FREQUENCY)
    )
    assert ask(Purpose.EMERGENCY, SMS, ANYONE) == Allowed()


@pytest.mark.parametrize("purpose", Purpose)
def test_a_drill_never_touches_a_customer(purpose: Purpose) -> None:
    drill = replace(WILLING, drill=True)
    assert ask(purpose, SMS, drill) == Refused(Rule.DRILL, Why.DRILL, None)
    assert isinstance(ask(purpose, SMS, replace(drill, test_address=True)), Allowed)


def test_marketing_wants_a_yes_and_a_follow_up_only_no_no() -> None:
    no = {kind: Consent(False, at("2026-01-01 10:00")) for kind in ConsentKind}
    assert ask(Purpose.MARKETING, SMS) == Refused(Rule.CONSENT, Why.NO_CONSENT, None)
    assert ask(Purpose.MARKETING, SMS, replace(ANYONE, consents=no)) == Refused(
        Rule.CONSENT, Why.CONSENT_WITHDRAWN, None
    )
    assert ask(Purpose.FOLLOW_UP) == Allowed()
    assert ask(Purpose.FOLLOW_UP, VOICE, replace(ANYONE, consents=no)) == Refused(
        Rule.CONSENT, Why.CONSENT_WITHDRAWN, None
    )
    assert ask(Purpose.REQUESTED_CALLBACK, VOICE, replace(ANYONE, consents=no)) == Allowed()


def calls(*minutes_ago: float, purpose: Purpose = Purpose.SERVICE_NOTICE) -> ContactFacts:
    recent = tuple(Contacted(AFTERNOON - timedelta(minutes=m), VOICE, purpose) for m in minutes_ago)
    return replace(WILLING, recent_contacts=recent)


def test_three_calls_in_five_minutes_are_enough() -> None:
    assert ask(Purpose.REQUESTED_CALLBACK, VOICE, calls(1, 4)) == Allowed()
    assert ask(Purpose.REQUESTED_CALLBACK, VOICE, calls(1, 2, 5)) == Allowed()  # the third is out just now
    answer = ask(Purpose.REQUESTED_CALLBACK, VOICE, calls(1, 2, 4))
    assert answer == Refused(Rule.FREQUENCY, Why.TOO_OFTEN, AFTERNOON + timedelta(minutes=1))


def test_five_calls_in_a_day_are_enough() -> None:
    hours = [n * 60.0 for n in (1, 2, 3, 4, 23)]
    answer = ask(Purpose.REQUESTED_CALLBACK, VOICE, calls(*hours))
    assert answer == Refused(Rule.FREQUENCY, Why.TOO_OFTEN, AFTERNOON + timedelta(hours=1))
    assert ask(Purpose.REQUESTED_CALLBACK, SMS, calls(*hours)) == Allowed()


def test_a_full_cap_and_a_closed_window_are_both_waited_for() -> None:
    answer = ask(Purpose.FOLLOW_UP, VOICE, calls(2, 3, 4), AFTERNOON + timedelta(minutes=89))
    assert answer == Allowed()
    late = AFTERNOON + timedelta(minutes=90)
    assert ask(Purpose.FOLLOW_UP, VOICE, calls(2), late) == Refused(
        Rule.WINDOW, Why.OUTSIDE_WINDOW, at("2026-07-01 19:00")
    )


def test_follow_ups_have_a_cap_of_their_own_on_any_channel() -> None:
    answer = ask(Purpose.FOLLOW_UP, CHAT, calls(60, 120, 180, purpose=Purpose.MARKETING))
    assert isinstance(answer, Refused)
    assert (answer.rule, answer.until) == (Rule.FREQUENCY, at("2026-07-02 14:30"))


def test_a_plan_brings_its_own_windows() -> None:
    evening = ("evening",)
    refused = may_contact(Purpose.FOLLOW_UP, VOICE, ANYONE, POLICIES, CALENDAR, AFTERNOON, windows=evening)
    assert refused == Refused(Rule.WINDOW, Why.OUTSIDE_WINDOW, at("2026-07-01 19:00"))


def test_a_persons_own_hours_narrow_the_day() -> None:
    mornings = replace(ANYONE, hours=Window(time(9), time(11)))
    assert ask(Purpose.REQUESTED_CALLBACK, VOICE, mornings) == Refused(
        Rule.WINDOW, Why.OUTSIDE_WINDOW, at("2026-07-02 09:00")
    )
    assert ask(Purpose.REPLY, CHAT, mornings) == Allowed()


def test_a_blocked_day_and_an_end_date() -> None:
    blocked = replace(ANYONE, blocked=frozenset({date(2026, 7, 1)}))
    assert ask(Purpose.FOLLOW_UP, VOICE, blocked) == Refused(Rule.WINDOW, Why.BLOCKED_DAY, at("2026-07-02 14:30"))
    ended = replace(ANYONE, not_after=AFTERNOON)
    assert ask(Purpose.FOLLOW_UP, VOICE, ended) == Refused(Rule.WINDOW, Why.OUTSIDE_WINDOW, None)


@pytest.mark.parametrize(
    ("purpose", "until"),
    [
        (Purpose.FOLLOW_UP, "2026-07-02 14:30"),
        (Purpose.MARKETING, "2026-07-02 14:30"),
        (Purpose.REQUESTED_CALLBACK, "2026-07-02 08:00"),
        (Purpose.SERVICE_NOTICE, None),
        (Purpose.EMERGENCY, None),
        (Purpose.REPLY, None),
    ],
)
def test_a_day_the_centre_calls_nobody_on(purpose: Purpose, until: str | None) -> None:
    calendar = replace(CALENDAR, blocked=frozenset({date(2026, 7, 1)}))
    answer = may_contact(purpose, VOICE, WILLING, POLICIES, calendar, AFTERNOON)
    assert answer == (Refused(Rule.WINDOW, Why.BLOCKED_DAY, at(until)) if until else Allowed())


@pytest.mark.parametrize("purpose", Purpose)
def test_nobody_is_rung_on_a_second_telephone_while_we_talk(purpose: Purpose) -> None:
    answer = ask(purpose, VOICE, replace(WILLING, on_the_phone=True))
    if purpose in (Purpose.REPLY, Purpose.STAFF_ALERT):
        assert answer == Allowed()
    else:
        soon = AFTERNOON + POLICIES.calls.between_numbers
        assert answer == Refused(Rule.ONE_CALL, Why.ON_THE_PHONE, soon)
    assert ask(purpose, SMS, replace(WILLING, on_the_phone=True)) == Allowed()


def test_calls_nobody_answered_count_for_the_carriers_caps_alone() -> None:
    rang = tuple(
        Contacted(AFTERNOON - timedelta(minutes=m), VOICE, Purpose.FOLLOW_UP, reached=False) for m in (1, 2, 4)
    )
    facts = replace(WILLING, recent_contacts=rang)
    assert ask(Purpose.FOLLOW_UP, VOICE, facts) == Refused(
        Rule.FREQUENCY, Why.TOO_OFTEN, AFTERNOON + timedelta(minutes=1)
    )
    assert ask(Purpose.FOLLOW_UP, SMS, facts) == Allowed()  # the one message after the last attempt (REQ-C19)


def test_a_key_account_is_called_back_outside_the_windows_but_not_at_night() -> None:
    hours = replace(POLICIES.hours, windows={**POLICIES.hours.windows, "requested": POLICIES.hours.windows["outbound"]})
    policies, early = replace(POLICIES, hours=hours), at("2026-07-01 12:00")
    key_account = replace(ANYONE, segments=frozenset({"key_account"}))

    def asked(facts: ContactFacts, now: datetime) -> Allowed | Refused:
        return may_contact(Purpose.REQUESTED_CALLBACK, VOICE, facts, policies, CALENDAR, now)

    assert isinstance(asked(ANYONE, early), Refused)
    assert asked(key_account, early) == Allowed()
    assert asked(key_account, NIGHT) == Refused(Rule.QUIET_HOURS, Why.NIGHT, at("2026-07-02 08:00"))


def test_the_night_is_that_of_the_person() -> None:
    berlin = replace(ANYONE, zone="Europe/Berlin")
    answer = ask(Purpose.SERVICE_NOTICE, SMS, berlin, at("2026-07-01 10:00"))
    assert answer == Refused(Rule.QUIET_HOURS, Why.NIGHT, at("2026-07-01 14:00"))


def test_without_season_dates_a_follow_up_is_refused_with_a_reason() -> None:
    unset = replace(POLICIES, seasons=Seasons(summer_start=None, winter_start=None))
    answer = may_contact(Purpose.FOLLOW_UP, VOICE, ANYONE, unset, CALENDAR, AFTERNOON)
    assert answer == Refused(Rule.WINDOW, Why.SEASONS_UNSET, None)


moments = st.integers(0, 365 * 24 * 60).map(lambda n: datetime(2026, 1, 1, tzinfo=UTC) + timedelta(minutes=n))
people = st.builds(
    ContactFacts,
    zone=st.sampled_from([CENTRE, "America/New_York"]),
    do_not_contact=st.frozensets(st.sampled_from(Purpose), max_size=2),
    recent_contacts=st.lists(
        st.builds(Contacted, moments, st.sampled_from([VOICE, SMS]), st.sampled_from(Purpose)), max_size=6
    ).map(tuple),
)


@given(st.sampled_from(Purpose), st.sampled_from([VOICE, SMS, CHAT]), people, moments)
def test_waiting_until_the_time_given_is_enough(
    purpose: Purpose, channel: ChannelName, facts: ContactFacts, now: datetime
) -> None:
    answer = may_contact(purpose, channel, facts, POLICIES, CALENDAR, now)
    if isinstance(answer, Refused) and answer.until:
        assert answer.until > now
        past = tuple(c for c in facts.recent_contacts if c.at <= now)  # nothing more happens meanwhile
        later = replace(facts, recent_contacts=past)
        assert may_contact(purpose, channel, later, POLICIES, CALENDAR, answer.until) == Allowed()


@given(people, moments)
def test_a_reply_always_goes_out(facts: ContactFacts, now: datetime) -> None:
    assert may_contact(Purpose.REPLY, CHAT, facts, POLICIES, Calendar(), now) == Allowed()
