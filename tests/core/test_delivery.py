"""The outbox's state machine: never moved back, the same in any order, resent only where a duplicate is better."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.core.delivery import (
    EMERGENCY_RESENDS,
    TERMINAL,
    TRIES,
    Change,
    Row,
    claimed,
    lease_lost,
    rejected,
    reported,
    sent,
    still_unknown,
    try_later,
    unsure,
)
from bot.core.words import ChannelName, DeliveryState, Purpose, Report, Sent

NOW = datetime(2026, 7, 1, 6, 30, tzinfo=UTC)
LEASE = timedelta(seconds=60)
S = DeliveryState


def row(state: DeliveryState = S.QUEUED, **changes: object) -> Row:
    plain = Row(state=state, purpose=Purpose.REPLY, channel=ChannelName.TELEGRAM)
    return replace(plain, **changes)  # type: ignore[arg-type]


def after(before: Row, change: Change | None) -> Row:
    """The row as the outbox writes the change."""
    if change is None:
        return before
    return replace(
        before,
        state=change.state,
        seq=before.seq if change.seq is None else change.seq,
        attempt=change.attempt or before.attempt,
        provider_id=change.provider_id or before.provider_id,
        not_before=change.not_before or before.not_before,
        lease_until=change.lease_until if change.state is S.SENDING else None,
    )


def report(state: DeliveryState, provider_id: str | None = "P1", sequence: int = 0) -> Report:
    return Report(ChannelName.TELEGRAM, provider_id, delivery_id=1, state=state, sequence=sequence)


SENDING = row(S.SENDING, attempt=1, lease_until=NOW + LEASE)


def test_a_claim_takes_what_is_due_with_a_lease() -> None:
    assert claimed(row(), NOW, NOW, LEASE) == Change(S.SENDING, attempt=1, lease_until=NOW + LEASE)
    assert claimed(row(not_before=NOW), NOW, NOW, LEASE) is not None
    assert claimed(row(not_before=NOW + LEASE), NOW, NOW, LEASE) is None
    assert claimed(SENDING, NOW, NOW, LEASE) is None


def test_what_has_expired_is_not_sent() -> None:
    assert claimed(row(expires_at=NOW), NOW, NOW, LEASE) == Change(S.EXPIRED)


def test_the_answer_of_an_old_attempt_changes_nothing() -> None:
    second = row(S.SENDING, attempt=2)
    assert sent(second, 1, Sent("P1")) is None
    assert rejected(second, 1, "blocked") is None
    assert try_later(second, 1, 5, NOW) is None
    assert unsure(second, 1) is None


def test_an_answer_after_its_report_only_adds_the_providers_id() -> None:
    early = after(SENDING, reported(SENDING, report(S.DELIVERED, provider_id=None)))
    assert sent(early, 1, Sent("P1")) == Change(S.DELIVERED, provider_id="P1")


def test_an_answer_after_its_own_failure_keeps_the_failure() -> None:
    early = after(SENDING, reported(SENDING, report(S.FAILED)))
    assert sent(early, 1, Sent("P1")) == Change(S.FAILED, provider_id="P1")


def test_a_late_failure_of_the_first_attempt_does_not_fail_the_second() -> None:
    second = row(S.SENDING, attempt=2)
    failed = after(second, reported(second, report(S.FAILED, "P1")))
    assert sent(failed, 2, Sent("P2")) == Change(S.ACCEPTED, provider_id="P2")
    accepted = row(S.ACCEPTED, attempt=2, provider_id="P2")
    assert reported(accepted, report(S.FAILED, "P1")) is None
    assert reported(accepted, report(S.DELIVERED, "P1")) is not None


def test_an_answer_that_comes_after_the_lease_still_counts() -> None:
    swept = after(SENDING, lease_lost(SENDING, NOW + LEASE))
    assert swept.state is S.UNKNOWN
    assert sent(swept, 1, Sent("P1")) == Change(S.ACCEPTED, provider_id="P1")


def test_a_lease_that_still_runs_is_left_alone() -> None:
    assert lease_lost(SENDING, NOW) is None


def test_later_means_after_as_many_seconds_as_the_provider_says() -> None:
    assert try_later(SENDING, 1, 30, NOW) == Change(S.QUEUED, not_before=NOW + timedelta(seconds=30))


def test_later_than_its_end_is_never() -> None:
    assert try_later(replace(SENDING, expires_at=NOW + timedelta(seconds=30)), 1, 30, NOW) == Change(S.EXPIRED)


def test_a_row_is_not_put_off_for_ever() -> None:
    change = try_later(row(S.SENDING, attempt=TRIES), TRIES, 1, NOW)
    assert change is not None
    assert change.state is S.FAILED


@pytest.mark.parametrize(
    ("before", "word", "becomes"),
    [
        (S.ACCEPTED, S.FAILED, S.FAILED),
        (S.ACCEPTED, S.DELIVERED, S.DELIVERED),
        (S.DELIVERED, S.READ, S.READ),
        (S.DELIVERED, S.ACCEPTED, None),
        (S.DELIVERED, S.DELIVERED, None),
        (S.DELIVERED, S.FAILED, None),
        (S.FAILED, S.ACCEPTED, None),
        (S.FAILED, S.DELIVERED, S.DELIVERED),  # it arrived after all
        (S.UNKNOWN, S.ACCEPTED, S.ACCEPTED),
        (S.UNKNOWN, S.FAILED, S.FAILED),
        (S.READ, S.FAILED, None),
        (S.ACCEPTED, S.HEARD, S.READ),  # a message is read, a call is heard
        (S.READ, S.HEARD, None),
        (S.CANCELLED, S.DELIVERED, None),
        (S.EXPIRED, S.DELIVERED, None),
        (S.ACCEPTED, S.QUEUED, None),
        (S.ACCEPTED, S.UNKNOWN, None),
    ],
)
def test_what_a_report_makes_of_a_row(
    before: DeliveryState, word: DeliveryState, becomes: DeliveryState | None
) -> None:
    change = reported(row(before, attempt=1, provider_id="P1"), report(word))
    assert (change.state if change else None) is becomes


def test_a_row_never_sent_has_no_reports() -> None:
    assert reported(row(), report(S.DELIVERED)) is None


def test_a_late_proof_stops_a_resend() -> None:
    waiting = row(S.QUEUED, attempt=1)
    change = reported(waiting, report(S.DELIVERED))
    assert change is not None
    assert claimed(after(waiting, change), NOW, NOW, LEASE) is None


@pytest.mark.parametrize(
    ("purpose", "channel", "times"),
    [
        (Purpose.EMERGENCY, ChannelName.VOICE, EMERGENCY_RESENDS),
        (Purpose.EMERGENCY, ChannelName.SMS, EMERGENCY_RESENDS),
        (Purpose.FOLLOW_UP, ChannelName.VOICE, 0),
        (Purpose.REQUESTED_CALLBACK, ChannelName.VOICE, 0),
        (Purpose.MARKETING, ChannelName.SMS, 0),
        (Purpose.REPLY, ChannelName.TELEGRAM, 1),
        (Purpose.REPLY, ChannelName.SMS, 1),
        (Purpose.STAFF_ALERT, ChannelName.VOICE, 1),
    ],
)
def test_how_often_a_row_that_stays_unknown_is_sent_again(purpose: Purpose, channel: ChannelName, times: int) -> None:
    current, resent = row(S.UNKNOWN, purpose=purpose, channel=channel, attempt=1), 0
    while change := still_unknown(current, NOW):
        assert change.state is S.QUEUED
        resent += 1
        current = after(current, change)
        current = after(current, claimed(current, NOW, NOW, LEASE))
        current = after(current, unsure(current, current.attempt))
    assert resent == times
    assert current.state is S.UNKNOWN


def test_an_expired_unknown_is_not_sent_again() -> None:
    assert still_unknown(row(S.UNKNOWN, attempt=1, expires_at=NOW), NOW) is None


words = st.lists(st.builds(report, st.sampled_from(S), st.just("P1"), st.integers(0, 9)), max_size=6)


@given(st.sampled_from([S.SENDING, S.UNKNOWN, S.ACCEPTED, S.QUEUED]), words, st.randoms(use_true_random=False))
def test_reports_end_the_same_in_any_order_and_any_number(
    start: DeliveryState, said: Sequence[Report], chance: random.Random
) -> None:
    def end(order: Sequence[Report]) -> DeliveryState:
        current = row(start, attempt=1, provider_id="P1")
        for word in order:
            current = after(current, reported(current, word))
        return current.state

    shuffled = [*said, *said]
    chance.shuffle(shuffled)
    assert end(shuffled) is end(said)


steps = st.lists(
    st.one_of(
        st.tuples(st.just("report"), st.sampled_from(S), st.sampled_from(["P1", "P2", ""])),
        st.tuples(st.sampled_from(["claim", "sent", "rejected", "later", "unsure", "lost", "still"])),
    ),
    max_size=20,
)


@given(st.sampled_from(Purpose), st.sampled_from(ChannelName), steps)
def test_nothing_leaves_a_terminal_state_and_nothing_proved_is_unproved(
    purpose: Purpose, channel: ChannelName, story: Sequence[tuple[object, ...]]
) -> None:
    current = row(purpose=purpose, channel=channel)
    arrived = False
    for kind, *args in story:
        match kind, args:
            case "report", [DeliveryState() as state, provider_id]:
                change = reported(current, report(state, str(provider_id) or None))
            case "claim", _:
                change = claimed(current, NOW, NOW, LEASE)
            case "sent", _:
                change = sent(current, current.attempt, Sent(f"P{current.attempt}"))
            case "rejected", _:
                change = rejected(current, current.attempt, "no")
            case "later", _:
                change = try_later(current, current.attempt, 1, NOW - timedelta(seconds=1))
            case "unsure", _:
                change = unsure(current, current.attempt)
            case "lost", _:
                change = lease_lost(current, NOW + LEASE)
            case _:
                change = still_unknown(current, NOW)
        if current.state in TERMINAL:
            assert change is None
        current = after(current, change)
        if arrived:
            assert current.state in (S.DELIVERED, S.HEARD, S.READ)
        arrived = arrived or current.state in (S.DELIVERED, S.HEARD, S.READ)


def test_a_call_goes_from_answered_to_heard() -> None:
    call = row(S.DELIVERED, channel=ChannelName.VOICE, attempt=1, provider_id="P1")
    change = reported(call, report(S.HEARD))
    assert change is not None
    assert change.state is S.HEARD
