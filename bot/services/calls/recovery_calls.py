"""The calls owed after an outage: whoever asked to be told that it is over, and did not get the all-clear, is called
once (REQ-C29, REQ-F25). The heartbeat owes them when the incident is closed, somebody at the console as soon as service
is back; both go the same way. A drill calls nobody (REQ-F54).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from sqlalchemy import ColumnElement, exists, func, select
from sqlalchemy.orm import Session

from bot.core.words import BroadcastKind, CallbackSource, IncidentState, Outcome, Purpose
from bot.services import audit, contacts
from bot.services.calls import bookings
from bot.services.centre import Centre
from bot.services.incidents.incident_file import note
from store.tables import Broadcast, BroadcastRecipient, Callback, Incident, NotifyMe

OVER = (IncidentState.RECOVERED, IncidentState.ALL_CLEAR, IncidentState.REVIEWED, IncidentState.CLOSED)
SHOWN = PAGE = 20
REACHED = (Outcome.ACKNOWLEDGED, Outcome.HEARD, Outcome.DELIVERED)
STILL_COMING = (Outcome.PENDING, Outcome.SENDING, Outcome.ACCEPTED)


class Became(StrEnum):
    """What became of somebody who asked."""

    HEARD = "heard"  # by the all-clear
    KNOWN = "known"  # the call is owed already
    CALLED = "called"
    NO_NUMBER = "no_number"
    NO_TIME = "no_time"


@dataclass(frozen=True, slots=True)
class Owed:
    """An incident that is over: how many asked, how many of them are called, how many heard the all-clear."""

    incident: Incident
    asked: int
    booked: int
    heard: int

    @property
    def left(self) -> int:
        return max(0, self.asked - self.booked - self.heard)


@dataclass(frozen=True, slots=True)
class Booked:
    """What became of a list: calls booked now, people without a number, people no time could be found for."""

    calls: int
    unreachable: int
    refused: int


# ── what is owed ──


def owed(session: Session) -> tuple[Owed, ...]:
    """The latest incidents that are over and that somebody asked to hear the end of; drills owe nothing."""
    asked = select(NotifyMe.incident_id, func.count().label("people")).group_by(NotifyMe.incident_id).subquery()
    rows = session.execute(
        select(Incident, asked.c.people)
        .join(asked, asked.c.incident_id == Incident.id)
        .where(Incident.state.in_(OVER), Incident.drill.is_(False))
        .order_by(Incident.id.desc())
        .limit(SHOWN)
    )
    return tuple(
        Owed(incident, people, _booked(session, incident.id), _heard_of(session, incident.id))
        for incident, people in rows
    )


def _booked(session: Session, incident_id: int) -> int:
    mine = Callback.dedupe_key.startswith(f"recovery:{incident_id}:", autoescape=True)
    return session.scalar(select(func.count()).select_from(Callback).where(mine)) or 0


def _heard_of(session: Session, incident_id: int) -> int:
    """How many of those who asked got the all-clear."""
    counted = select(func.count()).select_from(NotifyMe).where(NotifyMe.incident_id == incident_id, _cleared(REACHED))
    return session.scalar(counted) or 0


def _cleared(outcomes: Sequence[Outcome]) -> ColumnElement[bool]:
    """The all-clear stands so with this very person."""
    return exists().where(
        BroadcastRecipient.contact_id == NotifyMe.contact_id,
        BroadcastRecipient.outcome.in_(outcomes),
        BroadcastRecipient.broadcast_id == Broadcast.id,
        Broadcast.incident_id == NotifyMe.incident_id,
        Broadcast.kind == BroadcastKind.ALL_CLEAR,
    )


# ── they are called ──


def tick(session: Session, centre: Centre, now: datetime) -> int:
    """After an incident has ended, whoever asked to be told and did not get its all-clear is owed a call."""
    waiting = session.execute(
        select(NotifyMe, Incident)
        .join(Incident, Incident.id == NotifyMe.incident_id)
        .where(
            NotifyMe.settled_at.is_(None),
            Incident.drill.is_(False),
            Incident.state == IncidentState.CLOSED,
            ~_cleared(STILL_COMING),
        )
        .order_by(NotifyMe.id)
        .limit(PAGE)
        .with_for_update(of=NotifyMe, skip_locked=True)
    ).all()
    for asked, incident in waiting:
        asked.settled_at = now
        if _settle(session, centre, incident, asked.contact_id, None, now) in (Became.NO_NUMBER, Became.NO_TIME):
            note(session, incident, "unreached", str(contacts.survivor(session, asked.contact_id)), None, now)
    return len(waiting)


def book(session: Session, centre: Centre, incident_id: int, *, staff_id: int, now: datetime) -> Booked | None:
    """Owes everybody who asked a call, once; None where the incident is not over, or was a drill. Repeating adds who
    asked since."""
    incident = session.get(Incident, incident_id)
    if incident is None or incident.drill or incident.state not in OVER:
        return None
    people = session.scalars(
        select(NotifyMe.contact_id)
        .where(NotifyMe.incident_id == incident_id, ~_cleared(STILL_COMING))
        .order_by(NotifyMe.id)
    ).all()
    became = [_settle(session, centre, incident, person, staff_id, now) for person in people]
    calls = became.count(Became.CALLED)
    audit.record(session, "incident.call_back", "incident", incident_id, now=now, staff_id=staff_id, calls=calls)
    return Booked(calls, became.count(Became.NO_NUMBER), became.count(Became.NO_TIME))


def _settle(
    session: Session, centre: Centre, incident: Incident, asked_id: int, staff_id: int | None, now: datetime
) -> Became:
    """Owes one of those who asked their call, once, unless they heard the all-clear."""
    contact_id = contacts.survivor(session, asked_id)
    if _heard(session, incident.id, {asked_id, contact_id}):
        return Became.HEARD
    key = f"recovery:{incident.id}:{contact_id}"
    if session.scalar(select(Callback.id).where(Callback.dedupe_key == key)) is not None:
        return Became.KNOWN
    if contacts.phone_of(session, contact_id) is None:
        return Became.NO_NUMBER
    try:
        bookings.book(
            session,
            centre,
            contact_id,
            dedupe_key=key,
            wish=None,
            topic=incident.title,
            purpose=Purpose.SERVICE_NOTICE,
            source=CallbackSource.RECOVERY,
            staff_id=staff_id,
            now=now,
            anew=True,
        )
    except bookings.NotBookableError:
        return Became.NO_TIME
    return Became.CALLED


def _heard(session: Session, incident_id: int, people: set[int]) -> bool:
    found = session.scalar(
        select(BroadcastRecipient.id)
        .join(Broadcast, Broadcast.id == BroadcastRecipient.broadcast_id)
        .where(
            Broadcast.incident_id == incident_id,
            Broadcast.kind == BroadcastKind.ALL_CLEAR,
            BroadcastRecipient.contact_id.in_(people),
            BroadcastRecipient.outcome.in_(REACHED),
        )
        .limit(1)
    )
    return found is not None
