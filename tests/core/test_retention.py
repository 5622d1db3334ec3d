"""How long a record is kept: as the longest it hangs with, never less, never while held (REQ-G01)."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.core.policy import RecordKind, Retention, RetentionClass
from bot.core.retention import LENGTHS, Part, Why, class_of, earliest, judge, may_go, period_of
from scripts.policies import SHIPPED, load_policies

K, C = RecordKind, RetentionClass
SHIPPED_RETENTION = load_policies([SHIPPED]).retention
DAY = timedelta(days=1)
RETENTION = replace(SHIPPED_RETENTION, short=3 * DAY, long=10 * DAY)
AT = datetime(2026, 7, 1, tzinfo=UTC)


def test_the_suggested_classes() -> None:
    """REQ-G01: incident, complaint and review long or permanent; follow-up, satisfaction, drill long; chats short."""
    assert {kind: class_of(kind, SHIPPED_RETENTION) for kind in K} == {
        K.INCIDENT: C.PERMANENT,
        K.REVIEW: C.PERMANENT,
        K.DRILL: C.LONG,
        K.COMPLAINT: C.LONG,
        K.CASE: C.LONG,
        K.FOLLOW_UP: C.LONG,
        K.SATISFACTION: C.LONG,
        K.TRANSCRIPT: C.SHORT,
        K.RECORDING: C.SHORT,
        K.BY_HAND: C.LONG,
        K.REPORTED: C.SHORT,
        K.EVENT: C.LONG,
        K.HAND_OVER: C.SHORT,
        K.SHIFT: C.SHORT,
        K.SEAT_LEAVE: C.SHORT,
        K.SURGE: C.LONG,
        K.PROPOSAL: C.SHORT,
        K.ALERT: C.SHORT,
        K.IMPORT: C.SHORT,
        K.LOOK: C.LONG,
        K.EXPORT: C.LONG,
    }
    assert SHIPPED_RETENTION.loan == 7 * DAY  # REQ-G07
    assert SHIPPED_RETENTION.long is None


def ended(kind: RecordKind, days: float | None) -> Part:
    return Part(kind, AT + days * DAY if days is not None else None)


@pytest.mark.parametrize(
    ("own", "linked", "held", "cls", "due", "why"),
    [
        (ended(K.TRANSCRIPT, 0), [], False, C.SHORT, 3, Why.OWN),
        (ended(K.RECORDING, 0), [], False, C.SHORT, 3, Why.OWN),
        (ended(K.COMPLAINT, 0), [], False, C.LONG, 10, Why.OWN),
        (ended(K.TRANSCRIPT, 0), [ended(K.COMPLAINT, 2)], False, C.LONG, 12, Why.LINKED),
        (ended(K.RECORDING, 5), [ended(K.CASE, 2)], False, C.LONG, 15, Why.LINKED),
        (ended(K.TRANSCRIPT, 0), [ended(K.RECORDING, 1)], False, C.SHORT, 4, Why.OWN),
        (ended(K.TRANSCRIPT, 0), [ended(K.COMPLAINT, None)], False, C.LONG, None, Why.GOES_ON),
        (ended(K.TRANSCRIPT, None), [], False, C.SHORT, None, Why.GOES_ON),
        (ended(K.TRANSCRIPT, 0), [ended(K.INCIDENT, 0)], False, C.PERMANENT, None, Why.PERMANENT),
        (ended(K.INCIDENT, 0), [], False, C.PERMANENT, None, Why.PERMANENT),
        (ended(K.DRILL, 0), [], False, C.LONG, 10, Why.OWN),
        (ended(K.TRANSCRIPT, 0), [], True, C.SHORT, None, Why.HELD),
        (ended(K.INCIDENT, 0), [], True, C.PERMANENT, None, Why.HELD),
    ],
)
def test_what_becomes_of_a_record(
    own: Part, linked: list[Part], held: bool, cls: RetentionClass, due: float | None, why: Why
) -> None:
    found = judge(own, linked, RETENTION, held=held)
    assert (found.cls, found.why) == (cls, why)
    assert found.due == (AT + due * DAY if due is not None else None)


def test_a_class_without_a_period_is_never_due() -> None:
    found = judge(ended(K.COMPLAINT, -5000), [], replace(RETENTION, long=None), held=False)
    assert (found.due, found.why, found.since) == (None, Why.UNSET, AT - 5000 * DAY)
    assert not may_go(found, AT)


def test_an_incident_is_kept_as_long_as_its_review() -> None:
    classes = {**RETENTION.classes, K.INCIDENT: C.LONG}
    assert class_of(K.INCIDENT, replace(RETENTION, classes=classes)) is C.PERMANENT


moments = st.none() | st.integers(-4000, 4000).map(lambda days: AT + days * DAY)
parts = st.builds(Part, st.sampled_from(K), moments)
periods = st.integers(1, 2000).map(lambda days: days * DAY)
retentions = st.builds(
    lambda short, long, classes: replace(RETENTION, short=short, long=long, classes=classes),
    periods,
    st.none() | periods,
    st.fixed_dictionaries({kind: st.sampled_from(C) for kind in K}),
)


@given(parts, st.lists(parts, max_size=4), retentions, moments.filter(bool))
def test_nothing_under_a_hold_is_ever_due(own: Part, linked: list[Part], retention: Retention, now: datetime) -> None:
    found = judge(own, linked, retention, held=True)
    assert (found.due, found.why) == (None, Why.HELD)
    assert not may_go(found, now)


@given(parts, st.lists(parts, max_size=4), retentions, moments.filter(bool))
def test_nothing_goes_before_its_date(own: Part, linked: list[Part], retention: Retention, now: datetime) -> None:
    """Each that hangs together is over, is of no longer class, and has had the whole period."""
    found = judge(own, linked, retention, held=False)
    if not may_go(found, now):
        return
    period = period_of(found.cls, retention)
    assert period is not None
    for each in (own, *linked):
        assert each.ended_at is not None
        assert each.ended_at + period <= now
        assert LENGTHS.index(class_of(each.kind, retention)) <= LENGTHS.index(found.cls)


@given(parts, st.lists(parts, max_size=4), parts, retentions)
def test_a_further_link_never_weakens_the_class(
    own: Part, linked: list[Part], more: Part, retention: Retention
) -> None:
    before, after = (judge(own, found, retention, held=False) for found in (linked, [*linked, more]))
    assert LENGTHS.index(after.cls) >= LENGTHS.index(before.cls)
    if before.why is Why.GOES_ON:
        assert after.due is None


@given(parts, st.lists(parts, max_size=4), retentions, moments.filter(bool))
def test_the_first_look_leaves_nothing_out(own: Part, linked: list[Part], retention: Retention, now: datetime) -> None:
    """Whatever may go ended before `earliest`, where the longer class has the longer period."""
    found = judge(own, linked, retention, held=False)
    if may_go(found, now) and (retention.long is None or retention.long >= retention.short):
        edge = earliest(own.kind, retention, now)
        assert edge is not None
        assert own.ended_at is not None
        assert own.ended_at <= edge
