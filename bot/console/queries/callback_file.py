"""One callback as the viewer may see it: attempts, answers, next steps (REQ-C15, C17, G18), and whose it is (A22)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from bot.console.queries.callbacks import CallbackRow, row_of
from bot.console.queries.people import Card, card
from bot.services.calls.bookings import numbers_of
from bot.services.permissions import Function, Grant
from bot.services.plans import followups
from bot.services.plans.next_steps import OPEN
from bot.services.records import corrections
from bot.services.records.corrections import Given, Was
from bot.services.staffing.staff import SignedIn
from store.tables import (
    Address,
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


@dataclass(frozen=True, slots=True)
class Said:
    """An answer; `text` None where this viewer may not see it, `was` what it said before."""

    question: str
    text: str | None
    score: int | None
    at: datetime
    id: int
    was: tuple[Was, ...] = ()


@dataclass(frozen=True, slots=True)
class CallbackFile:
    """One callback with everything around it. `manages`: the viewer may change it; `own`: it is their own case.

    `numbers` are what may be rung, by address id and as the viewer may see them."""

    callback: Callback
    row: CallbackRow
    card: Card
    event: Event | None
    case: Case | None
    attempts: tuple[CallAttempt, ...]
    answers: tuple[Said, ...]
    steps: tuple[tuple[NextStep, str], ...]
    numbers: tuple[tuple[int, str], ...]
    manages: bool
    own: bool
    assigns: bool


def callback_file(session: Session, callback_id: int, viewer: SignedIn, now: datetime) -> CallbackFile | None:
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
        row=row_of(
            callback,
            contact,
            event,
            len(attempts),
            _name(session, callback.booked_by),
            _name(session, callback.staff_id),
        ),
        card=card(session, contact.id, viewer, now, own=own),
        event=event,
        case=session.get(Case, callback.case_id) if callback.case_id is not None else None,
        attempts=tuple(attempts),
        answers=_answers(session, callback_id, own or viewer.may(Function.SEE_HEALTH)),
        steps=tuple((step, name) for step, name in steps),
        numbers=tuple(
            session.execute(select(Address.id, Address.hint).where(Address.id.in_(numbers_of(session, callback))))
            .tuples()
            .all()
        ),
        manages=may_change(callback, viewer),
        own=own,
        assigns=viewer.may(Function.ASSIGN_NEXT_STEP),
    )


def _answers(session: Session, callback_id: int, health: bool) -> tuple[Said, ...]:
    rows: Sequence[Answer] = session.scalars(
        select(Answer).where(Answer.callback_id == callback_id).order_by(Answer.id)
    ).all()

    def said(given: Given) -> Said:
        a = given.row
        if not health and followups.is_health(a.question):
            return Said(a.question, None, given.score, a.at, a.id)
        return Said(a.question, given.text, given.score, a.at, a.id, given.was)

    return tuple(said(given) for given in corrections.answers(session, rows))


def _name(session: Session, staff_id: int | None) -> str | None:
    return session.scalar(select(Staff.name).where(Staff.id == staff_id)) if staff_id is not None else None


def may_change(callback: Callback, viewer: SignedIn) -> bool:
    """Whoever manages the queue, and everybody in their own diary (REQ-A22)."""
    if viewer.may(Function.MANAGE_CALLBACKS, Grant.YES):
        return True
    return viewer.may(Function.MANAGE_CALLBACKS) and viewer.staff_id in (callback.staff_id, callback.booked_by)


def is_own(session: Session, callback: Callback, staff_id: int) -> bool:
    """Whether this callback is of one's own diary or cases (REQ-A22): a case about it, a conversation one held, or
    an open next step that one was given."""
    if staff_id in (callback.staff_id, callback.booked_by):
        return True
    about = or_(Case.callback_id == callback.id, Case.id == callback.case_id)
    works = session.scalar(select(Case.id).where(about, Case.staff_id == staff_id).limit(1))
    held = select(Conversation.id).where(
        Conversation.callback_id == callback.id,
        Conversation.staff_id == staff_id,
        Conversation.contact_id == callback.contact_id,
    )
    owes = select(NextStep.id).where(
        NextStep.callback_id == callback.id, NextStep.owner_id == staff_id, NextStep.state == OPEN
    )
    return works is not None or any(session.scalar(each.limit(1)) is not None for each in (held, owes))
