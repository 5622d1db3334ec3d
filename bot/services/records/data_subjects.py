"""Whose data: every contact that is one person, and what hangs on them, for the copy and for the erasure
(REQ-G12, G14)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, or_, select
from sqlalchemy.orm import Session

from bot.services import contacts
from store.tables import (
    Address,
    Answer,
    Attachment,
    Callback,
    Case,
    CaseNote,
    Conversation,
    Delivery,
    Message,
    NextStep,
    Revision,
    Visit,
)


@dataclass(frozen=True, slots=True)
class Person:
    """Whose data: every contact that is this person, and what hangs on them."""

    people: tuple[int, ...]
    conversations: tuple[int, ...]
    cases: tuple[int, ...]
    callbacks: tuple[int, ...]
    addresses: tuple[int, ...]


def person(session: Session, contact_id: int) -> Person:
    people = tuple(contacts.same_person(session, contact_id))

    def ids(table: Any) -> tuple[int, ...]:
        return tuple(session.scalars(select(table.id).where(table.contact_id.in_(people)).order_by(table.id)))

    return Person(people, ids(Conversation), ids(Case), ids(Callback), ids(Address))


def files(session: Session, who: Person) -> tuple[str, ...]:
    """The random names of their files under HOTLINE_DATA_DIR/media."""
    ids = select(Message.id).where(Message.conversation_id.in_(who.conversations))
    found = session.scalars(select(Attachment.file).where(Attachment.message_id.in_(ids), Attachment.file.is_not(None)))
    return tuple(name for name in found if name is not None)


def sent_to(who: Person) -> ColumnElement[bool]:
    """Deliveries that were for them."""
    return or_(
        Delivery.contact_id.in_(who.people),
        Delivery.conversation_id.in_(who.conversations),
        Delivery.address_id.in_(who.addresses),
    )


def revised(session: Session, who: Person) -> ColumnElement[bool]:
    """What was changed of them and of theirs."""
    visits = session.scalars(select(Visit.id).where(Visit.contact_id.in_(who.people)))
    steps = session.scalars(select(NextStep.id).where(NextStep.callback_id.in_(who.callbacks)))
    answers = session.scalars(select(Answer.id).where(Answer.callback_id.in_(who.callbacks)))
    notes = session.scalars(select(CaseNote.id).where(CaseNote.case_id.in_(who.cases)))
    subjects: dict[str, Sequence[int]] = {
        "contact": who.people,
        "case": who.cases,
        "callback": who.callbacks,
        "conversation": who.conversations,
        "visit": visits.all(),
        "next_step": steps.all(),
        "answer": answers.all(),
        "case_note": notes.all(),
    }
    return or_(*((Revision.subject == name) & Revision.subject_id.in_(ids) for name, ids in subjects.items()))


def withdrew(session: Session, contact_id: int) -> list[str]:
    """The scopes this person withdrew their consent to."""
    return sorted(scope for scope, (granted, _) in contacts.consents(session, contact_id).items() if not granted)
