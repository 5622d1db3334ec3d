"""Cases in lists, and one case with its history."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from sqlalchemy import ColumnElement, or_, select, true
from sqlalchemy.orm import Session

from bot.console.queries.people import Card, card
from bot.console.queries.timeline import Moment, timeline
from bot.core.sla import Reading
from bot.core.words import (
    CaseKind,
    CaseState,
    Urgency,
)
from bot.services import contacts
from bot.services.casework import case_clocks
from bot.services.casework.cases import OPEN_STATES
from bot.services.centre import Centre
from bot.services.incidents import incident_file
from bot.services.permissions import Function
from bot.services.records import corrections
from bot.services.records.corrections import Was
from bot.services.staffing.staff import SignedIn
from store.tables import (
    Case,
    CaseLink,
    CaseNote,
    CaseTask,
    Contact,
    Conversation,
    Escalation,
    FoundItem,
    Incident,
    LinkKind,
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
    standing: str


def seen_by(viewer: SignedIn) -> ColumnElement[bool]:
    """The cases somebody may see: the media's are the spokesperson's alone, and whoever has one's (REQ-E15)."""
    if viewer.may(Function.PERMIT_MEDIA):
        return true()
    return or_(Case.kind != CaseKind.MEDIA, Case.staff_id == viewer.staff_id)


def case_rows(
    session: Session, viewer: SignedIn, *where: ColumnElement[bool], limit: int = PAGE, offset: int = 0
) -> tuple[CaseRow, ...]:
    """Cases the viewer may see, urgent and soonest due first."""
    rows = session.execute(
        select(Case, Contact, Staff.name)
        .join(Contact, Contact.id == Case.contact_id)
        .outerjoin(Staff, Staff.id == Case.staff_id)
        .where(seen_by(viewer), *where)
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
            c.standing,
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
    }[view] + (seen_by(viewer),)


@dataclass(frozen=True, slots=True)
class CaseFile:
    """A case with its history and the contact it is for."""

    case: Case
    agent: str | None
    notes: tuple[tuple[CaseNote, str | None], ...]
    card: Card
    timeline: tuple[Moment, ...]
    was: Mapping[str, tuple[Was, ...]]  # what stood in its fields before
    notes_were: Mapping[int, tuple[Was, ...]]


def case_file(session: Session, case_id: int, viewer: SignedIn, now: datetime) -> CaseFile | None:
    case = session.scalar(select(Case).where(Case.id == case_id, seen_by(viewer)))
    if case is None:
        return None
    notes = session.execute(
        select(CaseNote, Staff.name)
        .outerjoin(Staff, Staff.id == CaseNote.staff_id)
        .where(CaseNote.case_id == case_id)
        .order_by(CaseNote.id)
    ).all()
    was = corrections.history(session, "case", [case_id])
    noted = corrections.history(session, "case_note", [note.id for note, _ in notes])
    people = contacts.same_person(session, case.contact_id)
    owner = session.get(Staff, case.staff_id) if case.staff_id else None
    return CaseFile(
        case,
        owner.name if owner else None,
        tuple((note, name) for note, name in notes),
        card(session, people[0], viewer, now, own=case.staff_id == viewer.staff_id),
        timeline(session, people, 20),
        {name: was.get((case_id, name), ()) for name in corrections.FIELDS["case"]},
        {note_id: each for (note_id, _), each in noted.items()},
    )


@dataclass(frozen=True, slots=True)
class Work:
    """What stands beside a case: its clocks, ladder, links, tasks, a found item, and the contact's conversations and
    open incidents it may be linked with."""

    response: Reading
    resolution: Reading
    ladder: Escalation | None
    taker: str | None
    links: tuple[tuple[LinkKind, int, str], ...]
    tasks: tuple[tuple[CaseTask, str], ...]
    item: FoundItem | None
    people: dict[int, str]
    incidents: tuple[tuple[int, str], ...]
    conversations: tuple[tuple[int, datetime], ...]


def work_on(session: Session, centre: Centre, case: Case, contact_id: int, now: datetime) -> Work:
    contact = session.get_one(Contact, contact_id)
    response, resolution = case_clocks.readings(case, centre, contact.segments, now)
    ladder = session.scalar(
        select(Escalation).where(Escalation.case_id == case.id).order_by(Escalation.id.desc()).limit(1)
    )
    names = {person.id: person.name for person in session.scalars(select(Staff))}
    tasks = session.scalars(select(CaseTask).where(CaseTask.case_id == case.id).order_by(CaseTask.id))
    talks = session.execute(
        select(Conversation.id, Conversation.opened_at)
        .where(Conversation.contact_id == contact_id)
        .order_by(Conversation.id.desc())
        .limit(10)
    )
    open_incidents = session.execute(
        select(Incident.id, Incident.title).where(Incident.state.in_(incident_file.OPEN)).order_by(Incident.id.desc())
    )
    return Work(
        response,
        resolution,
        ladder,
        names.get(ladder.acknowledged_by) if ladder and ladder.acknowledged_by else None,
        _links(session, case.id),
        tuple((task, names.get(task.staff_id, "")) for task in tasks),
        session.get(FoundItem, case.id),
        names,
        tuple((row.id, row.title) for row in open_incidents),
        tuple((row.id, row.opened_at) for row in talks),
    )


def _links(session: Session, case_id: int) -> tuple[tuple[LinkKind, int, str], ...]:
    """What a case is linked with, in words; a case that links here stands there too."""
    rows = session.scalars(select(CaseLink).where(CaseLink.case_id == case_id).order_by(CaseLink.id)).all()
    found: list[tuple[LinkKind, int, str]] = []
    for row in rows:
        said = ""
        if row.kind is LinkKind.INCIDENT:
            said = session.scalar(select(Incident.title).where(Incident.id == row.other_id)) or ""
        elif row.kind is LinkKind.CASE:
            said = session.scalar(select(Case.number).where(Case.id == row.other_id)) or ""
        found.append((row.kind, row.other_id, said))
    back = session.execute(
        select(Case.id, Case.number)
        .join(CaseLink, CaseLink.case_id == Case.id)
        .where(CaseLink.kind == LinkKind.CASE, CaseLink.other_id == case_id)
    )
    return (*found, *((LinkKind.CASE, row.id, row.number) for row in back))
