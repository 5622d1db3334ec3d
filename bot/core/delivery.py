"""The outbox's state machine: what a claim, an answer, a provider's report or silence makes of a row (DESIGN §4).

Every function takes a row as it is and says what changes, or None where nothing does: a stale, late or repeated word is
simply None. Reports may come in any order: a row's state is the furthest any of them proves, so the order does not
matter. Proof that it arrived beats a failure; nothing moves a row that is heard, read, expired or cancelled.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from bot.core.words import ChannelName, DeliveryState, Purpose, Report, Sent

TERMINAL = frozenset({DeliveryState.HEARD, DeliveryState.READ, DeliveryState.EXPIRED, DeliveryState.CANCELLED})
IN_FLIGHT = frozenset({DeliveryState.SENDING})  # what holds a lane: an unknown row does not hold it for ever

# How far each state is along the way; a report moves a row only further.
RANK = {
    DeliveryState.QUEUED: 0,
    DeliveryState.SENDING: 1,
    DeliveryState.UNKNOWN: 1,
    DeliveryState.ACCEPTED: 2,
    DeliveryState.FAILED: 3,
    DeliveryState.DELIVERED: 4,
    DeliveryState.HEARD: 5,
    DeliveryState.READ: 5,
}
REPORTABLE = frozenset(RANK) - {DeliveryState.QUEUED, DeliveryState.SENDING, DeliveryState.UNKNOWN}

TRIES = 50  # of one row that a provider keeps putting off
EMERGENCY_RESENDS = 3
NOT_CARRIED = "not_carried"  # why a message with a file failed, where its link may still arrive


@dataclass(frozen=True, slots=True)
class Row:
    """What the state machine needs of a delivery. Times are machine time except `not_before` and `expires_at`.

    `attempt` counts claims; 0 was never claimed. `provider_id` is that of the attempt last known to the provider.
    """

    state: DeliveryState
    purpose: Purpose
    channel: ChannelName
    attempt: int = 0
    seq: int = 0
    provider_id: str | None = None
    not_before: datetime | None = None
    expires_at: datetime | None = None
    lease_until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Change:
    """The row's next state and what else changes; None leaves a field as it is. A lease ends with SENDING,
    but an UNKNOWN row keeps when that was: from there the provider is asked."""

    state: DeliveryState
    not_before: datetime | None = None
    error: str | None = None
    seq: int | None = None
    provider_id: str | None = None
    attempt: int | None = None
    lease_until: datetime | None = None


def claimed(row: Row, now: datetime, machine_now: datetime, lease: timedelta) -> Change | None:
    """A worker takes the row. `now` is domain time, the lease runs on machine time. None: not its turn."""
    if row.state is not DeliveryState.QUEUED:
        return None
    if _expired(row, now):
        return Change(DeliveryState.EXPIRED)
    if row.not_before and row.not_before > now:
        return None
    return Change(DeliveryState.SENDING, attempt=row.attempt + 1, lease_until=machine_now + lease)


def sent(row: Row, attempt: int, answer: Sent) -> Change | None:
    """The provider took this attempt, perhaps after a report on it came in or its lease ran out."""
    if attempt != row.attempt or row.state in TERMINAL or row.state is DeliveryState.QUEUED:
        return None
    state = answer.state if answer.state in REPORTABLE else DeliveryState.ACCEPTED
    reported_of_another = row.state is DeliveryState.FAILED and row.provider_id != answer.provider_id
    if RANK[row.state] > RANK[state] and not reported_of_another:
        state = row.state
    return Change(state, provider_id=answer.provider_id)


def rejected(row: Row, attempt: int, reason: str) -> Change | None:
    """The provider refuses this attempt for good."""
    return Change(DeliveryState.FAILED, error=reason) if _awaits(row, attempt) else None


def try_later(row: Row, attempt: int, after: float, now: datetime) -> Change | None:
    """Nothing was sent; again in `after` seconds, unless it expires first or was put off too often."""
    if not _awaits(row, attempt):
        return None
    not_before = now + timedelta(seconds=max(after, 0.0))
    if row.expires_at and not_before >= row.expires_at:
        return Change(DeliveryState.EXPIRED)
    if attempt >= TRIES:
        return Change(DeliveryState.FAILED, error="put off too often")
    return Change(DeliveryState.QUEUED, not_before=not_before)


def unsure(row: Row, attempt: int) -> Change | None:
    """The answer was lost: it may or may not have gone out."""
    sending = row.state is DeliveryState.SENDING and row.attempt == attempt
    return Change(DeliveryState.UNKNOWN, lease_until=row.lease_until) if sending else None


def reported(row: Row, report: Report) -> Change | None:
    """A provider's word on the row, or on an earlier attempt of it; of an earlier one only proof of arrival counts."""
    if row.state in TERMINAL or row.attempt == 0 or report.state not in REPORTABLE:
        return None
    of_another = None not in (row.provider_id, report.provider_id) and row.provider_id != report.provider_id
    if of_another and RANK[report.state] < RANK[DeliveryState.DELIVERED]:
        return None
    state = _heard_or_read(row.channel) if report.state in (DeliveryState.HEARD, DeliveryState.READ) else report.state
    if RANK[state] <= RANK[row.state]:
        return None
    return Change(
        state,
        error=report.error,
        seq=max(row.seq, report.sequence),
        provider_id=report.provider_id,
    )


def lease_lost(row: Row, machine_now: datetime) -> Change | None:
    """The worker that held the row is gone: nobody knows what it did."""
    over = row.lease_until is None or row.lease_until <= machine_now
    if row.state is not DeliveryState.SENDING or not over:
        return None
    return Change(DeliveryState.UNKNOWN, lease_until=row.lease_until)


def still_unknown(row: Row, now: datetime) -> Change | None:
    """The provider was asked and could not tell. None: it stays unknown, and only a late report may still move it."""
    if row.state is not DeliveryState.UNKNOWN or row.attempt > resends(row.purpose, row.channel):
        return None
    if _expired(row, now):
        return None  # it may have arrived: unknown is the honest word
    return Change(DeliveryState.QUEUED, not_before=now)


class Progress(StrEnum):
    """How far a line got, as whoever wrote it reads it."""

    WAITING = "waiting"
    SENT = "sent"
    DELIVERED = "delivered"
    READ = "read"
    UNSURE = "unsure"
    FAILED = "failed"


BEHIND: Mapping[DeliveryState, Progress] = {
    DeliveryState.FAILED: Progress.FAILED,
    DeliveryState.EXPIRED: Progress.FAILED,
    DeliveryState.CANCELLED: Progress.FAILED,
    DeliveryState.UNKNOWN: Progress.UNSURE,
    DeliveryState.QUEUED: Progress.WAITING,
    DeliveryState.SENDING: Progress.WAITING,
    DeliveryState.ACCEPTED: Progress.SENT,
    DeliveryState.DELIVERED: Progress.DELIVERED,
    DeliveryState.HEARD: Progress.READ,
    DeliveryState.READ: Progress.READ,
}
"""What a row's state is to its writer, the furthest behind first."""


def progress(parts: Iterable[DeliveryState]) -> Progress:
    """How far a line of several parts got: as far as the part furthest behind."""
    order = list(BEHIND)
    return BEHIND[min(parts, key=order.index)]


def resends(purpose: Purpose, channel: ChannelName) -> int:
    """How often a row that stays unknown is sent again: an emergency is, a routine call is not, a chat message once."""
    if purpose is Purpose.EMERGENCY:
        return EMERGENCY_RESENDS
    if purpose is Purpose.STAFF_ALERT:
        return 1
    if channel is ChannelName.VOICE:
        return 0
    chat = purpose is Purpose.REPLY or channel is not ChannelName.SMS
    return 1 if chat else 0


def _heard_or_read(channel: ChannelName) -> DeliveryState:
    """The furthest a channel's message goes: a call is heard, everything else is read."""
    return DeliveryState.HEARD if channel is ChannelName.VOICE else DeliveryState.READ


def _awaits(row: Row, attempt: int) -> bool:
    """Whether this attempt's answer is still wanted: nobody has proved anything about it yet."""
    return row.attempt == attempt and row.state in (DeliveryState.SENDING, DeliveryState.UNKNOWN)


def _expired(row: Row, now: datetime) -> bool:
    return row.expires_at is not None and row.expires_at <= now
