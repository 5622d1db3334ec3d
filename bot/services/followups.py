"""Follow-ups (回访): an event is recorded once and planned, its call answered question by question (requirements C).

Nothing is lost to a missing setting: an event that cannot be planned keeps why (`Event.unplanned`), is shown, and is
planned by the heartbeat as soon as the policies or scripts allow it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import String, cast, exists, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from bot.core.permission import Refused, may_contact
from bot.core.windows import Due, Reason, follow_up_due
from bot.core.words import (
    CallbackState,
    CaseKind,
    CaseState,
    ChannelName,
    Disposition,
    EscalationState,
    FollowUpGroup,
    Language,
    Purpose,
)
from bot.services import cases, contacts, gate, handoff
from bot.services.centre import Centre
from bot.services.library import Shelf
from bot.services.scene import Perform, Scene
from store.db import touch
from store.tables import Answer, CallAttempt, Callback, Case, Contact, Escalation, Event

FLOW_MISSING = "flow_missing"  # the plan names a script that is not there
TOO_OLD = "too_old"  # it happened so long ago that a call would only puzzle
OLD = timedelta(days=30)
MENDABLE = (Reason.SEASONS_UNSET, Reason.DELAY_UNSET, Reason.NO_WINDOW, FLOW_MISSING)
"""What an operator can put right; the rest is kept for the record."""

EVENT_GROUPS = tuple(g for g in FollowUpGroup if g not in (FollowUpGroup.AFTER_COMPLAINT, FollowUpGroup.REQUESTED))
"""The kinds of event other systems may tell us of."""

ORDINARY = frozenset({"suggestion", "low_reason", "needs_help", "problem_solved", "solved", "rating"})
ORDINARY_PREFIX = "score_"
"""Questions whose answers are about the service; every other answer is taken for a health answer (REQ-G18)."""

CLOSED_CASE = "case"  # the source of events we make ourselves when a complaint is closed
RETURNS_FROM = timedelta(days=7)  # closed cases are looked for so far back
PAGE = 100
LOW_SCORE = 2  # of 5: somebody should look (REQ-C37)
LOW = "low_score"
SOLVED = frozenset({"solved", "problem_solved"})  # the questions of an after-complaint call that reopen its case


# ── from event to callback ──


@dataclass(frozen=True, slots=True)
class Occurrence:
    """Something that happened to a person outside: `phone` is E.164, `happened_at` zone-aware, `details` plain JSON
    (department, treatment, remarks …). `source` and `external_id` name it, so that it is known once."""

    source: str
    external_id: str
    kind: FollowUpGroup
    phone: str
    name: str
    happened_at: datetime
    title: str = ""
    language: Language | None = None
    zone: str | None = None
    details: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Recorded:
    """`fresh` False: it was known already. `unplanned`: why no callback could be planned, None where one was."""

    event_id: int
    fresh: bool
    unplanned: str | None
    callback_id: int | None


def record(session: Session, centre: Centre, what: Occurrence, now: datetime) -> Recorded:
    """Keeps an event, once, with its contact, and plans its follow-up."""
    language = what.language or centre.settings.language
    zone = what.zone or centre.settings.timezone
    known = contacts.meet(session, ChannelName.VOICE, what.phone, language=language, zone=zone, now=now)
    details = {**what.details, "name": what.name, "title": what.title}
    event_id = _insert(
        session,
        source=what.source,
        external_id=what.external_id,
        kind=what.kind.value,
        contact_id=known.contact_id,
        happened_at=what.happened_at,
        recorded_at=now,
        details={key: value for key, value in details.items() if value},
    )
    if event_id is None:
        return _known(session, what)
    contacts.add_phone(session, known.contact_id, what.phone, now)
    _introduce(session, known.contact_id, what, now)
    event = session.get_one(Event, event_id)
    callback = plan_event(session, centre, event, now)
    return Recorded(event_id, True, event.unplanned, callback.id if callback else None)


_INSERT = {
    "sqlite": sqlite.insert(Event).on_conflict_do_nothing(index_elements=["source", "external_id"]).returning(Event.id),
    "postgresql": postgresql.insert(Event)
    .on_conflict_do_nothing(index_elements=["source", "external_id"])
    .returning(Event.id),
}


def _insert(session: Session, **values: Any) -> int | None:
    """Adds an event; None where it is known."""
    statement = _INSERT[session.get_bind().dialect.name]
    event_id: int | None = session.execute(statement, {"tried": "", **values}).scalar_one_or_none()
    return event_id


def _known(session: Session, what: Occurrence) -> Recorded:
    event = session.scalars(
        select(Event).where(Event.source == what.source, Event.external_id == what.external_id)
    ).one()
    callback_id = session.scalar(select(Callback.id).where(Callback.event_id == event.id))
    return Recorded(event.id, False, event.unplanned, callback_id)


def _introduce(session: Session, contact_id: int, what: Occurrence, now: datetime) -> None:
    """Gives a contact we knew nothing of a name. A second person at the same number stays in the event's details: a
    telephone shared by a family never renames its owner."""
    if not session.get_one(Contact, contact_id).name:
        contacts.learn(session, contact_id, {"name": what.name, "title": what.title}, now=now, why=what.source)


def plan_event(session: Session, centre: Centre, event: Event, now: datetime) -> Callback | None:
    """The callback an event asks for, by its group's plan; None with `event.unplanned` saying why not."""
    shelf, group = centre.library.current, FollowUpGroup(event.kind)
    contact = session.get_one(Contact, contacts.survivor(session, event.contact_id))
    event.tried = _settings_tried(shelf)
    touch(session, "callbacks")
    found = _due(session, shelf, group, contact, event, now)
    if isinstance(found, str):
        event.unplanned = found
        return None
    event.unplanned = None
    callback = Callback(
        dedupe_key=f"event:{event.id}",
        contact_id=contact.id,
        event_id=event.id,
        case_id=event.details.get("case_id"),
        follow_up_group=group,
        purpose=Purpose.FOLLOW_UP,
        policies=shelf.policies_version,
        flow_id=shelf.policies.plans[group].flow,
        due_at=found.at,
        window_end=found.window_end,
        late_after=found.latest,
        not_after=found.gives_up_at,
        flags=sorted(str(flag) for flag in found.flags),
        flow={},
        created_at=now,
    )
    session.add(callback)
    session.flush()
    return callback


def _due(
    session: Session, shelf: Shelf, group: FollowUpGroup, contact: Contact, event: Event, now: datetime
) -> Due | str:
    """When, by the plan and by what the person allows; else why not."""
    plan = shelf.policies.plans[group]
    if plan.flow not in shelf.book.flows:
        return FLOW_MISSING
    found = follow_up_due(group, event.happened_at, now, shelf.policies, shelf.calendar, contact.timezone)
    if not isinstance(found, Due):
        return found.reason_code.value
    wait = timedelta(days=plan.within_days if plan.within_days is not None else plan.after_days or 0)
    if found.at > event.happened_at + wait + OLD:
        return TOO_OLD
    answer = may_contact(
        Purpose.FOLLOW_UP,
        ChannelName.VOICE,
        gate.facts(session, contact.id, ChannelName.VOICE, now),
        shelf.policies,
        shelf.calendar,
        found.at,
        windows=plan.windows,
    )
    if isinstance(answer, Refused) and answer.until is None:
        return answer.reason.value
    return found


def _settings_tried(shelf: Shelf) -> str:
    return f"{shelf.policies_version[:32]}/{shelf.book.version[:32]}"


def tick(session: Session, centre: Centre, now: datetime) -> int:
    """A page of what may be planned now: complaints closed since, and events that waited for a setting."""
    planned = 0
    for case in _closed_complaints(session, now):
        event_id = _insert(
            session,
            source=CLOSED_CASE,
            external_id=f"{case.number}-{case.level}",
            kind=FollowUpGroup.AFTER_COMPLAINT.value,
            contact_id=case.contact_id,
            happened_at=case.closed_at,
            recorded_at=now,
            details={"case_id": case.id},
        )
        if event_id is not None:
            plan_event(session, centre, session.get_one(Event, event_id), now)
            planned += 1
    return planned + replan(session, centre, now)


def replan(session: Session, centre: Centre, now: datetime, *, anew: bool = False) -> int:
    """A page of the events that waited for a setting, where the settings have changed since; `anew`: in any case."""
    query = select(Event).where(Event.unplanned.in_(MENDABLE))
    if not anew:
        query = query.where(Event.tried != _settings_tried(centre.library.current))
    waiting = session.scalars(query.order_by(Event.id).limit(PAGE).with_for_update(skip_locked=True)).all()
    for event in waiting:
        plan_event(session, centre, event, now)
    return len(waiting)


def _closed_complaints(session: Session, now: datetime) -> list[Case]:
    """Complaints closed lately for which nobody has been asked yet whether it is settled (REQ-C31)."""
    asked = exists().where(
        Event.source == CLOSED_CASE, Event.external_id == Case.number + "-" + cast(Case.level, String)
    )
    return list(
        session.scalars(
            select(Case)
            .where(
                Case.state == CaseState.CLOSED,
                Case.kind == CaseKind.COMPLAINT,
                Case.closed_at > now - RETURNS_FROM,
                ~asked,
            )
            .limit(PAGE)
        )
    )


def is_health(question: str) -> bool:
    """Whether an answer to it is about somebody's health, so that only those may see it who are allowed to."""
    return question not in ORDINARY and not question.startswith(ORDINARY_PREFIX)


# ── what flows ask for ──


def record_answer(scene: Scene, args: Mapping[str, Any]) -> Mapping[str, Any]:
    """action_record_answer: keeps an answer as soon as it is given (REQ-C13); a bad one may reopen a case."""
    callback_id, answer = scene.held.callback_id, args.get("answer")
    if callback_id is None or answer is None:
        return {}
    question, score = str(args.get("question") or "")[:80], _score(answer)
    scene.session.add(
        Answer(
            callback_id=callback_id,
            conversation_id=scene.held.id,
            question=question,
            answer=_written(answer),
            score=score,
            at=scene.now,
        )
    )
    callback = scene.session.get_one(Callback, callback_id)
    low = score is not None and score <= LOW_SCORE
    if low:
        callback.flags = sorted({*callback.flags, LOW})
    if callback.follow_up_group is FollowUpGroup.AFTER_COMPLAINT and (low or (question in SOLVED and not answer)):
        _reopen(scene, callback, question)
    touch(scene.session, "callbacks")
    return {}


def _score(answer: Any) -> int | None:
    if isinstance(answer, bool) or not isinstance(answer, int | float):
        text = str(answer).strip() if isinstance(answer, str) else ""
        return int(text) if text.isascii() and text.isdecimal() and len(text) <= 2 else None
    return int(answer)


def _written(answer: Any) -> str:
    if isinstance(answer, bool):
        return "yes" if answer else "no"
    if isinstance(answer, float) and answer.is_integer():
        return str(int(answer))
    return str(answer)


def _reopen(scene: Scene, callback: Callback, why: str) -> None:
    """The complaint is not settled after all: its case is open again, one level higher, and climbs (REQ-E07)."""
    session = scene.session
    case = session.get(Case, callback.case_id) if callback.case_id is not None else None
    if case is None or case.state is not CaseState.CLOSED:
        return
    cases.reopen(session, case.id, why, now=scene.now)
    climbing = select(Escalation.id).where(Escalation.case_id == case.id, Escalation.state == EscalationState.RUNNING)
    if session.scalar(climbing.limit(1)) is None:
        handoff.start(session, scene.centre, reason="complaint", urgency=case.urgency, case_id=case.id, now=scene.now)


def disposition(scene: Scene, args: Mapping[str, Any]) -> Mapping[str, Any]:
    """action_disposition: how the call under way ends (REQ-C18); outside a call there is nothing to mark."""
    code = Disposition(str(args.get("code")))
    if scene.held.callback_id is None:
        return {}
    attempt = scene.session.scalar(
        select(CallAttempt)
        .join(Callback, Callback.id == CallAttempt.callback_id)
        .where(
            CallAttempt.callback_id == scene.held.callback_id,
            CallAttempt.ended_at.is_(None),
            Callback.state == CallbackState.DIALLING,
        )
        .order_by(CallAttempt.number.desc())
        .limit(1)
    )
    if attempt is not None:
        attempt.disposition = code
    return {}


ACTIONS: Mapping[str, Perform] = {"action_record_answer": record_answer, "action_disposition": disposition}
