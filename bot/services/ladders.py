"""Climbs the running escalations: tells the next rung's people until somebody takes it (REQ-E05, E09, E16, F59)."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from bot.core import ladder
from bot.core.ladder import Exhausted, Notify, Roster, Subject, Wait
from bot.core.words import EscalationState, Presence, Role, Urgency
from bot.services import alerts, audit
from bot.services.centre import Centre
from bot.services.i18n import N_
from store.db import touch
from store.tables import Case, Conversation, Escalation, Incident, Staff

PAGE = 50
MESSAGES = {
    "conversation": N_("有客户在等人工：%(what)s（第 %(rung)s 级）"),
    "case": N_("工单 %(what)s 需要有人接手（第 %(rung)s 级）"),
    "incident": N_("事件“%(what)s”需要处理（第 %(rung)s 级）"),
}


def tick(session: Session, centre: Centre, now: datetime) -> int:
    """Each due escalation climbs one rung; the one after it comes with the next beat."""
    due = session.scalars(
        select(Escalation)
        .where(Escalation.state == EscalationState.RUNNING, Escalation.due_at <= now)
        .order_by(Escalation.due_at)
        .limit(PAGE)
        .with_for_update(skip_locked=True)
    ).all()
    people = session.scalars(select(Staff).where(Staff.active)).all()
    for escalation in due:
        _climb(session, centre, escalation, list(people), now)
    return len(due)


def _climb(session: Session, centre: Centre, escalation: Escalation, people: list[Staff], now: datetime) -> None:
    frozen = centre.library.policies(session, escalation.policy["policies"])
    subject = Subject(
        started_at=escalation.started_at,
        notified=escalation.notified,
        last_notified_at=escalation.notified_at,
        first_rung=escalation.first_rung,
        acknowledged_at=escalation.acknowledged_at,
    )
    match ladder.next_rung(frozen.ladders[escalation.policy["ladder"]], subject, on_call(people), now):
        case Notify() as rung:
            _tell(session, escalation, [p for p in people if p.id in rung.people], now)
            escalation.notified += 1
            escalation.notified_at = escalation.due_at = now
        case Wait(until=until):
            escalation.due_at = until
        case Exhausted():
            escalation.state, escalation.due_at = EscalationState.EXHAUSTED, None
            audit.record(session, "escalation.exhausted", "escalation", escalation.id, now=now)
    touch(session, "floor")


def on_call(people: list[Staff]) -> Roster:
    """Who is told for a role: those present; where nobody is, everybody who holds it, for they are on call."""
    roster: dict[Role, tuple[int, ...]] = {}
    for role in Role:
        holders = [p for p in people if any(held.role is role for held in p.roles)]
        present = [p for p in holders if p.presence is not Presence.OFFLINE]
        roster[role] = tuple(p.id for p in present or holders)
    return roster


def _tell(session: Session, escalation: Escalation, people: list[Staff], now: datetime) -> None:
    kind, what, link = _subject(session, escalation)
    rung = escalation.notified + 1
    alerts.tell(
        session,
        people,
        MESSAGES[kind],
        cause=alerts.cause_of(escalation.id, rung),
        link=link,
        escalation_id=escalation.id,
        claimable=kind != "incident",
        now=now,
        urgent=escalation.urgency is Urgency.URGENT,
        what=what,
        rung=rung,
    )
    audit.record(
        session,
        "escalation.notify",
        "escalation",
        escalation.id,
        now=now,
        rung=rung,
        people=[p.id for p in people],
    )


def _subject(session: Session, escalation: Escalation) -> tuple[str, str, str]:
    """What is escalated, in a word, and where it is seen at the console."""
    if escalation.conversation_id is not None:
        conversation = session.get_one(Conversation, escalation.conversation_id)
        return "conversation", conversation.reason or "", f"/console/conversations/{conversation.id}"
    if escalation.case_id is not None:
        case = session.get_one(Case, escalation.case_id)
        return "case", case.number, f"/console/cases/{case.id}"
    incident = session.get_one(Incident, escalation.incident_id)
    return "incident", incident.title, f"/console/incidents/{incident.id}"


def next_due(session: Session, now: datetime) -> datetime | None:
    return session.scalar(
        select(Escalation.due_at)
        .where(Escalation.state == EscalationState.RUNNING, Escalation.due_at > now)
        .order_by(Escalation.due_at)
        .limit(1)
    )
