"""Legal holds: while a matter is open, nothing that hangs together with it is disposed of or erased (REQ-G08, G11).

A hold reaches further than the row it stands on: a person's reaches all of theirs, a case's its conversations, an
incident's its cases and whoever reported it, a conversation's its cases, a recording's the conversation it was made in.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Select, select, union
from sqlalchemy.orm import Session

from bot.core.media import MediaKind
from bot.core.retention import HoldSubject
from bot.services import audit, contacts
from bot.services.refusal import RefusedError
from store.tables import (
    Attachment,
    Broadcast,
    Case,
    CaseLink,
    Contact,
    Conversation,
    CustomerReport,
    Disposal,
    DisposalState,
    Incident,
    LegalHold,
    LinkKind,
    Message,
)

TABLES: Mapping[HoldSubject, Any] = {
    HoldSubject.CONTACT: Contact,
    HoldSubject.CASE: Case,
    HoldSubject.INCIDENT: Incident,
    HoldSubject.CONVERSATION: Conversation,
    HoldSubject.RECORDING: Attachment,
}


def place(
    session: Session, subject: HoldSubject, subject_id: int, reason: str, *, staff_id: int, now: datetime
) -> LegalHold:
    """Holds a thing, for a reason. Raises RefusedError, also where it is held for the very same reason already."""
    reason = reason.strip()[:2000]
    if not reason:
        raise RefusedError("hold_reason_missing")
    _wait_for_disposals(session)
    there = session.get(TABLES[subject], subject_id)
    if there is None or (isinstance(there, Attachment) and there.kind is not MediaKind.VOICE):
        raise RefusedError("hold_nothing_there")
    same = (LegalHold.subject == subject, LegalHold.subject_id == subject_id, LegalHold.reason == reason)
    if session.scalar(select(LegalHold.id).where(*same, LegalHold.lifted_at.is_(None)).limit(1)) is not None:
        raise RefusedError("hold_placed_already")
    hold = LegalHold(subject=subject, subject_id=subject_id, reason=reason, staff_id=staff_id, at=now)
    session.add(hold)
    session.flush()
    audit.record(
        session, "hold.place", "hold", hold.id, now=now, staff_id=staff_id, note=reason, on=subject, of=subject_id
    )
    return hold


def _wait_for_disposals(session: Session) -> None:
    """A page that is being destroyed is either over before the hold is placed, or sees it."""
    going = select(Disposal.id).where(Disposal.state == DisposalState.APPROVED).order_by(Disposal.id)
    session.execute(going.with_for_update())


def lift(session: Session, hold_id: int, why: str, *, staff_id: int, now: datetime) -> LegalHold:
    """Lifts a hold, for a reason. Raises RefusedError."""
    hold = session.get_one(LegalHold, hold_id, with_for_update=True)
    why = why.strip()[:2000]
    if hold.lifted_at is not None:
        raise RefusedError("hold_lifted_already")
    if not why:
        raise RefusedError("hold_reason_missing")
    hold.lifted_by, hold.lifted_why, hold.lifted_at = staff_id, why, now
    audit.record(
        session,
        "hold.lift",
        "hold",
        hold.id,
        now=now,
        staff_id=staff_id,
        note=why,
        on=hold.subject,
        of=hold.subject_id,
    )
    return hold


@dataclass(frozen=True, slots=True)
class Reach:
    """What all open holds together reach: the ids of each kind, with the holds that reach them."""

    ids: Mapping[HoldSubject, Mapping[int, frozenset[int]]]

    def of(self, subject: HoldSubject, ids: Iterable[int]) -> frozenset[int]:
        """The holds that reach one of these."""
        return frozenset().union(*(self.ids[subject].get(each, frozenset()) for each in ids))


def reach(session: Session) -> Reach:
    """What is held now."""
    found: dict[HoldSubject, dict[int, frozenset[int]]] = {subject: {} for subject in HoldSubject}
    for hold in session.scalars(select(LegalHold).where(LegalHold.lifted_at.is_(None)).order_by(LegalHold.id)):
        for subject, ids in _reached(session, hold).items():
            for each in ids:
                found[subject][each] = found[subject].get(each, frozenset()) | {hold.id}
    return Reach(found)


def held(session: Session, subject: HoldSubject, subject_id: int) -> tuple[LegalHold, ...]:
    """The open holds that forbid to dispose of this thing or to erase it, the earliest first; none: it may go.

    A contact may not be erased while anything of theirs, or of whoever was merged into them, is held.
    """
    reached = reach(session)
    ids = reached.of(subject, [subject_id])
    if subject is HoldSubject.CONTACT:
        people = contacts.same_person(session, subject_id)
        theirs = {each: list(session.scalars(query)) for each, query in _of_people(people).items()}
        ids = reached.of(subject, people).union(*(reached.of(each, found) for each, found in theirs.items()))
    elif subject is HoldSubject.RECORDING:
        ids |= reached.of(HoldSubject.CONVERSATION, session.scalars(_made_in([subject_id])))
    query = select(LegalHold).where(LegalHold.id.in_(ids)).order_by(LegalHold.id)
    return tuple(session.scalars(query)) if ids else ()


def _reached(session: Session, hold: LegalHold) -> dict[HoldSubject, set[int]]:
    """A hold's own thing and what hangs together with it."""
    found: dict[HoldSubject, set[int]] = {hold.subject: {hold.subject_id}}
    match hold.subject:
        case HoldSubject.CONTACT:
            people = contacts.same_person(session, hold.subject_id)
            found = {each: set(session.scalars(query)) for each, query in _of_people(people).items()}
            found[HoldSubject.CONTACT] = set(people)
        case HoldSubject.CASE:
            found[HoldSubject.CONVERSATION] = _talked_in(session, [hold.subject_id])
        case HoldSubject.INCIDENT:
            cases = _cases_of_incident(session, hold.subject_id)
            told = select(CustomerReport.conversation_id).where(CustomerReport.incident_id == hold.subject_id)
            found[HoldSubject.CASE] = cases
            found[HoldSubject.CONVERSATION] = _talked_in(session, cases) | set(filter(None, session.scalars(told)))
        case HoldSubject.CONVERSATION:
            found[HoldSubject.CASE] = _cases_of_conversation(session, hold.subject_id)
        case HoldSubject.RECORDING:
            found[HoldSubject.CONVERSATION] = set(session.scalars(_made_in([hold.subject_id])))
    return found


def _of_people(people: Sequence[int]) -> dict[HoldSubject, Select[tuple[int]]]:
    return {
        HoldSubject.CONVERSATION: select(Conversation.id).where(Conversation.contact_id.in_(people)),
        HoldSubject.CASE: select(Case.id).where(Case.contact_id.in_(people)),
    }


def _made_in(attachments: Sequence[int]) -> Select[tuple[int]]:
    joined = select(Message.conversation_id).join(Attachment, Attachment.message_id == Message.id)
    return joined.where(Attachment.id.in_(attachments))


def _talked_in(session: Session, cases: Iterable[int]) -> set[int]:
    """The conversations of these cases."""
    ids = list(cases)
    linked = select(CaseLink.other_id).where(CaseLink.kind == LinkKind.CONVERSATION, CaseLink.case_id.in_(ids))
    own = select(Case.conversation_id).where(Case.id.in_(ids), Case.conversation_id.is_not(None))
    return set(session.scalars(union(own, linked)))


def _cases_of_incident(session: Session, incident_id: int) -> set[int]:
    """What was linked with it, and what people answered to its announcements."""
    linked = select(CaseLink.case_id).where(CaseLink.kind == LinkKind.INCIDENT, CaseLink.other_id == incident_id)
    answered = select(Case.id).join(Broadcast, Broadcast.id == Case.broadcast_id)
    return set(session.scalars(union(linked, answered.where(Broadcast.incident_id == incident_id))))


def _cases_of_conversation(session: Session, conversation_id: int) -> set[int]:
    kind = CaseLink.kind == LinkKind.CONVERSATION
    linked = select(CaseLink.case_id).where(kind, CaseLink.other_id == conversation_id)
    own = select(Case.id).where(Case.conversation_id == conversation_id)
    return set(session.scalars(union(own, linked)))
