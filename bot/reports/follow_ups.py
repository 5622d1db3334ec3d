"""The follow-up report (REQ-C15, C16, H10): one row a callback, and the figures over them.

A callback belongs to a period when it was due, tried or closed in it. Health answers are left out unless the reader may
see them (REQ-G18), numbers are masked unless they may see those (REQ-G14). Everything here is plain values;
spreadsheet.py turns it into files.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from sqlalchemy import and_, exists, or_, select
from sqlalchemy.orm import Session

from bot.core.words import CallbackState, Disposition, FollowUpGroup
from bot.services import followups
from store.db import vault_of
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

MOST = 100_000  # rows of one report


@dataclass(frozen=True, slots=True)
class Rights:
    """What the reader may see besides the rows themselves."""

    health: bool
    numbers: bool


@dataclass(frozen=True, slots=True)
class Step:
    """What a named person was asked to do (REQ-C17)."""

    owner: str
    what: str
    due_on: date
    done: bool
    result: str


@dataclass(frozen=True, slots=True)
class Row:
    """One callback. Instants are UTC; `attempt` is the last one's number, `rang` how many reached a telephone.

    `answers` by question, the latest of each; None stands for one that is hidden from this reader.
    """

    callback_id: int
    contact_id: int
    customer: str
    title: str
    number: str
    group: FollowUpGroup
    reason: str
    happened_at: datetime | None
    due_at: datetime | None
    late_after: datetime | None
    window: str
    attempt: int
    rang: int
    state: CallbackState
    result: Disposition | None
    answers: Mapping[str, str | None]
    scores: Mapping[str, int]
    remarks: str
    agent: str
    started_at: datetime | None
    ended_at: datetime | None
    connected: bool
    on_time: bool | None
    flags: tuple[str, ...]
    steps: tuple[Step, ...]


@dataclass(frozen=True, slots=True)
class Figures:
    """Rates are shares from 0 to 1, None where there is nothing to take them of.

    coverage: tried of all; connected: talked with of those tried; completed: of those talked with; handed_on: of those
    talked with, to a person; on_time: first tried before it was late, of those with a deadline.
    """

    total: int
    by_result: Mapping[Disposition | None, int]
    by_group: Mapping[FollowUpGroup, int]
    coverage: float | None
    connected: float | None
    completed: float | None
    handed_on: float | None
    on_time: float | None
    scores: Mapping[str, tuple[float, int]]


@dataclass(frozen=True, slots=True)
class FollowUps:
    """A report over since ≤ t < until."""

    since: datetime
    until: datetime
    rows: tuple[Row, ...]
    figures: Figures
    questions: tuple[str, ...]


def follow_ups(session: Session, *, since: datetime, until: datetime, rights: Rights) -> FollowUps:
    """Everything about the follow-ups of a period, in the order they were owed."""
    found = _callbacks(session, since, until)
    ids = [callback.id for callback in found]
    attempts = _grouped(session, CallAttempt, ids, CallAttempt.number)
    answers = _grouped(session, Answer, ids, Answer.id)
    steps = _grouped(session, NextStep, ids, NextStep.id)
    people = _by_id(session, Contact, {c.contact_id for c in found})
    events = _by_id(session, Event, {c.event_id for c in found if c.event_id is not None})
    cases = _by_id(session, Case, {c.case_id for c in found if c.case_id is not None})
    addresses = _by_id(session, Address, {a.address_id for each in attempts.values() for a in each})
    talks = _by_id(
        session, Conversation, {a.conversation_id for each in attempts.values() for a in each if a.conversation_id}
    )
    staff = {person.id: person.name for person in session.scalars(select(Staff))}
    numbers = _Numbers(session, addresses, rights)
    rows = tuple(
        _row(
            callback,
            people[callback.contact_id],
            events.get(callback.event_id or 0),
            cases.get(callback.case_id or 0),
            attempts[callback.id],
            answers[callback.id],
            steps[callback.id],
            talks,
            staff,
            numbers,
            rights,
        )
        for callback in found
    )
    questions = tuple(dict.fromkeys(question for row in rows for question in row.answers))
    return FollowUps(since, until, rows, figures(rows), questions)


def _callbacks(session: Session, since: datetime, until: datetime) -> list[Callback]:
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
                )
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


def _row(
    callback: Callback,
    contact: Contact,
    event: Event | None,
    case: Case | None,
    attempts: Sequence[CallAttempt],
    answers: Sequence[Answer],
    steps: Sequence[NextStep],
    talks: Mapping[int, Conversation],
    staff: Mapping[int, str],
    numbers: _Numbers,
    rights: Rights,
) -> Row:
    details = event.details if event is not None else {}
    last = attempts[-1] if attempts else None
    latest = {answer.question: answer for answer in answers}
    held_by = [talk.staff_id for a in attempts if (talk := talks.get(a.conversation_id or 0)) is not None]
    agents = [staff[staff_id] for staff_id in held_by if staff_id is not None]
    first = attempts[0].started_at if attempts else None
    return Row(
        callback_id=callback.id,
        contact_id=contact.id,
        customer=details.get("name") or contact.name,
        title=details.get("title") or contact.title,
        number=numbers.shown(last.address_id if last else None),
        group=callback.follow_up_group,
        reason=(case.subject if case is not None else callback.topic) or details.get("department", ""),
        happened_at=event.happened_at if event is not None else None,
        due_at=_owed(callback, first),
        late_after=callback.late_after,
        window=last.window if last else "",
        attempt=last.number if last else 0,
        rang=sum(a.rang for a in attempts),
        state=callback.state,
        result=callback.disposition,
        answers={
            question: answer.answer if rights.health or not followups.is_health(question) else None
            for question, answer in latest.items()
        },
        scores={question: answer.score for question, answer in latest.items() if answer.score is not None},
        remarks=callback.remarks,
        agent=agents[-1] if agents else "",
        started_at=first,
        ended_at=last.ended_at if last else None,
        connected=any(a.conversation_id is not None for a in attempts),
        on_time=_on_time(callback, first),
        flags=tuple(callback.flags),
        steps=tuple(Step(staff.get(s.owner_id, ""), s.what, s.due_on, s.state == "done", s.result) for s in steps),
    )


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
    tried = [row for row in rows if row.rang]
    talked = [row for row in rows if row.connected]
    timed = [row.on_time for row in rows if row.on_time is not None]
    scores: defaultdict[str, list[int]] = defaultdict(list)
    for row in rows:
        for question, score in row.scores.items():
            scores[question].append(score)
    return Figures(
        total=len(rows),
        by_result=Counter(row.result for row in rows),
        by_group=Counter(row.group for row in rows),
        coverage=_share(len(tried), len(rows)),
        connected=_share(len(talked), len(tried)),
        completed=_share(sum(row.result is Disposition.COMPLETED for row in talked), len(talked)),
        handed_on=_share(sum(row.result is Disposition.ESCALATED for row in talked), len(talked)),
        on_time=_share(sum(timed), len(timed)),
        scores={question: (sum(given) / len(given), len(given)) for question, given in sorted(scores.items())},
    )


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None
