"""The watcher: rows that should have moved and did not, so that /readyz says it before a customer does (STYLE 12).

Escalations it does not only count: `sweep` looks at every one that is up, asks the ladder itself whether somebody
should have been told by now, and tells them, once; what nobody ever started a ladder for gets one. Either is reported.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog
from sqlalchemy import exists, func, or_, select
from sqlalchemy.orm import Session

from bot.core.ladder import Roster
from bot.core.words import (
    BroadcastState,
    CallbackState,
    CaseState,
    ConversationState,
    DeliveryState,
    EscalationState,
    Role,
    Urgency,
)
from bot.services import audit
from bot.services.casework import cases
from bot.services.centre import Centre
from bot.services.escalation import alerts, ladders, roster
from bot.services.i18n import N_
from store.tables import (
    Broadcast,
    BroadcastRecipient,
    Callback,
    Case,
    Conversation,
    Delivery,
    Escalation,
    Staff,
    StaffRole,
)

log = structlog.get_logger()
LATE = timedelta(minutes=5)  # a due row this late is overdue
PAGE = 100
STEPS = 20  # rungs one sweep makes up for
MISSED = N_("升级 %(number)s 号本该发出的提醒没有发出，已由巡检补发，请检查系统")
UNKNOWN = N_("策略里没有叫“%(name)s”的升级阶梯，先按紧急程度的阶梯升级，请检查 policies.yml")


@dataclass(frozen=True, slots=True)
class Overdue:
    """So many rows of a kind are overdue, the oldest since then (domain time, except leases)."""

    what: str
    count: int
    oldest: datetime


def overdue(session: Session, now: datetime, machine: datetime) -> list[Overdue]:
    """What is overdue now; an empty list is a quiet house."""
    late = now - LATE
    asks = (
        ("deliveries", Delivery.not_before, Delivery.state == DeliveryState.QUEUED, late),
        ("leases", Delivery.lease_until, Delivery.state == DeliveryState.SENDING, machine - LATE),
        ("callbacks", Callback.due_at, Callback.state == CallbackState.SCHEDULED, late),
        ("escalations", Escalation.due_at, Escalation.state == EscalationState.RUNNING, late),
        (
            "unanswered",
            Conversation.unanswered_since,
            Conversation.state == ConversationState.BOT,
            late,
        ),
    )
    found = []
    for what, column, state, before in asks:
        count, oldest = session.execute(select(func.count(), func.min(column)).where(state, column <= before)).one()
        if count:
            found.append(Overdue(what, count, oldest))
    count, oldest = session.execute(
        select(func.count(), func.min(BroadcastRecipient.due_at))
        .join(Broadcast, Broadcast.id == BroadcastRecipient.broadcast_id)
        .where(Broadcast.state == BroadcastState.RUNNING, BroadcastRecipient.due_at <= late)
    ).one()
    return [*found, Overdue("recipients", count, oldest)] if count else found


# ── escalations that fell through ────────────────────────────────────────────────────────────────────────────────────


async def sweep(centre: Centre) -> int:
    """Makes up for what an escalation missed; gives how many did."""
    now = centre.clock.now()
    return await centre.db.write(lambda session: make_up(session, centre, now))


def make_up(session: Session, centre: Centre, now: datetime) -> int:
    """`sweep` inside a transaction: every rung that should have been told by now is told, once."""
    started = [*_unasked_conversations(session, centre, now), *_unasked_cases(session, centre, now)]
    missed = session.scalars(
        select(Escalation)
        .where(
            Escalation.state == EscalationState.RUNNING,
            or_(Escalation.due_at.is_(None), Escalation.due_at > now, Escalation.due_at <= now - LATE),
        )
        .order_by(Escalation.id)
        .limit(PAGE)
        .with_for_update(skip_locked=True)
    ).all()
    on_duty = roster.on_duty(session, now)
    late = [each for each in missed if _catch_up(session, centre, each, on_duty, now)]
    for escalation in {each.id: each for each in (*started, *late)}.values():
        _report(session, escalation, now)
    for name in ladders.unknown(session):
        cause = f"ladder:{name}:{centre.library.current.policies_version[:12]}"
        alerts.tell(session, _runners(session), UNKNOWN, cause=cause, link="/console", now=now, name=name)
    return len(started) + len(late)


def _catch_up(session: Session, centre: Centre, escalation: Escalation, on_duty: Roster, now: datetime) -> bool:
    """Takes the steps that are due by the ladder itself, whatever the row says; False where none was."""
    told = escalation.notified
    try:
        with session.begin_nested():
            for _ in range(STEPS):
                before = escalation.notified
                ladders.climb(session, centre, escalation, on_duty, now)
                if escalation.notified == before:
                    break
    except Exception:
        log.exception("watch.cannot_climb", escalation=escalation.id)
        return True
    return escalation.notified > told


def _unasked_conversations(session: Session, centre: Centre, now: datetime) -> list[Escalation]:
    """Customers who wait and for whom no ladder is up."""
    asked = exists().where(Escalation.conversation_id == Conversation.id, Escalation.state.in_(ladders.OPEN))
    rows = session.scalars(
        select(Conversation)
        .where(Conversation.state == ConversationState.QUEUED, Conversation.queued_at <= now - LATE, ~asked)
        .limit(PAGE)
    )
    return [
        ladders.start(
            session,
            centre,
            reason=row.reason or "",
            urgency=Urgency.ORDINARY if row.priority else Urgency.URGENT,
            conversation_id=row.id,
            now=now,
        )
        for row in rows
    ]


def _unasked_cases(session: Session, centre: Centre, now: datetime) -> list[Escalation]:
    """Urgent cases nobody has and nobody was asked to take."""
    asked = exists().where(Escalation.case_id == Case.id, Escalation.state.in_(ladders.OPEN))
    rows = session.scalars(
        select(Case)
        .where(
            Case.urgency == Urgency.URGENT,
            Case.state == CaseState.OPEN,
            Case.staff_id.is_(None),
            Case.opened_at <= now - LATE,
            ~asked,
        )
        .limit(PAGE)
    )
    return [cases.escalate(session, centre, row, now) for row in rows]


def _report(session: Session, escalation: Escalation, now: datetime) -> None:
    """Something fell through: told, and kept."""
    alerts.tell(
        session,
        _runners(session),
        MISSED,
        cause=f"missed:{escalation.id}:{escalation.notified}",
        link="/console",
        now=now,
        number=escalation.id,
    )
    audit.record(session, "escalation.made_up", "escalation", escalation.id, now=now, notified=escalation.notified)
    log.warning("watch.escalation_missed", escalation=escalation.id)


def _runners(session: Session) -> Sequence[Staff]:
    """Those who run the system, and the supervisors."""
    return session.scalars(
        select(Staff)
        .join(StaffRole, StaffRole.staff_id == Staff.id)
        .where(Staff.active, StaffRole.role.in_((Role.OPS, Role.SUPERVISOR)))
        .distinct()
        .order_by(Staff.id)
    ).all()
