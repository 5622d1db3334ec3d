"""What we notice ourselves and what the facts tell, made into events of follow-up plans, each once (REQ-C09, C31..C33).

Cases closed lately, orders that are unpaid, on their way or received, birthdays and solar terms. Only what a plan is
there for is looked for. Looked for every so often by an errand of the heartbeat, a page in a transaction.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from functools import partial
from typing import Any

import structlog
from sqlalchemy import exists, func, select
from sqlalchemy.orm import Session

from bot.core.facts import Question, Row, Span, TooManyError, localised, moved_at
from bot.core.permission import ConsentKind
from bot.core.plan import Trigger
from bot.core.solar_terms import SolarTerm, term_on
from bot.core.windows import local_midnight
from bot.core.words import CaseKind, CaseState, Language
from bot.services import contacts
from bot.services.centre import Centre
from bot.services.i18n import LABELS, text
from bot.services.plans import followups, planning
from bot.services.plans.planning import Occurrence
from store.tables import Case, Consent, Contact, Event

log = structlog.get_logger()
PAGE = 100
EVERY = 60.0  # seconds between two looks
ORDERS, CARE, REPAIR = "orders", "care", "repair"
LATELY = timedelta(days=2)  # an order that has stood so for longer is history
TOLD_LATE = timedelta(minutes=15)  # so long after it moved an order may be told of
WHOLE_EVERY = timedelta(hours=1)
SHORTEST = timedelta(seconds=1)  # a span with too many orders still: something is wrong with them
REPAIRED_FROM = timedelta(days=7)
ORDER_STATES: Mapping[Trigger, tuple[str, ...]] = {
    Trigger.ORDER_UNPAID: ("unpaid",),
    Trigger.ORDER_DISPATCHED: ("dispatched", "in_transit", "out_for_delivery"),
    Trigger.ORDER_RECEIVED: ("delivered",),
}


class Lookout:
    """Looks once around as often as it is asked to, and remembers how far: of the orders, only those that have moved
    since are read, and now and then all that are not history, for some systems tell late."""

    def __init__(self) -> None:
        self._seen: dict[str, datetime] = {}
        self._whole: dict[str, datetime] = {}

    async def look(self, centre: Centre) -> int:
        """Once around; gives how many events are new."""
        now = centre.clock.now()
        wanted = {plan.trigger for plan in centre.library.current.policies.plans.values()}
        found = 0
        for trigger in ORDER_STATES.keys() & wanted:
            for state in ORDER_STATES[trigger]:
                found += await self._orders(centre, trigger, state, now)
        if Trigger.REPAIR_FINISHED in wanted:
            found += await centre.db.write(partial(_repairs, centre=centre, now=now))
        today = now.astimezone(centre.settings.zone).date()
        while Trigger.BIRTHDAY in wanted and (more := await centre.db.write(partial(_birthdays, centre, today, now))):
            found += more
        term = term_on(today, centre.settings.timezone)
        named = term is not None and any(term in plan.terms for plan in centre.library.current.policies.plans.values())
        while named and term and (more := await centre.db.write(partial(_season, centre, today, term, now))):
            found += more
        return found

    async def _orders(self, centre: Centre, trigger: Trigger, state: str, now: datetime) -> int:
        """Orders in a state that moved since the last look, or lately; where nobody can say, the next look goes back
        as far."""
        seen, end = self._seen.get(state), now + timedelta.resolution
        whole = seen is None or now - self._whole[state] >= WHOLE_EVERY
        start = now - LATELY if whole or seen is None else max(now - LATELY, seen - TOLD_LATE)
        found = await _moved(centre, trigger, Question(ORDERS, (("state", state),)), Span(start, end), now)
        if found is None:
            return 0
        self._seen[state] = now
        if whole:
            self._whole[state] = now
        return found


async def look(centre: Centre) -> int:
    """Once around, whatever was looked at before; gives how many events are new."""
    return await Lookout().look(centre)


# ── orders ──


async def _moved(centre: Centre, trigger: Trigger, question: Question, span: Span, now: datetime) -> int | None:
    """Tells of a span's orders, half by half where they are too many to be answered at once; None: nobody can say."""
    try:
        rows = await centre.facts.moved(question, span)
    except TooManyError:
        if span.end - span.start <= SHORTEST:
            log.error("happenings.too_many", key=question.key, at=span.start.isoformat())
            return None
        halves = [await _moved(centre, trigger, question, half, now) for half in span.halves()]
        return None if None in halves else sum(filter(None, halves))
    if rows is None:
        return None
    fresh = [what for row in rows if (what := _order(row, trigger, now)) is not None]
    found = 0
    for at in range(0, len(fresh), PAGE):
        found += await centre.db.write(partial(_tell, centre=centre, page=fresh[at : at + PAGE], now=now))
    return found


def _order(row: Row, trigger: Trigger, now: datetime) -> Occurrence | None:
    """What a row of the orders tells; None where it is history, or has no number to write to."""
    at = row["ordered_at"] if trigger is Trigger.ORDER_UNPAID else moved_at(row)
    if not now - LATELY < at <= now:
        return None
    try:
        phone = contacts.phone_number(row["phone"])
    except contacts.BadPhoneError:
        return None
    told = {
        "order_no": row["order_no"],
        "courier": localised(row, "courier", Language.ZH) or "",
        "tracking_no": str(row.get("tracking_no") or ""),
    }
    details = {name: value for name, value in told.items() if value}
    return Occurrence(ORDERS, f"{row['order_no']}:{trigger}", trigger, phone, "", at, details=details)


def _tell(session: Session, centre: Centre, page: Sequence[Occurrence], now: datetime) -> int:
    ids = [what.external_id for what in page]
    known = set(session.scalars(select(Event.external_id).where(Event.source == ORDERS, Event.external_id.in_(ids))))
    fresh = [what for what in page if what.external_id not in known]
    return sum(followups.record(session, centre, what, now).fresh for what in fresh)


# ── our own ──


def _repairs(session: Session, centre: Centre, now: datetime) -> int:
    """Repairs closed lately for which nobody has been asked yet whether it works."""
    asked = exists().where(Event.source == REPAIR, Event.external_id == Case.number)
    closed = session.scalars(
        select(Case)
        .where(
            Case.state == CaseState.CLOSED, Case.kind == CaseKind.REPAIR, Case.closed_at > now - REPAIRED_FROM, ~asked
        )
        .limit(PAGE)
    ).all()
    return sum(
        _happened(
            session, centre, REPAIR, case.number, Trigger.REPAIR_FINISHED, case.contact_id, case.closed_at or now,
            {"case_id": case.id}, now,
        )
        for case in closed
    )  # fmt: skip


def _birthdays(centre: Centre, today: date, now: datetime, session: Session) -> int:
    """Whose day it is; who was born on 29 February has it on the 28th in other years."""
    named = [f"{today:%m-%d}"]
    if named == ["02-28"] and (today + timedelta(days=1)).month == 3:
        named.append("02-29")
    return _care(session, centre, Trigger.BIRTHDAY, today, {}, now, Contact.birthday.in_(named))


def _season(centre: Centre, today: date, term: SolarTerm, now: datetime, session: Session) -> int:
    words = LABELS[SolarTerm][term.value]
    told = {"term": term.value, "term_zh": words, "term_en": text(Language.EN, words)}
    return _care(session, centre, Trigger.SOLAR_TERM, today, told, now)


def _care(
    session: Session, centre: Centre, trigger: Trigger, today: date, told: dict[str, Any], now: datetime, *who: Any
) -> int:
    """A page of those who agreed to hear from us, last said so, and have not been thought of today."""
    start = local_midnight(today, centre.settings.timezone)
    latest = select(func.max(Consent.id)).where(Consent.scope == ConsentKind.MARKETING).group_by(Consent.contact_id)
    agreed = select(Consent.contact_id).where(Consent.id.in_(latest), Consent.granted)
    thought_of = exists().where(
        Event.contact_id == Contact.id, Event.happened_at == start, Event.source == CARE, Event.kind == trigger.value
    )
    people = session.scalars(
        select(Contact.id)
        .where(Contact.id.in_(agreed), Contact.merged_into_id.is_(None), ~thought_of, *who)
        .order_by(Contact.id)
        .limit(PAGE)
    ).all()
    return sum(
        _happened(session, centre, CARE, f"{trigger}:{today}:{person}", trigger, person, start, told, now)
        for person in people
    )


def _happened(
    session: Session,
    centre: Centre,
    source: str,
    external_id: str,
    trigger: Trigger,
    contact_id: int,
    happened_at: datetime,
    details: Mapping[str, Any],
    now: datetime,
) -> int:
    event_id = followups.insert(
        session,
        source=source,
        external_id=external_id,
        kind=trigger.value,
        contact_id=contact_id,
        happened_at=happened_at,
        recorded_at=now,
        details=dict(details),
    )
    if event_id is None:
        return 0
    planning.plan_event(session, centre, session.get_one(Event, event_id), now)
    return 1
