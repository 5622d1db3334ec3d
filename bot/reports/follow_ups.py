"""The follow-up report (REQ-C15, C16, H10): one row a callback, and the figures over them.

A callback belongs to a period when it was due, tried or closed in it. Health answers are left out unless the reader may
see them (REQ-G18), numbers are masked unless they may see those (REQ-G14). Everything here is plain values;
spreadsheet.py turns it into files.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import and_, exists, or_, select
from sqlalchemy.orm import Session

from bot.core.media import MediaKind, MediaState
from bot.core.words import CallbackState, Disposition, FollowUpGroup
from bot.reports.figures import Figure, Measure, measures
from bot.reports.rows import Rights, Row, Step
from bot.services.desk.wrap_up import SILENT
from bot.services.plans import followups
from bot.services.records import corrections, voids
from bot.services.records.corrections import Given
from store.db import vault_of
from store.tables import (
    Address,
    Answer,
    Archivable,
    Attachment,
    CallAttempt,
    Callback,
    Case,
    Contact,
    Conversation,
    Event,
    Message,
    NextStep,
    Staff,
)

VOID = "void"  # a flag of a callback that counts in no figure (REQ-G04)
MOST = 100_000  # rows of one report


@dataclass(frozen=True, slots=True)
class Figures:
    """The figures over all rows, and what they are made of. `scores` are the mean and the people of each question."""

    total: int
    by_result: Mapping[Disposition | None, int]
    by_group: Mapping[FollowUpGroup, int]
    measures: Mapping[Figure, Measure]
    scores: Mapping[str, tuple[float, int]]


@dataclass(frozen=True, slots=True)
class FollowUps:
    """A report over since ≤ t < until, of one plan or (None) of all."""

    since: datetime
    until: datetime
    plan: str | None
    rows: tuple[Row, ...]
    figures: Figures
    questions: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Around:
    """What stands around the callbacks of a report, by id."""

    people: Mapping[int, Contact]
    events: Mapping[int, Event]
    cases: Mapping[int, Case]
    addresses: Mapping[int, Address]
    talks: Mapping[int, Conversation]
    recordings: Mapping[int, int]  # a conversation's recording
    void: frozenset[int]  # callbacks
    staff: Mapping[int, str]
    zone: ZoneInfo


def follow_ups(
    session: Session,
    *,
    since: datetime,
    until: datetime,
    rights: Rights,
    zone: ZoneInfo,
    plan: str | None = None,
) -> FollowUps:
    """Everything about the follow-ups of a period, in the order they were owed; `zone` is the centre's."""
    found = _callbacks(session, since, until, plan)
    ids = [callback.id for callback in found]
    attempts = _grouped(session, CallAttempt, ids, CallAttempt.number)
    answers = _answers(session, ids)
    steps = _grouped(session, NextStep, ids, NextStep.id)
    tried = [attempt for each in attempts.values() for attempt in each]
    talks = _by_id(session, Conversation, {a.conversation_id for a in tried if a.conversation_id})
    around = _Around(
        people=_by_id(session, Contact, {c.contact_id for c in found}),
        events=_by_id(session, Event, {c.event_id for c in found if c.event_id is not None}),
        cases=_by_id(session, Case, {c.case_id for c in found if c.case_id is not None}),
        addresses=_by_id(session, Address, {a.address_id for a in tried}),
        talks=talks,
        recordings=_recordings(session, sorted(talks)),
        void=voids.among(session, Archivable.CALLBACK, ids),
        staff={person.id: person.name for person in session.scalars(select(Staff))},
        zone=zone,
    )
    numbers = _Numbers(session, around.addresses, rights)
    rows = tuple(
        _row(each, attempts[each.id], answers[each.id], steps[each.id], around, numbers, rights) for each in found
    )
    questions = tuple(dict.fromkeys(question for row in rows for question in row.answers))
    counted = tuple(row for row in rows if row.callback_id not in around.void)
    return FollowUps(since, until, plan, rows, figures(counted), questions)


def _callbacks(session: Session, since: datetime, until: datetime, plan: str | None) -> list[Callback]:
    tried = exists().where(
        CallAttempt.callback_id == Callback.id, CallAttempt.started_at >= since, CallAttempt.started_at < until
    )
    return list(
        session.scalars(
            select(Callback)
            .where(
                or_(
                    and_(Callback.due_at >= since, Callback.due_at < until),
                    and_(Callback.closed_at >= since, Callback.closed_at < until),
                    tried,
                ),
                *((Callback.plan == plan,) if plan is not None else ()),
            )
            .order_by(Callback.id)
            .limit(MOST)
        )
    )


def _grouped(session: Session, table: Any, ids: Sequence[int], order: Any) -> defaultdict[int, list[Any]]:
    found: defaultdict[int, list[Any]] = defaultdict(list)
    for page in _pages(ids):
        for row in session.scalars(select(table).where(table.callback_id.in_(page)).order_by(order)):
            found[row.callback_id].append(row)
    return found


def _by_id(session: Session, table: Any, ids: Iterable[int]) -> dict[int, Any]:
    return {
        row.id: row for page in _pages(sorted(ids)) for row in session.scalars(select(table).where(table.id.in_(page)))
    }


def _pages(ids: Sequence[int], size: int = 500) -> Iterable[Sequence[int]]:
    return (ids[at : at + size] for at in range(0, len(ids), size))


class _Numbers:
    """Opens a number for those who may see it."""

    def __init__(self, session: Session, addresses: Mapping[int, Address], rights: Rights) -> None:
        self._vault = vault_of(session)
        self._addresses = addresses
        self._whole = rights.numbers

    def shown(self, address_id: int | None) -> str:
        address = self._addresses.get(address_id or 0)
        if address is None:
            return ""
        return self._vault.open(address.sealed) if self._whole else address.hint


def _recordings(session: Session, conversations: Sequence[int]) -> dict[int, int]:
    """The latest sound file kept of each conversation."""
    return {
        conversation_id: attachment_id
        for page in _pages(conversations)
        for conversation_id, attachment_id in session.execute(
            select(Message.conversation_id, Attachment.id)
            .join(Message, Message.id == Attachment.message_id)
            .where(
                Message.conversation_id.in_(page),
                Attachment.kind.in_((MediaKind.VOICE, MediaKind.AUDIO)),
                Attachment.state == MediaState.KEPT,
            )
            .order_by(Attachment.id)
        )
    }


def _answers(session: Session, ids: Sequence[int]) -> Mapping[int, Sequence[Given]]:
    """What was answered in each of these callbacks, as it stands."""
    rows = [row for found in _grouped(session, Answer, ids, Answer.id).values() for row in found]
    standing: defaultdict[int, list[Given]] = defaultdict(list)
    for given in corrections.answers(session, rows):
        standing[given.row.callback_id].append(given)
    return standing


def _row(
    callback: Callback,
    attempts: Sequence[CallAttempt],
    answers: Sequence[Given],
    steps: Sequence[NextStep],
    around: _Around,
    numbers: _Numbers,
    rights: Rights,
) -> Row:
    contact = around.people[callback.contact_id]
    event = around.events.get(callback.event_id or 0)
    case = around.cases.get(callback.case_id or 0)
    details = event.details if event is not None else {}
    first, last = (attempts[0], attempts[-1]) if attempts else (None, None)
    latest = {given.row.question: given for given in answers}
    seen = {question for question in latest if rights.health or not followups.is_health(question)}
    talked = [a.conversation_id for a in attempts if a.conversation_id is not None]
    address = around.addresses.get(last.address_id) if last is not None else None
    owed = _owed(callback, first.started_at if first else None)
    return Row(
        callback_id=callback.id,
        contact_id=contact.id,
        customer=details.get("name") or contact.name,
        title=details.get("title") or contact.title,
        number=numbers.shown(last.address_id if last else None),
        group=callback.follow_up_group,
        plan=callback.plan,
        reason=(case.subject if case is not None else callback.topic) or details.get("department", ""),
        happened_at=event.happened_at if event is not None else None,
        due_at=owed,
        day=owed.astimezone(around.zone).date() if owed is not None else None,
        late_after=callback.late_after,
        window=last.window if last else "",
        channel=address.channel if address is not None else None,
        attempt=last.number if last else 0,
        rang=sum(a.rang for a in attempts),
        state=callback.state,
        result=callback.disposition,
        answers={question: given.text if question in seen else None for question, given in latest.items()},
        corrected={question: latest[question].was[0].old for question in seen if latest[question].was},
        scores={
            question: given.score
            for question, given in latest.items()
            if given.score is not None and not followups.is_health(question)
        },
        remarks=callback.remarks,
        agent=_agent(talked, around),
        started_at=first.started_at if first else None,
        ended_at=last.ended_at if last else None,
        connected=any(talk.wrap_up != SILENT for each in talked if (talk := around.talks.get(each)) is not None),
        on_time=_on_time(callback, first.started_at if first else None),
        flags=(*callback.flags, *((VOID,) if callback.id in around.void else ())),
        steps=tuple(
            Step(around.staff.get(s.owner_id, ""), s.what, s.due_on, s.state == "done", s.result) for s in steps
        ),
        recording=_recording(talked, around),
    )


def _agent(talked: Sequence[int], around: _Around) -> str:
    """Who talked with the person last; "" where it was the bot alone."""
    held = [talk.last_staff_id for each in talked if (talk := around.talks.get(each)) is not None]
    names = [around.staff[staff_id] for staff_id in held if staff_id is not None]
    return names[-1] if names else ""


def _recording(talked: Sequence[int], around: _Around) -> str:
    if not talked:
        return ""
    page = f"/console/conversations/{talked[-1]}"
    recording = around.recordings.get(talked[-1])
    return f"{page}/files/{recording}" if recording is not None else page


def _owed(callback: Callback, first: datetime | None) -> datetime | None:
    """When the call was owed: its first try took place then; one not tried yet is due still."""
    if first is not None:
        return first
    return callback.due_at if callback.state is CallbackState.SCHEDULED else callback.window_end


def _on_time(callback: Callback, first: datetime | None) -> bool | None:
    if callback.late_after is None or first is None:
        return None
    return first <= callback.late_after


def figures(rows: Sequence[Row]) -> Figures:
    """The figures over some rows."""
    scores: defaultdict[str, list[int]] = defaultdict(list)
    for row in rows:
        for question, score in row.scores.items():
            scores[question].append(score)
    return Figures(
        total=len(rows),
        by_result=Counter(row.result for row in rows),
        by_group=Counter(row.group for row in rows),
        measures=measures(rows),
        scores={question: (sum(given) / len(given), len(given)) for question, given in sorted(scores.items())},
    )
