"""The arithmetic of an announcement, and each person's ladder of channels."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.core.broadcast import (
    Silent,
    Told,
    Tried,
    Try,
    Wait,
    answered,
    cost,
    first_channels,
    moved,
    next_step,
    outcome_of,
    sms_segments,
    tally,
    there_at,
    time_to_finish,
    units,
)
from bot.core.words import ChannelName, DeliveryState, Outcome, Reach
from scripts.policies import SHIPPED, load_policies

POLICIES = load_policies([SHIPPED])
POLICY = POLICIES.broadcast
NOW = datetime(2026, 7, 1, 6, 0, tzinfo=UTC)
END = NOW + POLICY.expires_after
WEB, TELEGRAM, SMS, VOICE = ChannelName.WEBCHAT, ChannelName.TELEGRAM, ChannelName.SMS, ChannelName.VOICE
S = DeliveryState


@pytest.mark.parametrize(
    ("text", "segments"),
    [
        ("", 1),
        ("a" * 160, 1),
        ("a" * 161, 2),
        ("a" * 306, 2),
        ("a" * 307, 3),
        ("€" * 80, 1),
        ("€" * 81, 2),
        ("a" * 152 + "€" + "a" * 152, 3),  # the euro sign does not fit the first part, nor the rest the second
        ("暖" * 70, 1),
        ("暖" * 71, 2),
        ("暖" * 130, 2),
        ("暖" * 134, 2),
        ("暖" * 135, 3),
        ("a" * 69 + "暖", 1),
        ("a" * 70 + "暖", 2),
        ("😀" * 35, 1),
        ("😀" * 36, 2),
        ("😀" * 66, 2),  # 33 in each part: no emoji is cut in two
        ("😀" * 67, 3),
        ("ç", 1),
        ("ç" * 71, 2),  # small c with cedilla is not in the alphabet, the capital is
        ("Ç" * 71, 1),
    ],
)
def test_sms_segments(text: str, segments: int) -> None:
    assert sms_segments(text) == segments


def test_ten_thousand_chinese_notices_take_more_than_five_hours() -> None:
    counts = units({SMS: 10_000, WEB: 300}, "停暖通知" * 32 + "谢谢")
    assert counts == {SMS: 20_000, WEB: 300}
    assert time_to_finish(counts, POLICIES.rates) == timedelta(seconds=20_000)
    assert round(time_to_finish(counts, POLICIES.rates) / timedelta(hours=1), 1) == 5.6
    assert cost(counts, POLICIES.rates) == Decimal("1000.00")


def test_nobody_takes_no_time() -> None:
    assert time_to_finish({SMS: 0}, POLICIES.rates) == time_to_finish({}, POLICIES.rates) == timedelta(0)


def test_the_preview_counts_first_channels_and_the_unreachable() -> None:
    audience = [
        (Reach(1, SMS), Reach(2, TELEGRAM)),
        (Reach(3, VOICE),),
        (Reach(4, SMS, reachable=False),),
        (),
    ]
    first, unreachable = first_channels(audience, POLICY)
    assert (first, unreachable) == ({WEB: 0, TELEGRAM: 1, SMS: 0, VOICE: 1}, 2)


@pytest.mark.parametrize(
    ("deliveries", "acknowledged", "reachable", "outcome"),
    [
        ((), False, True, Outcome.PENDING),
        ((), False, False, Outcome.UNREACHABLE),
        ((S.QUEUED,), False, True, Outcome.PENDING),
        ((S.FAILED, S.QUEUED), False, True, Outcome.PENDING),
        ((S.FAILED, S.SENDING), False, True, Outcome.SENDING),
        ((S.ACCEPTED, S.QUEUED), False, True, Outcome.ACCEPTED),
        ((S.DELIVERED, S.FAILED), False, True, Outcome.DELIVERED),
        ((S.DELIVERED, S.HEARD), False, True, Outcome.HEARD),
        ((S.UNKNOWN, S.FAILED), False, True, Outcome.UNKNOWN),
        ((S.FAILED, S.FAILED), False, False, Outcome.FAILED),
        ((S.EXPIRED,), False, True, Outcome.EXPIRED),
        ((S.CANCELLED,), False, True, Outcome.CANCELLED),
        ((S.DELIVERED, S.CANCELLED), True, True, Outcome.ACKNOWLEDGED),
    ],
)
def test_a_recipient_has_one_outcome(
    deliveries: Sequence[DeliveryState], acknowledged: bool, reachable: bool, outcome: Outcome
) -> None:
    for order in itertools.permutations(deliveries):
        assert outcome_of(order, acknowledged=acknowledged, reachable=reachable) is outcome


@given(st.lists(st.sampled_from(Outcome), min_size=1), st.lists(st.tuples(st.integers(0), st.sampled_from(Outcome))))
def test_outcomes_always_sum_to_the_audience(
    audience: Sequence[Outcome], changes: Sequence[tuple[int, Outcome]]
) -> None:
    people, counts = list(audience), tally(audience)
    for who, after in changes:
        before, people[who % len(people)] = people[who % len(people)], after
        counts = moved(counts, before, after)
        assert sum(counts.values()) == len(people)
    assert counts == tally(people)


def test_an_outcome_nobody_has_cannot_be_left() -> None:
    with pytest.raises(ValueError, match="no recipient is pending"):
        moved(tally([Outcome.FAILED]), Outcome.PENDING, Outcome.SENDING)


PERSON = (Reach(1, SMS), Reach(2, VOICE), Reach(3, TELEGRAM), Reach(4, SMS))


def ahead(*tried: Tried, now: datetime = NOW, settled: bool = False) -> Try | Wait | Silent:
    return next_step(PERSON, tried, POLICY, now, expires_at=END, settled=settled)


def test_channels_in_the_policys_order_each_with_its_wait() -> None:
    assert ahead() == Try(3, TELEGRAM)
    chat = Tried(3, TELEGRAM, NOW, S.DELIVERED)
    assert ahead(chat) == Wait(NOW + timedelta(minutes=5))
    later = NOW + timedelta(minutes=5)
    assert ahead(chat, now=later) == Try(1, SMS)
    sms = Tried(1, SMS, later, S.ACCEPTED)
    assert ahead(chat, sms, now=later) == Wait(later + timedelta(minutes=15))


def test_a_failure_is_not_waited_for_and_the_next_address_tried() -> None:
    chat, sms = Tried(3, TELEGRAM, NOW, S.FAILED), Tried(1, SMS, NOW, S.FAILED)
    assert ahead(chat) == Try(1, SMS)
    assert ahead(chat, sms) == Try(4, SMS)


def test_what_is_still_being_sent_is_left_to_finish() -> None:
    assert ahead(Tried(3, TELEGRAM, NOW, S.QUEUED), now=NOW + timedelta(hours=1)) == Wait(None)


def test_acknowledged_or_stopped_there_is_nothing_more() -> None:
    assert ahead(Tried(3, TELEGRAM, NOW, S.DELIVERED), now=END, settled=True) == Wait(None)


def test_the_silent_go_to_staff() -> None:
    order = ((3, TELEGRAM), (1, SMS), (4, SMS), (2, VOICE))
    late = NOW + timedelta(hours=2)
    assert ahead(*(Tried(a, c, NOW, S.FAILED) for a, c in order), now=late) is Silent.UNREACHABLE
    assert ahead(*(Tried(a, c, NOW, S.DELIVERED) for a, c in order), now=late) is Silent.UNACKNOWLEDGED


def test_nothing_new_is_begun_after_the_end() -> None:
    assert ahead(now=END) is Silent.UNREACHABLE
    assert ahead(Tried(3, TELEGRAM, NOW, S.DELIVERED), now=END) is Silent.UNACKNOWLEDGED


@given(st.lists(st.sampled_from([S.FAILED, S.DELIVERED, S.UNKNOWN, S.EXPIRED]), min_size=4, max_size=4))
def test_every_address_is_tried_once_and_then_it_ends(results: Sequence[DeliveryState]) -> None:
    now, tried = NOW, list[Tried]()
    for _ in range(20):
        match next_step(PERSON, tried, POLICY, now, expires_at=END):
            case Try(address_id=address_id, channel=channel):
                tried.append(Tried(address_id, channel, now, results[len(tried)]))
            case Wait(until=until):
                assert until is not None
                now = until
            case Silent():
                break
    assert sorted(each.address_id for each in tried) == [1, 2, 3, 4]


# ── an answer ────────────────────────────────────────────────────────────────────────────────────────────────────────

AT = datetime(2026, 7, 1, 10, 0, tzinfo=UTC)


def told(broadcast_id: int, left: float, there: float | None, expires: float = 1440, known: bool = False) -> Told:
    """Minutes before and after the answer."""
    there_at = AT + timedelta(minutes=there) if there is not None else None
    return Told(broadcast_id, AT + timedelta(minutes=left), there_at, AT + timedelta(minutes=expires), known)


@pytest.mark.parametrize(
    ("sent", "named", "means"),
    [
        pytest.param([], None, set(), id="nothing was sent"),
        pytest.param([told(1, -5, -5)], None, {1}, id="the only one"),
        pytest.param([told(1, -5, -5), told(2, -3, -2)], None, {1, 2}, id="both that were there"),
        pytest.param([told(1, -5, -5), told(2, 1, 1)], None, {1}, id="not what left after the answer"),
        pytest.param([told(1, -5, -5), told(2, -1, 1)], None, {1}, id="not what came after the answer"),
        pytest.param([told(1, -5, -5), told(2, -1, None)], None, {1}, id="not what may never have come"),
        pytest.param([told(1, -5, -5, known=True), told(2, -3, -2)], None, {2}, id="the one that is unanswered"),
        pytest.param([told(1, -5, -5, expires=-1), told(2, -3, -2)], None, {2}, id="the one that is not expired"),
        pytest.param([told(1, -5, -5, expires=-1)], None, {1}, id="an expired one, where nothing else can be meant"),
        pytest.param([told(1, -2, None), told(2, -1, None)], None, {1}, id="what left first, where nothing is proven"),
        pytest.param([told(1, 1, 1)], None, set(), id="an answer from before the announcement"),
        pytest.param([told(1, -5, -5), told(2, -3, -2)], 1, {1}, id="an older one's button is its own"),
        pytest.param([told(1, -5, -5), told(2, -3, None)], 2, {2}, id="a button proves that it came"),
        pytest.param([told(1, -5, -5, expires=-1), told(2, -3, -2)], 1, {1}, id="an expired one's button"),
        pytest.param([told(1, -5, -5)], 9, set(), id="a button of somebody else's announcement"),
        pytest.param([told(1, -5, -5, known=True), told(2, -3, -2)], 1, set(), id="pressed again it means no other"),
    ],
)
def test_what_an_answer_acknowledges(sent: list[Told], named: int | None, means: set[int]) -> None:
    assert answered(sent, AT, named) == means


@given(
    sent=st.lists(
        st.tuples(st.integers(-60, 60), st.none() | st.integers(0, 30), st.integers(-30, 90), st.booleans()),
        max_size=6,
    ),
    named=st.none() | st.integers(0, 7),
)
def test_no_answer_claims_what_came_later(sent: list[tuple[int, int | None, int, bool]], named: int | None) -> None:
    rows = [
        told(number, left, left + after if after is not None else None, expires, known)
        for number, (left, after, expires, known) in enumerate(sent)
    ]
    means = answered(rows, AT, named)
    for each in rows:
        if each.broadcast_id in means:
            assert not each.acknowledged
            assert each.left_at <= AT
        elif named is None and each.there_at is not None and each.there_at <= AT < each.expires_at:
            assert each.acknowledged, "it was there, and they answered"
    if named is not None:
        assert means <= {named}
    elif len(means) > 1:
        assert all(each.there_at is not None and each.there_at <= AT for each in rows if each.broadcast_id in means)
    assert not answered([replace(each, acknowledged=True) for each in rows], AT, named)


@pytest.mark.parametrize(
    ("state", "changed", "receipts", "shown", "there"),
    [
        pytest.param(DeliveryState.ACCEPTED, 0, False, False, 0, id="a provider that tells no more: when it took it"),
        pytest.param(DeliveryState.ACCEPTED, 0, True, False, 60, id="no receipt yet: a minute after it took it"),
        pytest.param(DeliveryState.DELIVERED, 5, True, False, 5, id="by its receipt"),
        pytest.param(DeliveryState.DELIVERED, 900, True, False, 60, id="by a receipt that came late"),
        pytest.param(DeliveryState.READ, 900, True, False, 60, id="read much later"),
        pytest.param(DeliveryState.ACCEPTED, 0, False, True, None, id="on our page, which has not shown it"),
        pytest.param(DeliveryState.DELIVERED, 900, False, True, 900, id="on our page, when it showed it"),
        pytest.param(DeliveryState.UNKNOWN, 10, True, False, None, id="nobody knows"),
        pytest.param(DeliveryState.FAILED, 10, True, False, None, id="it did not arrive"),
    ],
)
def test_when_a_delivery_is_taken_to_be_there(
    state: DeliveryState, changed: int, receipts: bool, shown: bool, there: int | None
) -> None:
    found = there_at(state, AT, AT + timedelta(seconds=changed), receipts=receipts, shown=shown)
    assert found == (AT + timedelta(seconds=there) if there is not None else None)
