"""Cases (工单): opened with a number, assigned, answered with feedback, closed, reopened (REQ-E01..E07)."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from bot.core.ladder import TOP, ladder_for
from bot.core.redaction import without_addresses
from bot.core.words import CaseKind, CaseState, RepairStage, Urgency, VisitState
from bot.services import audit, contacts
from bot.services.casework import case_clocks
from bot.services.centre import Centre
from bot.services.desk.wrap_up import CASE_WRAP_UPS, RETURNED
from bot.services.escalation import alerts, ladders
from bot.services.records import locked
from bot.services.refusal import RefusedError
from store.db import touch
from store.tables import Archivable, Case, CaseNote, CaseTask, Counter, Escalation, FoundItem, RepairOrder, Visit

LETTERS = {CaseKind.REPAIR: "R", CaseKind.INQUIRY: "Q"}
OPEN_STATES = (CaseState.OPEN, CaseState.ASSIGNED, CaseState.PENDING, CaseState.RESOLVED)


def next_number(session: Session, name: str) -> int:
    """The next of a running number, counted under the counter's row lock."""
    insert = sqlite.insert if session.get_bind().dialect.name == "sqlite" else postgresql.insert
    statement = (
        insert(Counter)
        .values(name=name, value=1)
        .on_conflict_do_update(index_elements=["name"], set_={"value": Counter.value + 1})
        .returning(Counter.value)
    )
    return int(session.execute(statement).scalar_one())


def open_case(
    session: Session,
    *,
    kind: CaseKind,
    contact_id: int,
    subject: str,
    zone: ZoneInfo,
    now: datetime,
    facts: dict[str, Any] | None = None,
    urgency: Urgency = Urgency.ORDINARY,
    queue: str = "service",
    due_in: timedelta | None = None,
    conversation_id: int | None = None,
    callback_id: int | None = None,
    broadcast_id: int | None = None,
    emotion: int = 0,
    category: str = "",
    urgent_why: str = "",
    staff_id: int | None = None,
) -> Case:
    """Opens a case; its number reads C20261121-0042: letter, the centre's date, running number of the day."""
    day = now.astimezone(zone).strftime("%Y%m%d")
    letter = LETTERS.get(kind, "C")
    case = Case(
        number=f"{letter}{day}-{next_number(session, f'case:{letter}{day}'):04d}",
        kind=kind,
        urgency=urgency,
        queue=queue,
        contact_id=contact_id,
        conversation_id=conversation_id,
        callback_id=callback_id,
        broadcast_id=broadcast_id,
        subject=without_addresses(subject)[:200],
        category=category[:40],
        urgent_why=urgent_why[:200],
        facts=facts or {},
        emotion=emotion,
        opened_at=now,
        due_at=now + due_in if due_in else None,
        look_at=now,
    )
    session.add(case)
    session.flush()
    if kind is CaseKind.REPAIR:
        session.add(RepairOrder(case_id=case.id, stage=RepairStage.REGISTERED, changed_at=now))
    note(session, case.id, "opened", case.subject, now=now, staff_id=staff_id)
    touch(session, "floor")
    return case


def note(session: Session, case_id: int, kind: str, text: str, *, now: datetime, staff_id: int | None = None) -> None:
    session.add(CaseNote(case_id=case_id, staff_id=staff_id, kind=kind, text=text, at=now))
    touch(session, "floor")


def by_number(session: Session, number: str) -> Case | None:
    return session.scalar(select(Case).where(Case.number == number.strip().upper()))


def open_for(session: Session, contact_id: int, kind: CaseKind | None = None) -> Case | None:
    """The contact's latest case that is not closed."""
    people = contacts.same_person(session, contact_id)
    query = select(Case).where(Case.contact_id.in_(people), Case.state.in_(OPEN_STATES))
    if kind is not None:
        query = query.where(Case.kind == kind)
    return session.scalar(query.order_by(Case.id.desc()).limit(1))


def _held(session: Session, case_id: int) -> Case:
    case = session.get_one(Case, case_id, with_for_update=True)
    case.revision += 1
    return case


def assign(
    session: Session,
    case_id: int,
    to_staff_id: int,
    *,
    by_staff_id: int,
    now: datetime,
    how: str = alerts.CONSOLE,
) -> Case:
    """Gives a case to somebody; whoever answered an alert so did it by the channel `how`."""
    case = _held(session, case_id)
    if case.state is CaseState.CLOSED:
        raise RefusedError("case_closed")
    case.staff_id, case.state = to_staff_id, CaseState.ASSIGNED
    case_clocks.go_on(case, now)
    case_clocks.respond(case, now)
    ladders.acknowledge(session, ladders.of_case(case.id), by_staff_id, now, how=how)
    note(session, case.id, "assigned", "", now=now, staff_id=by_staff_id)
    audit.record(session, "case.assign", "case", case.id, now=now, staff_id=by_staff_id, to=to_staff_id)
    return case


def give_feedback(session: Session, case_id: int, text: str, *, staff_id: int, now: datetime) -> Case:
    """Records that the result was told to the customer (REQ-E06); the case is then resolved."""
    case = _held(session, case_id)
    if case.state is CaseState.CLOSED:
        raise RefusedError("case_closed")
    if not text.strip():
        raise RefusedError("feedback_empty")
    case.feedback, case.feedback_at, case.state = text.strip(), now, CaseState.RESOLVED
    case_clocks.stop(case, now)
    note(session, case.id, "feedback", case.feedback, now=now, staff_id=staff_id)
    audit.record(session, "case.feedback", "case", case.id, now=now, staff_id=staff_id)
    return case


def close(session: Session, case_id: int, *, staff_id: int | None, wrap_up: str = "", now: datetime) -> Case:
    """Closes a case that has its feedback and awaits neither visit nor colleague; a person says by a code of
    CASE_WRAP_UPS how it ended. Raises RefusedError otherwise."""
    case = _held(session, case_id)
    if staff_id is not None and wrap_up not in CASE_WRAP_UPS:
        raise RefusedError("wrap_up_missing")
    if session.scalar(select(CaseTask.id).where(CaseTask.case_id == case.id, CaseTask.done_at.is_(None)).limit(1)):
        raise RefusedError("tasks_open")
    item = session.get(FoundItem, case.id)
    if item is not None and item.returned_at is None and wrap_up == RETURNED:
        raise RefusedError("item_not_returned")
    if case.feedback_at is None:
        raise RefusedError("feedback_missing")
    if session.scalar(select(Visit.id).where(Visit.case_id == case.id, Visit.state == VisitState.BOOKED)) is not None:
        raise RefusedError("visit_booked")
    case.state, case.closed_at, case.wrap_up = CaseState.CLOSED, now, wrap_up or None
    case.look_at = None
    ladders.end(session, ladders.of_case(case.id), now)
    note(session, case.id, "closed", wrap_up, now=now, staff_id=staff_id)
    audit.record(session, "case.close", "case", case.id, now=now, staff_id=staff_id)
    return case


def reopen(
    session: Session, centre: Centre, case_id: int, why: str, *, now: datetime, staff_id: int | None = None
) -> Case:
    """Not solved after all: open again, one level higher, and climbing from that level's people on (REQ-E07)."""
    case = _held(session, case_id)
    locked.goes_on(session, Archivable.CASE, case.id, now=now)
    case.state, case.closed_at, case.feedback_at, case.wrap_up = CaseState.OPEN, None, None, None
    case.level, case.reopened = min(case.level + 1, TOP), case.reopened + 1
    case_clocks.run_again(case, now)
    _register_again(session, case.id, now, staff_id)
    if not ladders.climbs(session, ladders.of_case(case.id)):
        escalate(session, centre, case, now)
    note(session, case.id, "reopened", why, now=now, staff_id=staff_id)
    audit.record(session, "case.reopen", "case", case.id, now=now, staff_id=staff_id, level=case.level)
    return case


def climbs(case: Case) -> bool:
    """Whether a new case wants somebody at once: urgent ones, complaints and the media (REQ-E05, E15, E16)."""
    return case.urgency is Urgency.URGENT or case.kind in (CaseKind.COMPLAINT, CaseKind.MEDIA)


def escalate(session: Session, centre: Centre, case: Case, now: datetime, reason: str = "") -> Escalation:
    """Starts the ladder that becomes the case: an ordinary complaint's own, else its urgency's (REQ-E05, E09)."""
    return ladders.start(
        session,
        centre,
        reason=reason or case.kind,
        urgency=case.urgency,
        case_id=case.id,
        name=ladder_for(case.kind, case.urgency),
        level=case.level,
        now=now,
    )


def _register_again(session: Session, case_id: int, now: datetime, staff_id: int | None) -> None:
    """A repair that is not settled after all begins anew, with nothing quoted and nothing agreed to."""
    order = session.get(RepairOrder, case_id, with_for_update=True)
    if order is None:
        return
    audit.revise(
        session, "case", case_id, "stage", order.stage, RepairStage.REGISTERED, now=now, staff_id=staff_id, why="reopen"
    )
    order.stage, order.charged, order.consented_at, order.consent_how = RepairStage.REGISTERED, None, None, ""
    order.revision, order.changed_at = order.revision + 1, now
