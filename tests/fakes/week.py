"""A week of follow-ups, judged by a calendar of its own: nothing here asks bot/core/windows.py or the holidays library.

The plan's rules as the requirements print them (REQ-C04..C07, C18, C19), the holidays of 2026 as the State Council's
General Office decreed them, the demo's seasons. `differences` compares, one by one, the calls a rehearsal made.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from bot.core.words import CallbackState, ChannelName, DeliveryState, Disposition
from bot.services.sandbox.callees import Callees, Manner
from bot.services.sandbox.sandbox import phone
from store.db import vault_of
from store.tables import Address, CallAttempt, Callback, Delivery, Event

ZONE = ZoneInfo("Asia/Shanghai")
BEGINS = datetime(2026, 9, 28, 8, 0, tzinfo=ZONE)  # a Monday; on Thursday the National Day holidays begin
BREAKS = (
    ("2026-01-01", "2026-01-03"),
    ("2026-02-15", "2026-02-23"),
    ("2026-04-04", "2026-04-06"),
    ("2026-05-01", "2026-05-05"),
    ("2026-06-19", "2026-06-21"),
    ("2026-09-25", "2026-09-27"),
    ("2026-10-01", "2026-10-07"),
)
SUMMER = (date(2026, 5, 15), date(2026, 10, 14))
EVENING = (time(19), time(20))
AFTERNOON = {True: (time(14, 30), time(16, 30)), False: (time(14), time(16, 30))}  # by whether it is summer
ANY_TIME = (time(8), time(21))  # for who named a time of their own
SPACING = {
    Disposition.BUSY: timedelta(minutes=10),
    Disposition.NO_ANSWER: timedelta(hours=2),
    Disposition.MACHINE: timedelta(hours=3),
    Disposition.FAILED: timedelta(minutes=30),
    Disposition.PARTLY_COMPLETED: timedelta(minutes=30),
    Disposition.ANOTHER_TIME: timedelta(0),
}
ATTEMPTS = 3
MORE_DAYS = 3
SLACK = timedelta(minutes=3)  # so shortly before a window closes a call may miss it
UNANSWERED = {
    Manner.AWAY: Disposition.NO_ANSWER,
    Manner.BUSY: Disposition.BUSY,
    Manner.MACHINE: Disposition.MACHINE,
}
FAST = """
rates:
  sms: {per_second: 400}
  voice: {per_second: 400}
calls:
  at_once: 90
ladders:
  urgent: {repeats: 3}
"""
"""Nobody works there who could take what is escalated, so nobody is reminded of it for ever. No more phones ring than
the callees look after in one go: the others would ring out, and a busy one would count as nobody there."""


# ── the calendar ──


def is_off(day: date) -> bool:
    return any(date.fromisoformat(first) <= day <= date.fromisoformat(last) for first, last in BREAKS)


def open_on(day: date, *, evening_only: bool) -> list[tuple[datetime, datetime]]:
    """When follow-ups may start on a day; both ends are local."""
    if is_off(day):
        return []
    spans = [EVENING] if evening_only else [AFTERNOON[SUMMER[0] <= day <= SUMMER[1]], EVENING]
    return [(datetime.combine(day, a, ZONE), datetime.combine(day, b, ZONE)) for a, b in spans]


def first_open(at: datetime, *, evening_only: bool) -> tuple[datetime, datetime]:
    """The first moment from `at` on at which a call may start, and when its window closes."""
    day = at.astimezone(ZONE).date()
    for ahead in range(60):
        for start, end in open_on(day + timedelta(days=ahead), evening_only=evening_only):
            if at < end:
                return max(start, at), end
    raise AssertionError("no window in sixty days")


def last_day(first_try: datetime) -> date:
    """The last day a plan tries on: three more days without a holiday."""
    day, left = first_try.astimezone(ZONE).date(), MORE_DAYS
    while left:
        day += timedelta(days=1)
        left -= not is_off(day)
    return day


# ── the list ──


def visits(count: int) -> Iterator[dict[str, Any]]:
    """Events as the API takes them: in turn who bought something, to be called in the evening, and who did not."""
    for n in range(count):
        yield {
            "external_id": f"W{n}",
            "kind": ("visited_no_purchase", "visited_purchased")[n % 2],
            "phone": f"+86139{n:08}",
            "name": f"顾客{n}",
            "happened_at": (BEGINS - timedelta(minutes=n % 120)).isoformat(),
        }


# ── the judgement ──


@dataclass(frozen=True)
class Judged:
    """`wrong` says in words what differs; `by` counts the callbacks by how they ended."""

    calls: int
    people: int
    wrong: tuple[str, ...]
    by: dict[str, int]


def judge(session: Session, callees: Callees) -> Judged:
    """Compares every call that was made with what the calendar above allows, one by one."""
    wrong: list[str] = []
    by: dict[str, int] = {}
    calls = people = 0
    found = session.execute(
        select(Callback, Event).join(Event, Event.id == Callback.event_id).order_by(Callback.id)
    ).tuples()
    for callback, event in found.all():
        attempts = list(
            session.scalars(
                select(CallAttempt).where(CallAttempt.callback_id == callback.id).order_by(CallAttempt.number)
            )
        )
        made = [a for a in attempts if a.disposition is not Disposition.CANCELLED]
        people, calls = people + 1, calls + len(made)
        by[str(callback.disposition)] = by.get(str(callback.disposition), 0) + 1
        wrong += [f"{event.external_id}: {each}" for each in _wrong(session, callees, callback, event, made)]
    wrong += _promised(session)
    return Judged(calls, people, tuple(wrong), by)


def _promised(session: Session) -> Iterator[str]:
    """Calls people asked for in these calls, such as instead of waiting in the queue: by day, and to an end."""
    for callback in session.scalars(select(Callback).where(Callback.event_id.is_(None))):
        if callback.state in (CallbackState.SCHEDULED, CallbackState.DIALLING):
            yield f"promised call {callback.id}: is still {callback.state}"
        for attempt in session.scalars(select(CallAttempt).where(CallAttempt.callback_id == callback.id)):
            began = attempt.started_at.astimezone(ZONE)
            if not ANY_TIME[0] <= began.time() < ANY_TIME[1]:
                yield f"promised call {callback.id}: at {began:%m-%d %H:%M:%S}, outside 08:00–21:00"


def _wrong(
    session: Session, callees: Callees, callback: Callback, event: Event, attempts: list[CallAttempt]
) -> Iterator[str]:
    evening_only = event.kind == "visited_purchased"
    earliest, own_time, rang = max(event.happened_at, event.recorded_at), False, 0
    first = first_open(earliest, evening_only=evening_only)
    gives_up = last_day(first[0])
    number = vault_of(session).open(
        session.scalars(
            select(Address.sealed).where(
                Address.contact_id == callback.contact_id, Address.channel == ChannelName.VOICE
            )
        ).one()
    )
    for nth, attempt in enumerate(attempts):
        began = attempt.started_at.astimezone(ZONE)
        if own_time:
            if not ANY_TIME[0] <= began.time() < ANY_TIME[1]:
                yield f"call {nth + 1} at {began:%m-%d %H:%M:%S}, by their own wish, outside 08:00–21:00"
        else:
            opens, closes = first_open(earliest, evening_only=evening_only)
            if closes - opens < SLACK and began >= closes:
                opens, closes = first_open(closes, evening_only=evening_only)
            if not opens <= began < closes:
                yield f"call {nth + 1} at {began:%m-%d %H:%M:%S}, allowed {opens:%m-%d %H:%M:%S}–{closes:%H:%M}"
            if began.date() > gives_up:
                yield f"call {nth + 1} on {began:%m-%d}, after the plan's last day {gives_up:%m-%d}"
        expected = UNANSWERED.get(callees.manner(phone(vault_of(session), number), _rung_before(session, attempt)))
        if expected is not None and attempt.disposition is not expected:
            yield f"call {nth + 1} ended {attempt.disposition}, not {expected}"
        if attempt.disposition is None or attempt.ended_at is None:
            yield f"call {nth + 1} never ended"
            return
        rang += attempt.disposition is not Disposition.ANOTHER_TIME
        own_time = own_time or attempt.disposition is Disposition.ANOTHER_TIME
        earliest = attempt.ended_at + SPACING.get(attempt.disposition, timedelta(0))
    yield from _wrong_end(session, callback, attempts, rang, earliest, gives_up, evening_only, own_time)


def _rung_before(session: Session, attempt: CallAttempt) -> int:
    """How often this telephone had rung before, for this callback or for one its owner asked for in between."""
    earlier = select(func.count()).where(
        CallAttempt.address_id == attempt.address_id,
        CallAttempt.started_at < attempt.started_at,
        CallAttempt.disposition != Disposition.CANCELLED,
    )
    return session.scalar(earlier) or 0


def _wrong_end(
    session: Session,
    callback: Callback,
    attempts: list[CallAttempt],
    rang: int,
    earliest: datetime,
    gives_up: date,
    evening_only: bool,
    own_time: bool,
) -> Iterator[str]:
    """Whether it ended when it should, as it should, and with the one message after the last attempt."""
    if callback.state in (CallbackState.SCHEDULED, CallbackState.DIALLING):
        yield f"is still {callback.state}"
        return
    if not attempts:
        yield "was never called"
        return
    last = attempts[-1].disposition
    if callback.disposition is not last:
        yield f"ended {callback.disposition} after a call that ended {last}"
    texts = session.scalars(
        select(Delivery.state).where(Delivery.callback_id == callback.id, Delivery.channel == ChannelName.SMS)
    ).all()
    tried_out = last in SPACING and rang >= ATTEMPTS
    out_of_days = not own_time and first_open(earliest, evening_only=evening_only)[0].date() > gives_up
    if last in SPACING and not tried_out and not out_of_days and not own_time:
        yield f"given up after {rang} calls and before {gives_up:%m-%d}"
    wants_text = callback.state is CallbackState.GIVEN_UP and last in SPACING
    if [state in (DeliveryState.DELIVERED, DeliveryState.ACCEPTED) for state in texts] != [True] * wants_text:
        yield f"{len(texts)} text messages ({', '.join(texts)}) after it {callback.state}"
