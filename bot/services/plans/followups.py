"""Follow-ups (回访): an event is recorded once and planned, its call answered question by question (requirements C).

Nothing is lost to a missing setting: an event that cannot be planned keeps why (`Event.unplanned`), is shown, and is
planned by the heartbeat as soon as the policies or scripts allow it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import String, cast, exists, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from bot.core.plan import OURS, Trigger
from bot.core.words import (
    CallbackState,
    CaseKind,
    CaseState,
    ChannelName,
    Disposition,
    FollowUpGroup,
)
from bot.services import contacts, tags
from bot.services.casework import cases
from bot.services.centre import Centre
from bot.services.conversation.scene import Perform, Scene
from bot.services.plans import planning
from bot.services.plans.planning import Occurrence
from store.db import touch
from store.tables import Answer, CallAttempt, Callback, Case, Contact, Event

TOLD = tuple(trigger for trigger in Trigger if trigger not in OURS)
"""The kinds of event other systems may tell us of."""

ORDINARY = frozenset({"suggestion", "low_reason", "needs_help", "problem_solved", "solved", "rating"})
ORDINARY_PREFIX = "score_"
"""Questions whose answers are about the service; every other answer is taken for a health answer (REQ-G18)."""

CLOSED_CASE = "case"  # the source of events we make ourselves when a complaint is closed
RETURNS_FROM = timedelta(days=7)  # closed cases are looked for so far back
PAGE = 100
RETURNS = frozenset({FollowUpGroup.AFTER_COMPLAINT, FollowUpGroup.AFTER_REPAIR})  # what is not settled opens again
LOW_SCORE = 2  # of 5: somebody should look (REQ-C37)
LOW = "low_score"
SOLVED = frozenset({"solved", "problem_solved"})  # the questions of an after-complaint call that reopen its case


# ── from event to callback ──


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
    event_id = insert(
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
    callback = planning.plan_event(session, centre, event, now)
    return Recorded(event_id, True, event.unplanned, callback.id if callback else None)


_INSERT = {
    "sqlite": sqlite.insert(Event).on_conflict_do_nothing(index_elements=["source", "external_id"]).returning(Event.id),
    "postgresql": postgresql.insert(Event)
    .on_conflict_do_nothing(index_elements=["source", "external_id"])
    .returning(Event.id),
}


def insert(session: Session, **values: Any) -> int | None:
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
    contact = session.get_one(Contact, contact_id)
    if not contact.name:
        contacts.learn(session, contact_id, {"name": what.name, "title": what.title}, now=now, why=what.source)
    if what.birthday and contact.name == what.name:
        contacts.learn(session, contact_id, {"birthday": what.birthday}, now=now, why=what.source)
    if what.tags and contact.name == what.name:
        tags.add(session, contact_id, what.tags, now=now, why=what.source)


def tick(session: Session, centre: Centre, now: datetime) -> int:
    """A page of what may be planned now: complaints closed since, and events that waited for a setting."""
    planned = 0
    for case in _closed_complaints(session, now):
        event_id = insert(
            session,
            source=CLOSED_CASE,
            external_id=f"{case.number}-{case.reopened}",
            kind=Trigger.COMPLAINT_CLOSED.value,
            contact_id=case.contact_id,
            happened_at=case.closed_at,
            recorded_at=now,
            details={"case_id": case.id},
        )
        if event_id is not None:
            planning.plan_event(session, centre, session.get_one(Event, event_id), now)
            planned += 1
    return planned + replan(session, centre, now)


def replan(session: Session, centre: Centre, now: datetime, *, anew: bool = False) -> int:
    """A page of the events that waited for a setting, where the settings have changed since; `anew`: in any case."""
    query = select(Event).where(Event.unplanned.in_(planning.MENDABLE))
    if not anew:
        query = query.where(Event.tried != planning.settings_tried(centre.library.current))
    waiting = session.scalars(query.order_by(Event.id).limit(PAGE).with_for_update(skip_locked=True)).all()
    for event in waiting:
        planning.plan_event(session, centre, event, now)
    return len(waiting)


def _closed_complaints(session: Session, now: datetime) -> list[Case]:
    """Complaints closed lately for which nobody has been asked yet whether it is settled (REQ-C31)."""
    asked = exists().where(
        Event.source == CLOSED_CASE, Event.external_id == Case.number + "-" + cast(Case.reopened, String)
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
    if callback.follow_up_group in RETURNS and (low or (question in SOLVED and not answer)):
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
    cases.reopen(session, scene.centre, case.id, why, now=scene.now)


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
