"""Records of customers: which of them ended, and what each hangs together with (REQ-G01, G08)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Select, exists, or_, select
from sqlalchemy.orm import Session

from bot.core.media import MediaKind, MediaState
from bot.core.policy import RecordKind
from bot.core.retention import Found, HoldSubject, Part
from bot.core.words import CallbackState, CaseKind, CaseState, ConversationState, IncidentState
from bot.services.records.holds import Reach
from store.tables import (
    Attachment,
    Broadcast,
    Callback,
    Case,
    CaseLink,
    Conversation,
    CustomerReport,
    Incident,
    LinkKind,
    ManualRecord,
    Message,
    NextStep,
)

Ended = Callable[[datetime], Select[tuple[int]]]
"""The ids of what ended by a moment and is still there."""
Look = Callable[[Session, RecordKind, list[int], Reach], list[Found]]
"""These records as they stand now; one that is gone is left out."""

COMPLAINTS = (CaseKind.COMPLAINT, CaseKind.RED_FLAG)
CALLED = (CallbackState.DONE, CallbackState.GIVEN_UP, CallbackState.CANCELLED)


def _conversations(edge: datetime) -> tuple[ColumnElement[bool], ...]:
    return Conversation.state == ConversationState.CLOSED, Conversation.closed_at <= edge


def _recordings(edge: datetime) -> Select[tuple[int]]:
    told = select(Attachment.id).join(Message, Message.id == Attachment.message_id)
    there = told.join(Conversation, Conversation.id == Message.conversation_id)
    return there.where(Attachment.kind == MediaKind.VOICE, Attachment.state == MediaState.KEPT, *_conversations(edge))


def _transcripts(edge: datetime) -> Select[tuple[int]]:
    said = exists(select(Message.id).where(Message.conversation_id == Conversation.id))
    return select(Conversation.id).where(*_conversations(edge), said)


def _ratings(edge: datetime) -> Select[tuple[int]]:
    rated = or_(Conversation.rating.is_not(None), Conversation.rating_comment != "")
    return select(Conversation.id).where(*_conversations(edge), rated)


def _cases(kind: RecordKind) -> Callable[[datetime], Select[tuple[int]]]:
    complaint = Case.kind.in_(COMPLAINTS)
    which = complaint if kind is RecordKind.COMPLAINT else ~Case.kind.in_((*COMPLAINTS, CaseKind.PRIVACY))
    return lambda edge: select(Case.id).where(which, Case.state == CaseState.CLOSED, Case.closed_at <= edge)


def _incidents(*, drill: bool) -> Callable[[datetime], Select[tuple[int]]]:
    over = Incident.state == IncidentState.CLOSED
    return lambda edge: select(Incident.id).where(Incident.drill.is_(drill), over, Incident.ended_at <= edge)


ENDED: Mapping[RecordKind, Ended] = {
    RecordKind.RECORDING: _recordings,
    RecordKind.TRANSCRIPT: _transcripts,
    RecordKind.SATISFACTION: _ratings,
    RecordKind.FOLLOW_UP: lambda edge: select(Callback.id).where(
        Callback.state.in_(CALLED), Callback.closed_at <= edge
    ),
    RecordKind.BY_HAND: lambda edge: select(ManualRecord.id).where(ManualRecord.taken_at <= edge),
    RecordKind.COMPLAINT: _cases(RecordKind.COMPLAINT),
    RecordKind.CASE: _cases(RecordKind.CASE),
    RecordKind.DRILL: _incidents(drill=True),
    RecordKind.INCIDENT: _incidents(drill=False),
}


# ── one by one ──


def case_part(case: Case) -> Part:
    """A case as something that is kept; it goes on until it is closed."""
    kind = RecordKind.COMPLAINT if case.kind in COMPLAINTS else RecordKind.CASE
    return Part(kind, case.closed_at if case.state is CaseState.CLOSED else None)


def incident_part(incident: Incident) -> Part:
    """An incident, or a drill, as something that is kept; it goes on until its file is closed."""
    kind = RecordKind.DRILL if incident.drill else RecordKind.INCIDENT
    return Part(kind, incident.ended_at if incident.state is IncidentState.CLOSED else None)


def _talk_part(kind: RecordKind, talk: Conversation) -> Part:
    return Part(kind, talk.closed_at if talk.state is ConversationState.CLOSED else None)


def _of_talks(session: Session, kind: RecordKind, ids: list[int], reached: Reach) -> list[Found]:
    """Transcripts and ratings. A transcript is kept as long as the recordings made in it."""
    linked = _linked_to_talks(session, ids)
    spoken: set[int] = set()
    if kind is RecordKind.TRANSCRIPT:
        voices = select(Message.conversation_id).join(Attachment, Attachment.message_id == Message.id)
        kept = Attachment.kind == MediaKind.VOICE, Attachment.state == MediaState.KEPT
        spoken = set(session.scalars(voices.where(Message.conversation_id.in_(ids), *kept)))
    found = []
    for talk in session.scalars(select(Conversation).where(Conversation.id.in_(ids))):
        parts = linked[talk.id] + ([_talk_part(RecordKind.RECORDING, talk)] if talk.id in spoken else [])
        holds = reached.of(HoldSubject.CONVERSATION, [talk.id])
        title = f"#{talk.id}"
        found.append(Found(kind, talk.id, title, _talk_part(kind, talk), tuple(parts), holds))
    return found


def _of_recordings(session: Session, kind: RecordKind, ids: list[int], reached: Reach) -> list[Found]:
    told = select(Attachment.id, Conversation).join(Message, Message.id == Attachment.message_id)
    rows = session.execute(
        told.join(Conversation, Conversation.id == Message.conversation_id).where(Attachment.id.in_(ids))
    ).all()
    linked = _linked_to_talks(session, [talk.id for _, talk in rows])
    return [
        Found(
            kind,
            attachment_id,
            f"#{talk.id}/{attachment_id}",
            _talk_part(kind, talk),
            tuple(linked[talk.id]),
            reached.of(HoldSubject.RECORDING, [attachment_id]) | reached.of(HoldSubject.CONVERSATION, [talk.id]),
        )
        for attachment_id, talk in rows
    ]


def _of_callbacks(session: Session, kind: RecordKind, ids: list[int], reached: Reach) -> list[Found]:
    """A follow-up goes on while somebody owes a step of it; it is kept with its case, and with the case's incidents."""
    callbacks = session.scalars(select(Callback).where(Callback.id.in_(ids))).all()
    owing = select(NextStep.callback_id).where(NextStep.callback_id.in_(ids), NextStep.state == "open")
    owed = set(session.scalars(owing))
    cases: list[Case] = _by_id(session, Case, (each.case_id for each in callbacks))
    incidents = _incidents_of_cases(session, cases)
    linked = {case.id: (case_part(case), *incidents[case.id]) for case in cases}
    found = []
    for each in callbacks:
        over = each.closed_at if each.state in CALLED and each.id not in owed else None
        holds = reached.of(HoldSubject.CONTACT, [each.contact_id])
        if each.case_id is not None:
            holds |= reached.of(HoldSubject.CASE, [each.case_id])
        parts = linked[each.case_id] if each.case_id is not None else ()
        found.append(Found(kind, each.id, f"#{each.id}", Part(kind, over), parts, holds))
    return found


def _of_hand_records(session: Session, kind: RecordKind, ids: list[int], reached: Reach) -> list[Found]:
    records = session.scalars(select(ManualRecord).where(ManualRecord.id.in_(ids))).all()
    incidents = {each.id: each for each in _by_id(session, Incident, (record.incident_id for record in records))}
    return [
        Found(
            kind,
            each.id,
            f"#{each.id}",
            Part(kind, each.taken_at),
            (incident_part(incidents[each.incident_id]),) if each.incident_id in incidents else (),
            reached.of(HoldSubject.CONTACT, filter(None, [each.contact_id]))
            | reached.of(HoldSubject.INCIDENT, filter(None, [each.incident_id])),
        )
        for each in records
    ]


def _of_cases(session: Session, kind: RecordKind, ids: list[int], reached: Reach) -> list[Found]:
    """A case is kept with its incidents, and with the calls made about it."""
    cases = session.scalars(select(Case).where(Case.id.in_(ids))).all()
    linked = _incidents_of_cases(session, cases)
    for callback in session.scalars(select(Callback).where(Callback.case_id.in_(ids))):
        over = callback.closed_at if callback.state in CALLED else None
        linked[callback.case_id or 0].append(Part(RecordKind.FOLLOW_UP, over))
    return [
        Found(
            kind, each.id, each.number, case_part(each), tuple(linked[each.id]), reached.of(HoldSubject.CASE, [each.id])
        )
        for each in cases
    ]


def _of_incidents(session: Session, kind: RecordKind, ids: list[int], reached: Reach) -> list[Found]:
    return [
        Found(
            kind,
            each.id,
            f"{each.code} #{each.id}",
            incident_part(each),
            (),
            reached.of(HoldSubject.INCIDENT, [each.id]),
        )
        for each in session.scalars(select(Incident).where(Incident.id.in_(ids)))
    ]


LOOK: Mapping[RecordKind, Look] = {
    RecordKind.RECORDING: _of_recordings,
    RecordKind.TRANSCRIPT: _of_talks,
    RecordKind.SATISFACTION: _of_talks,
    RecordKind.FOLLOW_UP: _of_callbacks,
    RecordKind.BY_HAND: _of_hand_records,
    RecordKind.COMPLAINT: _of_cases,
    RecordKind.CASE: _of_cases,
    RecordKind.DRILL: _of_incidents,
    RecordKind.INCIDENT: _of_incidents,
}


# ── what hangs together ──


def _linked_to_talks(session: Session, ids: Sequence[int]) -> defaultdict[int, list[Part]]:
    """What each conversation belongs to: the cases opened from it or linked with it, their incidents, and the incident
    somebody reported in it."""
    cases: defaultdict[int, set[int]] = defaultdict(set)
    for case_id, talk_id in session.execute(select(Case.id, Case.conversation_id).where(Case.conversation_id.in_(ids))):
        cases[talk_id].add(case_id)
    to_talk = CaseLink.kind == LinkKind.CONVERSATION, CaseLink.other_id.in_(ids)
    for case_id, talk_id in session.execute(select(CaseLink.case_id, CaseLink.other_id).where(*to_talk)):
        cases[talk_id].add(case_id)
    known = {case.id: case for case in _by_id(session, Case, (each for found in cases.values() for each in found))}
    incidents = _incidents_of_cases(session, known.values())
    linked: defaultdict[int, list[Part]] = defaultdict(list)
    for talk_id, found in cases.items():
        for case_id in sorted(found):
            linked[talk_id] += [case_part(known[case_id]), *incidents[case_id]]
    reported = select(CustomerReport.conversation_id, Incident).join(
        Incident, Incident.id == CustomerReport.incident_id
    )
    for talk_id, incident in session.execute(reported.where(CustomerReport.conversation_id.in_(ids))):
        linked[talk_id].append(incident_part(incident))
    return linked


def _incidents_of_cases(session: Session, cases: Iterable[Case]) -> defaultdict[int, list[Part]]:
    """The incidents each case is linked with, or whose announcement it answers."""
    listed = {case.id: case for case in cases}
    linked: defaultdict[int, list[Part]] = defaultdict(list)
    joined = select(CaseLink.case_id, Incident).join(Incident, Incident.id == CaseLink.other_id)
    for case_id, incident in session.execute(
        joined.where(CaseLink.kind == LinkKind.INCIDENT, CaseLink.case_id.in_(listed))
    ):
        linked[case_id].append(incident_part(incident))
    told = {each.id: each for each in _by_id(session, Broadcast, (case.broadcast_id for case in listed.values()))}
    about = {each.id: each for each in _by_id(session, Incident, (each.incident_id for each in told.values()))}
    for case in listed.values():
        if case.broadcast_id in told:
            linked[case.id].append(incident_part(about[told[case.broadcast_id].incident_id]))
    return linked


def _by_id(session: Session, table: Any, ids: Iterable[int | None]) -> list[Any]:
    wanted = {each for each in ids if each is not None}
    return list(session.scalars(select(table).where(table.id.in_(wanted)))) if wanted else []
