"""The arithmetic of an announcement: segments, cost, time, outcomes, and each person's next channel (REQ-F29).

A broadcast's audience is frozen; every recipient has exactly one outcome at every moment, so outcomes always sum to the
audience. Deliveries do not: a person may have several.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from functools import lru_cache

from bot.core.policy import Broadcast, Rate
from bot.core.words import ChannelName, DeliveryState, Outcome, Reach

# 3GPP TS 23.038, default alphabet and its extension table; an extension character takes two septets.
GSM_7 = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§"
    "¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
GSM_7_EXTENSION = frozenset("\f^{}\\[~]|€")


@dataclass(frozen=True, slots=True)
class Encoding:
    """How much one segment holds: alone, and as part of several (3GPP TS 23.040)."""

    single: int
    part: int


SEPTETS = Encoding(single=160, part=153)
UCS_2 = Encoding(single=70, part=67)


@lru_cache(maxsize=64)  # an announcement's text is counted once, not for every person
def sms_segments(text: str) -> int:
    """How many SMS segments a text takes: GSM 7-bit where it can, else UCS-2 by UTF-16 code units.

    No character is split between two segments. An empty text is still one SMS.
    """
    if GSM_7.union(GSM_7_EXTENSION).issuperset(text):
        encoding, sizes = SEPTETS, [2 if char in GSM_7_EXTENSION else 1 for char in text]
    else:
        encoding, sizes = UCS_2, [2 if ord(char) > 0xFFFF else 1 for char in text]
    if sum(sizes) <= encoding.single:
        return 1
    segments, room = 1, encoding.part
    for size in sizes:
        if size > room:
            segments, room = segments + 1, encoding.part
        room -= size
    return segments


# ── before the launch ────────────────────────────────────────────────────────────────────────────────────────────────


def units(people: Mapping[ChannelName, int], text: str) -> dict[ChannelName, int]:
    """What sending `text` takes on each channel: segments for SMS, one call or message for each person elsewhere."""
    segments = sms_segments(text)
    return {channel: n * (segments if channel is ChannelName.SMS else 1) for channel, n in people.items()}


def time_to_finish(counts: Mapping[ChannelName, int], rates: Mapping[ChannelName, Rate]) -> timedelta:
    """How long so many units take, the channels side by side, each at its whole pace with nothing else to send.

    10,000 people × 2 segments at one a second: 20,000 s, about 5.6 h.
    """
    longest = max((n / rates[channel].per_second for channel, n in counts.items()), default=0.0)
    return timedelta(seconds=longest)


def cost(counts: Mapping[ChannelName, int], rates: Mapping[ChannelName, Rate]) -> Decimal:
    """What so many units cost, in the policies' currency."""
    return sum((rates[channel].price * n for channel, n in counts.items()), Decimal(0))


def first_channels(audience: Iterable[Sequence[Reach]], policy: Broadcast) -> tuple[dict[ChannelName, int], int]:
    """How many people each channel reaches first, and how many cannot be reached at all."""
    first = dict.fromkeys((step.channel for step in policy.ladder), 0)
    unreachable = 0
    for reaches in audience:
        step = next(_steps(reaches, policy), None)
        if step is None:
            unreachable += 1
        else:
            first[step.channel] += 1
    return first, unreachable


# ── outcomes ─────────────────────────────────────────────────────────────────────────────────────────────────────────

# The best a person's deliveries prove counts, and among those that prove nothing what may still become something.
OUTCOMES = {
    DeliveryState.READ: Outcome.HEARD,
    DeliveryState.HEARD: Outcome.HEARD,
    DeliveryState.DELIVERED: Outcome.DELIVERED,
    DeliveryState.ACCEPTED: Outcome.ACCEPTED,
    DeliveryState.SENDING: Outcome.SENDING,
    DeliveryState.QUEUED: Outcome.PENDING,
    DeliveryState.UNKNOWN: Outcome.UNKNOWN,
    DeliveryState.FAILED: Outcome.FAILED,
    DeliveryState.EXPIRED: Outcome.EXPIRED,
    DeliveryState.CANCELLED: Outcome.CANCELLED,
}
BEST_FIRST = tuple(OUTCOMES)
BEST_FIRST_OUTCOMES = tuple(dict.fromkeys(OUTCOMES.values()))


def outcome_of(deliveries: Iterable[DeliveryState], *, acknowledged: bool, reachable: bool) -> Outcome:
    """A recipient's one outcome. `reachable`: there is, or was, an address to try."""
    if acknowledged:
        return Outcome.ACKNOWLEDGED
    best = min(deliveries, key=BEST_FIRST.index, default=None)
    if best is not None:
        return OUTCOMES[best]
    return Outcome.PENDING if reachable else Outcome.UNREACHABLE


def tally(outcomes: Iterable[Outcome]) -> dict[Outcome, int]:
    """Recipients by outcome, every outcome named; the figures sum to the audience."""
    counts = dict.fromkeys(Outcome, 0)
    for outcome in outcomes:
        counts[outcome] += 1
    return counts


def moved(counts: Mapping[Outcome, int], before: Outcome, after: Outcome) -> dict[Outcome, int]:
    """The tally after one recipient's outcome changed; the sum stays. Raises ValueError if nobody was there."""
    if not counts[before]:
        raise ValueError(f"no recipient is {before}")
    changed = dict(counts)
    changed[before] -= 1
    changed[after] += 1
    return changed


# ── one person's ladder of channels ──────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Tried:
    """A delivery made to this person: when it went out (until then, when it was queued), and its state."""

    address_id: int
    channel: ChannelName
    at: datetime
    state: DeliveryState


@dataclass(frozen=True, slots=True)
class Try:
    """Send to this address now."""

    address_id: int
    channel: ChannelName


@dataclass(frozen=True, slots=True)
class Wait:
    """Nothing before `until`; None: nothing any more, it is settled or still being sent."""

    until: datetime | None


class Silent(StrEnum):
    """The ladder is used up: staff take over (special-care people are called by a person)."""

    UNREACHABLE = "unreachable"
    UNACKNOWLEDGED = "unacknowledged"


FUTILE = frozenset({DeliveryState.FAILED, DeliveryState.EXPIRED, DeliveryState.CANCELLED})
ON_ITS_WAY = frozenset({DeliveryState.QUEUED, DeliveryState.SENDING})


def next_step(
    reaches: Sequence[Reach],
    tried: Sequence[Tried],
    policy: Broadcast,
    now: datetime,
    *,
    expires_at: datetime,
    settled: bool = False,
) -> Try | Wait | Silent:
    """A recipient's next step: channels in the policy's order, each with its wait, a failed one not waited for.

    `reaches` are the person's addresses, preferred first; `tried` is in order. `settled`: acknowledged, or the
    broadcast was stopped or cancelled.
    """
    if settled:
        return Wait(None)
    last = tried[-1] if tried else None
    if last and last.state in ON_ITS_WAY:
        return Wait(None)
    if last and last.state not in FUTILE:
        waits = {step.channel: step.wait for step in policy.ladder}
        until = last.at + waits.get(last.channel, timedelta(0))
        if until > now:
            return Wait(until)
    done = {each.address_id for each in tried}
    step = next((each for each in _steps(reaches, policy) if each.address_id not in done), None)
    if step and now < expires_at:
        return step
    got_through = any(each.state not in FUTILE for each in tried)
    return Silent.UNACKNOWLEDGED if got_through else Silent.UNREACHABLE


def _steps(reaches: Sequence[Reach], policy: Broadcast) -> Iterator[Try]:
    """Every address worth trying, in the order of the channels, then in the person's own."""
    for step in policy.ladder:
        for reach in reaches:
            if reach.channel is step.channel and reach.reachable:
                yield Try(reach.address_id, step.channel)


# ── an answer ────────────────────────────────────────────────────────────────────────────────────────────────────────

TAKEN_LONG_AGO = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Told:
    """An announcement that went to one address: when it left us, and from when on it is taken to be there (None: not
    that we know)."""

    broadcast_id: int
    left_at: datetime
    there_at: datetime | None
    expires_at: datetime
    acknowledged: bool = False


def there_at(
    state: DeliveryState, left_at: datetime, changed_at: datetime, *, receipts: bool, shown: bool
) -> datetime | None:
    """From when on a delivery is taken to be before the person; `changed_at` is when its state was last heard of.

    On our own page (`shown`) that is when the page has shown it. Where a provider tells nothing further, what it took
    is there. Else its receipt counts, which may come late or never: so what it took a minute before is there too, for
    somebody who writes back has their telephone on.
    """
    arrived = changed_at if state in (DeliveryState.DELIVERED, DeliveryState.HEARD, DeliveryState.READ) else None
    if shown or (arrived is None and state is not DeliveryState.ACCEPTED):
        return arrived
    taken = left_at + (TAKEN_LONG_AGO if receipts else timedelta(0))
    return taken if arrived is None else min(arrived, taken)


def answered(told: Iterable[Told], said_at: datetime, named: int | None = None) -> frozenset[int]:
    """The announcements that somebody who says "1" at an address has said they know; never one that left us later.

    `named` is the one whose own button or call they answered. A bare word is for everything that was there when it was
    said, is unanswered and not expired (an expired one is meant only where nothing else can be). Where nothing is known
    to have been there, something was all the same, and what left first most likely.
    """
    unanswered = [each for each in told if not each.acknowledged and each.left_at <= said_at]
    if named is not None:
        return frozenset(each.broadcast_id for each in unanswered if each.broadcast_id == named)
    meant = [each for each in unanswered if said_at < each.expires_at] or unanswered
    there = [each for each in meant if each.there_at is not None and each.there_at <= said_at]
    first = min(meant, key=lambda each: (each.left_at, each.broadcast_id), default=None)
    return frozenset(each.broadcast_id for each in there or ([first] if first else []))
