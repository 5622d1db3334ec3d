"""Who looks after a follow-up plan: the person it is assigned to, else everybody of the role its file names.

They hear when their plan stalls for something that people can mend, and when nobody in it waits any more.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from bot.core.plan import Plan
from bot.core.windows import local_date, local_midnight
from bot.core.words import CallbackState, Language
from bot.services import audit
from bot.services.calls.callback_changes import CallbackRefusedError
from bot.services.calls.callbacks import RUNNING
from bot.services.calls.dialling import HELD_BACK
from bot.services.centre import Centre
from bot.services.escalation import alerts
from bot.services.i18n import N_
from bot.services.plans import pauses, planning
from store.db import touch
from store.tables import Callback, Event, PlannedMessage, PlannedState, PlanOwner, Staff, StaffRole

EVERY = 600.0  # seconds between two looks
OVERDUE = timedelta(days=1)  # a call that should have been made so long ago is stuck
STALLED = N_("回访计划“%(plan)s”有 %(count)s 个联系卡住了，请看一下原因。")
FINISHED = N_("回访计划“%(plan)s”里没有人在等了：今天联系上 %(done)s 个，没联系上 %(not_done)s 个。")


def assigned(session: Session) -> dict[str, Staff]:
    """The persons plans are assigned to, by the plan's id."""
    rows = session.execute(select(PlanOwner.plan, Staff).join(Staff, Staff.id == PlanOwner.staff_id))
    return dict(rows.tuples().all())


def owners(session: Session, plan_id: str, plan: Plan) -> list[Staff]:
    """Whom this plan concerns."""
    person = session.scalar(
        select(Staff).join(PlanOwner, PlanOwner.staff_id == Staff.id).where(PlanOwner.plan == plan_id, Staff.active)
    )
    if person is not None:
        return [person]
    query = select(Staff).join(StaffRole).where(Staff.active, StaffRole.role == plan.owner).order_by(Staff.id)
    return list(session.scalars(query))


def assign(session: Session, plan_id: str, owner_id: int | None, *, staff_id: int, now: datetime) -> None:
    """Assigns a plan to somebody; None: to the role its file names. Raises CallbackRefusedError."""
    owner = session.get(Staff, owner_id) if owner_id is not None else None
    if owner_id is not None and (owner is None or not owner.active):
        raise CallbackRefusedError("owner_unknown")
    held = session.get(PlanOwner, plan_id)
    before = held.staff_id if held is not None else None
    if before == owner_id:
        return
    if held is not None:
        session.delete(held)
        session.flush()
    if owner_id is not None:
        session.add(PlanOwner(plan=plan_id, staff_id=owner_id, assigned_by=staff_id, at=now))
    audit.record(
        session, "plan.assign", "plan", None, now=now, staff_id=staff_id, plan=plan_id, before=before, owner=owner_id
    )
    touch(session, "callbacks")


# ── what owners are told ──


async def look(centre: Centre) -> int:
    """Tells owners, once a day for each plan, that it stalls or that it is through."""
    now = centre.clock.now()
    return await centre.db.write(lambda session: tell(session, centre, now))


def tell(session: Session, centre: Centre, now: datetime) -> int:
    """How many plans were told about."""
    plans, zone = centre.library.current.policies.plans, centre.settings.timezone
    today = local_date(now, zone)
    held = {row.plan for row in pauses.paused(session)}
    stuck = {plan: n for plan, n in stalled(session, centre, now).items() if plan not in held}
    for plan, count in stuck.items():
        _tell(session, plan, plans[plan], STALLED, f"plan:stalled:{plan}:{today}", now, count=count)
    through = finished(session, centre, now)
    for plan, (done, not_done) in through.items():
        cause = f"plan:finished:{plan}:{today}"
        _tell(session, plan, plans[plan], FINISHED, cause, now, done=done, not_done=not_done)
    return len(stuck) + len(through)


def _tell(session: Session, plan_id: str, plan: Plan, message: str, cause: str, now: datetime, **values: int) -> None:
    link = f"/console/callbacks/plans/{plan_id}"
    for person in owners(session, plan_id, plan):
        told: dict[str, Any] = {"plan": plan.name[Language(person.language)], **values}
        alerts.tell(session, [person], message, cause=cause, link=link, now=now, **told)


def stalled(session: Session, centre: Centre, now: datetime) -> dict[str, int]:
    """How many contacts of each plan wait for something people can mend, or should have been made a day ago."""
    plans = centre.library.current.policies.plans
    found: dict[str, int] = {}
    held_back = Callback.waits.in_([str(code) for code in HELD_BACK])
    calls = (
        select(Callback.plan, func.count())
        .where(RUNNING, Callback.state == CallbackState.SCHEDULED, held_back | (Callback.due_at < now - OVERDUE))
        .group_by(Callback.plan)
    )
    for plan, count in session.execute(calls).tuples():
        found[plan] = found.get(plan, 0) + count
    events = select(Event.kind, func.count()).where(Event.unplanned.in_(planning.MENDABLE)).group_by(Event.kind)
    for kind, count in session.execute(events).tuples():
        for plan in (id_ for id_, each in plans.items() if each.trigger == kind):
            found[plan] = found.get(plan, 0) + count
    return {plan: count for plan, count in found.items() if plan in plans}


def finished(session: Session, centre: Centre, now: datetime) -> dict[str, tuple[int, int]]:
    """Plans in which somebody was contacted today and nobody waits any more: how many were reached, and not."""
    zone = centre.settings.timezone
    start = local_midnight(local_date(now, zone), zone)
    ended: dict[str, tuple[int, int]] = {}
    query = (
        select(Callback.plan, Callback.state, func.count())
        .where(Callback.closed_at >= start, Callback.closed_at <= now)
        .group_by(Callback.plan, Callback.state)
    )
    for plan, state, count in session.execute(query).tuples():
        done, not_done = ended.get(plan, (0, 0))
        ended[plan] = (done + count, not_done) if state is CallbackState.DONE else (done, not_done + count)
    known = centre.library.current.policies.plans
    return {plan: sums for plan, sums in ended.items() if plan in known and not _waits(session, plan)}


def _waits(session: Session, plan: str) -> bool:
    call = select(Callback.id).where(RUNNING, Callback.plan == plan).limit(1)
    message = select(PlannedMessage.id).where(
        PlannedMessage.plan == plan, PlannedMessage.state == PlannedState.SCHEDULED
    )
    return session.scalar(call) is not None or session.scalar(message.limit(1)) is not None
