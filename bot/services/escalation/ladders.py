"""The life of an escalation: started, climbing until somebody takes it, handed on, ended (REQ-E05, E09, E16, F59, F60).

The ladder is frozen by the version of the policies it was started under. Whatever channel somebody answers by, the
change is made here, once: under the row's lock, with the alerts of the others called back
(bot/services/escalation/alerts.py). What it is about is said by `of_conversation`, `of_case`, `of_incident` or `the`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import structlog
from sqlalchemy import ColumnElement, func, select
from sqlalchemy.orm import Session

from bot.core import ladder
from bot.core.book import Texts
from bot.core.ladder import Exhausted, Notify, Subject, Wait
from bot.core.policy import Ladder
from bot.core.words import EscalationState, Urgency
from bot.services import audit, reasons
from bot.services.centre import Centre
from bot.services.escalation import alerts, roster
from bot.services.i18n import N_
from scripts.policies import PolicyError
from store.db import touch
from store.tables import Case, Conversation, Escalation, Incident, Staff

log = structlog.get_logger()
PAGE = 50
MESSAGES = {
    "conversation": N_("有客户在等人工：%(what)s（第 %(rung)s 级）"),
    "case": N_("工单 %(what)s 需要有人接手（第 %(rung)s 级）"),
    "incident": N_("事件“%(what)s”需要处理（第 %(rung)s 级）"),
}
TAKEN_BY = N_("已由%(who)s接手。")
SETTLED = N_("这件事已经了结了。")
CLIMBING = (EscalationState.RUNNING, EscalationState.EXHAUSTED)
OPEN = (*CLIMBING, EscalationState.ACKNOWLEDGED)
INSTEAD_OF = "instead_of"  # in an escalation's policy: the ladder that was wanted


# ── what it is about ─────────────────────────────────────────────────────────────────────────────────────────────────


def of_conversation(conversation_id: int) -> ColumnElement[bool]:
    return Escalation.conversation_id == conversation_id


def of_case(case_id: int) -> ColumnElement[bool]:
    return Escalation.case_id == case_id


def of_incident(incident_id: int) -> ColumnElement[bool]:
    return Escalation.incident_id == incident_id


def the(escalation_id: int) -> ColumnElement[bool]:
    return Escalation.id == escalation_id


# ── its life ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def start(
    session: Session,
    centre: Centre,
    *,
    reason: str,
    urgency: Urgency,
    now: datetime,
    conversation_id: int | None = None,
    case_id: int | None = None,
    incident_id: int | None = None,
    name: str | None = None,
    level: int = 0,
) -> Escalation:
    """Starts the ladder called `name` (its urgency's where there is none) on a conversation, a case or an incident; its
    first rung is due at once. A case of some `level` starts from that one's people (REQ-E07)."""
    escalation = Escalation(
        conversation_id=conversation_id,
        case_id=case_id,
        incident_id=incident_id,
        policy=_pinned(centre, name or urgency.value, urgency),
        first_rung=ladder.rung_for(level),
        urgency=urgency,
        reason=reason[:60],
        started_at=now,
        due_at=now,
    )
    session.add(escalation)
    session.flush()
    return escalation


def _pinned(centre: Centre, name: str, urgency: Urgency) -> dict[str, str]:
    """What an escalation climbs, as `Escalation.policy` keeps it. Policies always have a ladder for each urgency: it
    stands in for one that no policy names, for nothing may be left without people."""
    shelf = centre.library.current
    pin = {"policies": shelf.policies_version, "ladder": name}
    if name in shelf.policies.ladders:
        return pin
    log.error("ladders.unknown", ladder=name, instead=urgency.value)
    return {**pin, "ladder": urgency.value, INSTEAD_OF: name}


def _frozen(session: Session, centre: Centre, escalation: Escalation) -> Ladder:
    """The ladder it began to climb; where that can be read no longer, today's from now on."""
    try:
        return centre.library.policies(session, escalation.policy["policies"]).ladders[escalation.policy["ladder"]]
    except (LookupError, PolicyError):
        log.error("ladders.unreadable", escalation=escalation.id, **escalation.policy)
        escalation.policy = _pinned(centre, escalation.policy["ladder"], escalation.urgency)
        return centre.library.current.policies.ladders[escalation.policy["ladder"]]


def unknown(session: Session) -> dict[str, int]:
    """The names that no policy knew, each with how many climb their urgency's ladder instead."""
    name = Escalation.policy[INSTEAD_OF].as_string()
    rows = session.execute(
        select(name, func.count())
        .where(Escalation.state == EscalationState.RUNNING, name.is_not(None))
        .group_by(name)
        .order_by(name)
    )
    return dict(rows.tuples().all())


def climbs(session: Session, about: ColumnElement[bool]) -> bool:
    """Whether a ladder is up that nobody has taken."""
    return session.scalar(select(Escalation.id).where(about, Escalation.state.in_(CLIMBING)).limit(1)) is not None


@dataclass(frozen=True, slots=True)
class Taker:
    """Who has an escalation now; `won`: they got it by this very call."""

    staff_id: int | None
    won: bool


def acknowledge(
    session: Session, about: ColumnElement[bool], staff_id: int, now: datetime, *, how: str = alerts.CONSOLE
) -> bool:
    """Somebody took it, by the channel `how`: it climbs no more. False where nothing was left to take."""
    who = session.get_one(Staff, staff_id)
    found = _held(session, about, *CLIMBING)
    for escalation in found:
        escalation.state, escalation.due_at = EscalationState.ACKNOWLEDGED, None
        escalation.acknowledged_by, escalation.acknowledged_at = staff_id, now
        alerts.call_back(session, escalation.id, now, TAKEN_BY, who=who.name)
        audit.record(
            session, "escalation.acknowledge", "escalation", escalation.id, now=now, staff_id=staff_id, how=how
        )
    return bool(found)


def hand_on(session: Session, about: ColumnElement[bool], staff_id: int, now: datetime, *, why: str = "") -> bool:
    """Somebody cannot see to it, or gives back what they had taken: the others are told instead. False: not theirs."""
    found = [
        each for each in _held(session, about, *OPEN) if each.state in CLIMBING or each.acknowledged_by == staff_id
    ]
    for escalation in found:
        escalation.declined = sorted({*escalation.declined, staff_id})
        if escalation.state is EscalationState.ACKNOWLEDGED:
            escalation.acknowledged_by = escalation.acknowledged_at = None
        escalation.state, escalation.due_at = EscalationState.RUNNING, now
        audit.record(
            session, "escalation.hand_on", "escalation", escalation.id, now=now, staff_id=staff_id, why=why[:200]
        )
    return bool(found)


def end(session: Session, about: ColumnElement[bool], now: datetime) -> None:
    """What it was about is over: no more rungs, and nobody is asked any more."""
    for escalation in _held(session, about, *OPEN):
        asked = escalation.state in CLIMBING
        escalation.state, escalation.due_at = EscalationState.CLOSED, None
        if asked:
            alerts.call_back(session, escalation.id, now, SETTLED)


def _held(session: Session, about: ColumnElement[bool], *states: EscalationState) -> list[Escalation]:
    """Those in these states, locked."""
    found = session.scalars(
        select(Escalation)
        .where(about, Escalation.state.in_(states))
        .order_by(Escalation.id)
        .with_for_update()
        .execution_options(populate_existing=True)
    ).all()
    if found:
        touch(session, "floor")
    return list(found)


# ── its climb ────────────────────────────────────────────────────────────────────────────────────────────────────────


def tick(session: Session, centre: Centre, now: datetime) -> int:
    """Each due escalation climbs one rung; the one after it comes with the next beat. One that fails holds up none."""
    due = session.scalars(
        select(Escalation)
        .where(Escalation.state == EscalationState.RUNNING, Escalation.due_at <= now)
        .order_by(Escalation.due_at)
        .limit(PAGE)
        .with_for_update(skip_locked=True)
    ).all()
    if due:
        on_duty = roster.on_duty(session, now)
        for escalation in due:
            try:
                with session.begin_nested():
                    climb(session, centre, escalation, on_duty, now)
            except Exception:
                log.exception("ladders.failed", escalation=escalation.id)
    return len(due)


def climb(session: Session, centre: Centre, escalation: Escalation, on_duty: ladder.Roster, now: datetime) -> None:
    """Takes an escalation's next step, if it is due."""
    subject = Subject(
        started_at=escalation.started_at,
        notified=escalation.notified,
        last_notified_at=escalation.notified_at,
        first_rung=escalation.first_rung,
        acknowledged_at=escalation.acknowledged_at,
        owner=_owner(session, escalation),
        declined=frozenset(escalation.declined),
    )
    match ladder.next_rung(_frozen(session, centre, escalation), subject, on_duty, now):
        case Notify() as step:
            _tell(session, centre, escalation, step, now)
            escalation.notified += 1
            escalation.notified_at = escalation.due_at = now
        case Wait(until=until):
            if escalation.due_at == until:
                return
            escalation.due_at = until
        case Exhausted():
            escalation.state, escalation.due_at = EscalationState.EXHAUSTED, None
            audit.record(session, "escalation.exhausted", "escalation", escalation.id, now=now)
    touch(session, "floor")


def _tell(session: Session, centre: Centre, escalation: Escalation, step: Notify, now: datetime) -> None:
    kind, what, link = _subject(session, centre, escalation)
    people = [session.get_one(Staff, person) for person in step.people]
    alerts.tell(
        session,
        people,
        MESSAGES[kind],
        cause=f"escalation:{escalation.id}:{escalation.notified + 1}",
        link=link,
        how=step.how,
        escalation_id=escalation.id,
        claimable=kind != "incident",
        now=now,
        urgent=escalation.urgency is Urgency.URGENT,
        what=what,
        rung=step.rung + 1,
    )
    if escalation.case_id is not None:
        case = session.get_one(Case, escalation.case_id)
        case.level = max(case.level, ladder.level_of(step.rung))
    audit.record(
        session,
        "escalation.notify",
        "escalation",
        escalation.id,
        now=now,
        rung=step.rung + 1,
        repeat=step.repeat,
        people=list(step.people),
        how=[way.value for way in step.how],
    )


def _subject(session: Session, centre: Centre, escalation: Escalation) -> tuple[str, str | Texts, str]:
    """What is escalated, in a word, and where it is seen at the console."""
    if escalation.conversation_id is not None:
        conversation = session.get_one(Conversation, escalation.conversation_id)
        reason = escalation.reason or conversation.reason or ""
        return (
            "conversation",
            reasons.texts(reason, centre.library.current.book),
            f"/console/conversations/{conversation.id}",
        )
    if escalation.case_id is not None:
        case = session.get_one(Case, escalation.case_id)
        return "case", case.number, f"/console/cases/{case.id}"
    incident = session.get_one(Incident, escalation.incident_id)
    return "incident", incident.title, f"/console/incidents/{incident.id}"


def _owner(session: Session, escalation: Escalation) -> int | None:
    """Who has it in hand, if anybody still works here."""
    if escalation.conversation_id is not None:
        owner = session.get_one(Conversation, escalation.conversation_id).staff_id
    elif escalation.case_id is not None:
        owner = session.get_one(Case, escalation.case_id).staff_id
    else:
        owner = session.get_one(Incident, escalation.incident_id).owner_id
    return owner if owner is not None and session.get_one(Staff, owner).active else None


def next_due(session: Session, now: datetime) -> datetime | None:
    return session.scalar(
        select(Escalation.due_at)
        .where(Escalation.state == EscalationState.RUNNING, Escalation.due_at > now)
        .order_by(Escalation.due_at)
        .limit(1)
    )
