"""Cases in lists, and one case with its history."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from sqlalchemy import ColumnElement, select
from sqlalchemy.orm import Session

from bot.console.queries.people import Card, card
from bot.console.queries.timeline import Moment, timeline
from bot.core.words import (
    CaseState,
    Urgency,
)
from bot.services import contacts
from bot.services.cases import OPEN_STATES
from bot.services.staff import SignedIn
from store.tables import (
    Case,
    CaseNote,
    Contact,
    Staff,
)

PAGE = 50


@dataclass(frozen=True, slots=True)
class CaseRow:
    """A case in a list."""

    id: int
    number: str
    kind: StrEnum
    state: CaseState
    urgency: Urgency
    subject: str
    who: str
    contact_id: int
    agent: str | None
    opened_at: datetime
    due_at: datetime | None
    level: int


def case_rows(session: Session, *where: ColumnElement[bool], limit: int = PAGE, offset: int = 0) -> tuple[CaseRow, ...]:
    """Cases, urgent and soonest due first."""
    rows = session.execute(
        select(Case, Contact, Staff.name)
        .join(Contact, Contact.id == Case.contact_id)
        .outerjoin(Staff, Staff.id == Case.staff_id)
        .where(*where)
        .order_by(
            Case.state == CaseState.CLOSED,
            Case.urgency != Urgency.URGENT,
            Case.due_at.is_(None),
            Case.due_at,
            Case.id.desc(),
        )
        .limit(limit)
        .offset(offset)
    )
    return tuple(
        CaseRow(
            c.id,
            c.number,
            c.kind,
            c.state,
            c.urgency,
            c.subject,
            contact.title or contact.name,
            contact.id,
            agent,
            c.opened_at,
            c.due_at,
            c.level,
        )
        for c, contact, agent in rows
    )


class CaseView(StrEnum):
    """The case list's tabs."""

    MINE = "mine"
    UNASSIGNED = "unassigned"
    OVERDUE = "overdue"
    ALL = "all"
    CLOSED = "closed"


def cases_in(view: CaseView, viewer: SignedIn, now: datetime) -> tuple[ColumnElement[bool], ...]:
    """The condition behind a tab."""
    unfinished = Case.state.in_(OPEN_STATES)
    return {
        CaseView.MINE: (unfinished, Case.staff_id == viewer.staff_id),
        CaseView.UNASSIGNED: (unfinished, Case.staff_id.is_(None)),
        CaseView.OVERDUE: (unfinished, Case.due_at < now),
        CaseView.ALL: (unfinished,),
        CaseView.CLOSED: (Case.state == CaseState.CLOSED,),
    }[view]


@dataclass(frozen=True, slots=True)
class CaseFile:
    """A case with its history and the contact it is for."""

    case: Case
    agent: str | None
    notes: tuple[tuple[CaseNote, str | None], ...]
    card: Card
    timeline: tuple[Moment, ...]


def case_file(session: Session, case_id: int, viewer: SignedIn) -> CaseFile | None:
    case = session.get(Case, case_id)
    if case is None:
        return None
    notes = session.execute(
        select(CaseNote, Staff.name)
        .outerjoin(Staff, Staff.id == CaseNote.staff_id)
        .where(CaseNote.case_id == case_id)
        .order_by(CaseNote.id)
    )
    people = contacts.same_person(session, case.contact_id)
    owner = session.get(Staff, case.staff_id) if case.staff_id else None
    return CaseFile(
        case,
        owner.name if owner else None,
        tuple((note, name) for note, name in notes),
        card(session, people[0], viewer, own=case.staff_id == viewer.staff_id),
        timeline(session, people, 20),
    )
