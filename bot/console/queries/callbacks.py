"""The callback queue and one callback as the viewer may see them (PEERS "Calls and callbacks", REQ-C15, C17, G18)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from sqlalchemy import ColumnElement, TextClause, func, or_, select
from sqlalchemy.orm import Session

from bot.console.queries.people import Card, card
from bot.core.calls import ENDED
from bot.core.windows import local_date, local_midnight
from bot.core.words import CallbackState, Disposition, FollowUpGroup
from bot.services import followups
from bot.services.callbacks import RUNNING
from bot.services.permissions import Function, Grant
from bot.services.staff import SignedIn
from store.tables import (
    Answer,
    CallAttempt,
    Callback,
    Case,
    Contact,
    Conversation,
    Event,
    NextStep,
    Staff,
)

PAGE = 50
SHOWN_FOR = timedelta(days=30)  # what ended longer ago is in the reports


class QueueView(StrEnum):
    """The tabs of the queue."""

    TODAY = "today"
    LATER = "later"
    CHECK = "check"
    DONE = "done"


@dataclass(frozen=True, slots=True)
class CallbackRow:
    """A callback in the queue. `tried` counts its attempts."""

    id: int
    contact_id: int
    who: str
    title: str
    group: FollowUpGroup
    topic: str
    state: CallbackState
    disposition: Disposition | None
    due_at: datetime | None
    closed_at: datetime | None
    tried: int
    priority: int
    flags: tuple[str, ...]
    revision: int


@dataclass(frozen=True, slots=True)
class Said:
    """An answer; `text` None where this viewer may not see it."""

    question: str
    text: str | None
    score: int | None
    at: datetime


@dataclass(frozen=True, slots=True)
class CallbackFile:
    """One callback with everything around it. `manages`: the viewer may change it; `own`: it is their own case."""

    callback: Callback
    row: CallbackRow
    card: Card
    event: Event | None
    case: Case | None
    attempts: tuple[CallAttempt, ...]
    answers: tuple[Said, ...]
    steps: tuple[tuple[NextStep, str], ...]
    manages: bool
    own: bool
    assigns: bool


@dataclass(frozen=True, slots=True)
class Waiting:
    """An event no call could be planned for, and why."""

    id: int
    kind: str
    who: str
    happened_at: datetime
    unplanned: str


def in_view(view: QueueView, zone: str, now: datetime) -> tuple[ColumnElement[bool] | TextClause, ...]:
    """Which callbacks a tab shows."""
    tomorrow = local_midnight(local_date(now, zone) + timedelta(days=1), zone)
    lately = Callback.closed_at > now - SHOWN_FOR
    match view:
        case QueueView.TODAY:
            return (RUNNING, Callback.due_at < tomorrow)
        case QueueView.LATER:
            return (RUNNING, Callback.due_at >= tomorrow)
        case QueueView.CHECK:
            missed = Callback.disposition.in_((Disposition.FAILED, Disposition.WRONG_NUMBER))
            return (lately, Callback.state == CallbackState.GIVEN_UP, missed)
        case QueueView.DONE:
            return (lately, Callback.state.in_(ENDED))


def counted(session: Session, zone: str, now: datetime) -> dict[QueueView, int]:
    """How many callbacks each tab has."""
    return {
        view: session.scalar(select(func.count()).select_from(Callback).where(*in_view(view, zone, now))) or 0
        for view in QueueView
    }


def queue(session: Session, view: QueueView, zone: str, now: datetime, *, page: int = 1) -> tuple[CallbackRow, ...]:
    """A page of a tab: what waits in the order it will be called, what is over from the latest on."""
    over = view in (QueueView.CHECK, QueueView.DONE)
    order = (Callback.closed_at.desc(),) if over else (Callback.priority, Callback.due_at, Callback.id)
    found = session.execute(
        select(Callback, Contact, Event, _tried())
        .join(Contact, Contact.id == Callback.contact_id)
        .outerjoin(Event, Event.id == Callback.event_id)
        .where(*in_view(view, zone, now))
        .order_by(*order)
        .limit(PAGE)
        .offset((page - 1) * PAGE)
    )
    return tuple(_row(callback, contact, event, tried) for callback, contact, event, tried in found)


def _tried() -> ColumnElement[int]:
    return select(func.count()).select_from(CallAttempt).where(CallAttempt.callback_id == Callback.id).scalar_subquery()


def _row(callback: Callback, contact: Contact, event: Event | None, tried: int) -> CallbackRow:
    """A number may be a family's: who visited is named in the event."""
    details = event.details if event is not None else {}
    return CallbackRow(
        id=callback.id,
        contact_id=contact.id,
        who=details.get("name") or contact.name or contact.title,
        title=details.get("title") or contact.title,
        group=callback.follow_up_group,
        topic=callback.topic or details.get("department", ""),
        state=callback.state,
        disposition=callback.disposition,
        due_at=callback.due_at,
        closed_at=callback.closed_at,
        tried=tried,
        priority=callback.priority,
        flags=tuple(callback.flags),
        revision=callback.revision,
    )


def waiting_events(session: Session, limit: int = 20) -> tuple[Waiting, ...]:
    """Events that wait for a setting before their call can be planned."""
    rows = session.execute(
        select(Event, Contact)
        .join(Contact, Contact.id == Event.contact_id)
        .where(Event.unplanned.in_(followups.MENDABLE))
        .order_by(Event.id)
        .limit(limit)
    )
    return tuple(
        Waiting(
            event.id, event.kind, event.details.get("name") or contact.name, event.happened_at, event.unplanned or ""
        )
        for event, contact in rows
    )


def callback_file(session: Session, callback_id: int, viewer: SignedIn) -> CallbackFile | None:
    """One callback; None where there is none."""
    callback = session.get(Callback, callback_id)
    if callback is None:
        return None
    contact = session.get_one(Contact, callback.contact_id)
    attempts = session.scalars(
        select(CallAttempt).where(CallAttempt.callback_id == callback_id).order_by(CallAttempt.number)
    ).all()
    event = session.get(Event, callback.event_id) if callback.event_id is not None else None
    own = is_own(session, callback, viewer.staff_id)
    steps = session.execute(
        select(NextStep, Staff.name)
        .join(Staff, Staff.id == NextStep.owner_id)
        .where(NextStep.callback_id == callback_id)
        .order_by(NextStep.id)
    )
    return CallbackFile(
        callback=callback,
        row=_row(callback, contact, event, len(attempts)),
        card=card(session, contact.id, viewer, own=own),
        event=event,
        case=session.get(Case, callback.case_id) if callback.case_id is not None else None,
        attempts=tuple(attempts),
        answers=_answers(session, callback_id, own or viewer.may(Function.SEE_HEALTH)),
        steps=tuple((step, name) for step, name in steps),
        manages=viewer.may(Function.MANAGE_CALLBACKS, Grant.YES),
        own=own,
        assigns=viewer.may(Function.ASSIGN_NEXT_STEP),
    )


def _answers(session: Session, callback_id: int, health: bool) -> tuple[Said, ...]:
    rows: Sequence[Answer] = session.scalars(
        select(Answer).where(Answer.callback_id == callback_id).order_by(Answer.id)
    ).all()
    return tuple(
        Said(a.question, a.answer if health or not followups.is_health(a.question) else None, a.score, a.at)
        for a in rows
    )


def is_own(session: Session, callback: Callback, staff_id: int) -> bool:
    """Whether this callback is of one's own cases (REQ-A22): a case about it, or a conversation of it that one held."""
    about = or_(Case.callback_id == callback.id, Case.id == callback.case_id)
    works = session.scalar(select(Case.id).where(about, Case.staff_id == staff_id).limit(1))
    held = select(Conversation.id).where(
        Conversation.callback_id == callback.id,
        Conversation.staff_id == staff_id,
        Conversation.contact_id == callback.contact_id,
    )
    return works is not None or session.scalar(held.limit(1)) is not None
