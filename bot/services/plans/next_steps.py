"""Next steps after a follow-up: given to a named person by a day, chased, and closed with a result (REQ-A11, C17).

Alerts hold no customer and no words of the step, for they may be read on somebody's own telephone (REQ-G18).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from datetime import date, datetime

from sqlalchemy import or_, select, update
from sqlalchemy.orm import Session

from bot.services import audit
from bot.services.calls.callback_changes import TEXT, CallbackRefusedError
from bot.services.centre import Centre
from bot.services.escalation import alerts
from bot.services.i18n import N_
from store.db import touch
from store.tables import Callback, NextStep, Staff

PAGE = "/console/steps"
OPEN, DONE = "open", "done"
MOST = 200  # callbacks given away at once


def add(
    session: Session,
    callbacks: Collection[int],
    *,
    owner_id: int,
    what: str,
    due_on: date,
    staff_id: int,
    now: datetime,
) -> list[NextStep]:
    """Gives a named person something to do about some follow-ups, by a day, and tells them."""
    what = what.strip()[:TEXT]
    if not what:
        raise CallbackRefusedError("text_empty")
    wanted = sorted(set(callbacks))[:MOST]
    if not wanted:
        raise CallbackRefusedError("nothing_chosen")
    if len(set(session.scalars(select(Callback.id).where(Callback.id.in_(wanted))))) != len(wanted):
        raise CallbackRefusedError("not_found")
    owner = _colleague(session, owner_id)
    steps = [
        NextStep(callback_id=each, owner_id=owner.id, what=what, due_on=due_on, created_by=staff_id, created_at=now)
        for each in wanted
    ]
    session.add_all(steps)
    session.flush()
    for step in steps:
        audit.record(session, "next_step.add", "callback", step.callback_id, now=now, staff_id=staff_id, owner=owner_id)
    _tell(session, owner, N_("%(name)s 交办了 %(count)s 件后续事项。"), steps, staff_id, f"given:{steps[0].id}", now)
    touch(session, "callbacks")
    return steps


def change(session: Session, step_id: int, *, owner_id: int, due_on: date, staff_id: int, now: datetime) -> NextStep:
    """Gives an open step to somebody else, or another day; what it replaces stays legible (REQ-G02)."""
    step, owner = _open(session, step_id), _colleague(session, owner_id)
    for field, old, new in (("owner_id", step.owner_id, owner_id), ("due_on", step.due_on, due_on)):
        if old != new:
            audit.revise(session, "next_step", step.id, field, str(old), str(new), now=now, staff_id=staff_id)
    given = step.owner_id != owner_id
    step.owner_id, step.due_on, step.reminded_on = owner_id, due_on, None
    audit.record(session, "next_step.change", "next_step", step.id, now=now, staff_id=staff_id, owner=owner_id)
    if given:
        _tell(session, owner, N_("%(name)s 交办了 %(count)s 件后续事项。"), [step], staff_id, f"given:{step.id}", now)
    touch(session, "callbacks")
    return step


def chase(session: Session, step_id: int, *, staff_id: int, now: datetime) -> None:
    """Reminds the owner now."""
    step = _open(session, step_id)
    owner = session.get_one(Staff, step.owner_id)
    _tell(session, owner, N_("%(name)s 催办 %(count)s 件后续事项。"), [step], staff_id, f"chased:{step.id}", now)
    audit.record(session, "next_step.chase", "next_step", step.id, now=now, staff_id=staff_id, owner=owner.id)


def finish(session: Session, step_id: int, result: str, *, staff_id: int, anybodys: bool, now: datetime) -> NextStep:
    """Records what came of a step: its owner does, or whoever may assign them (`anybodys`)."""
    step = _open(session, step_id)
    if step.owner_id != staff_id and not anybodys:
        raise CallbackRefusedError("not_found")
    if not result.strip():
        raise CallbackRefusedError("text_empty")
    step.state, step.result, step.done_by, step.done_at = DONE, result.strip()[:TEXT], staff_id, now
    audit.record(session, "next_step.finish", "callback", step.callback_id, now=now, staff_id=staff_id, step=step.id)
    touch(session, "callbacks")
    return step


async def remind(centre: Centre) -> int:
    """From the policies' hour on, once a day: everybody who owes steps that are due or late, and whoever gave those
    that are late. Gives how many steps there were."""
    now = centre.clock.now()
    here = now.astimezone(centre.settings.zone)
    if here.time() < centre.library.current.policies.reports.daily_at:
        return 0
    if not await centre.db.read(lambda session: _owed(session, here.date())):
        return 0
    return await centre.db.write(lambda session: _remind(session, here.date(), now))


def _remind(session: Session, today: date, now: datetime) -> int:
    owed = _owed(session, today)
    people = {person.id: person for person in session.scalars(select(Staff).where(Staff.active))}
    due = Counter(step.owner_id for step in owed)
    late = Counter(step.created_by for step in owed if step.due_on < today and step.created_by != step.owner_id)
    for counted, message, cause in (
        (due, N_("您有 %(count)s 件后续事项今天到期或已超时。"), "due"),
        (late, N_("您交办的后续事项有 %(count)s 件已超时。"), "late"),
    ):
        for staff_id, count in counted.items():
            if staff_id in people:
                alerts.tell(
                    session,
                    [people[staff_id]],
                    message,
                    cause=f"next_steps:{cause}:{today.isoformat()}",
                    link=PAGE,
                    now=now,
                    count=count,
                )
    ids = [step.id for step in owed]
    session.execute(update(NextStep).where(NextStep.id.in_(ids)).values(reminded_on=today))
    return len(owed)


def _owed(session: Session, today: date, limit: int = 1000) -> Sequence[NextStep]:
    """Open steps that are due, whose owner was not reminded today."""
    return session.scalars(
        select(NextStep)
        .where(
            NextStep.state == OPEN,
            NextStep.due_on <= today,
            or_(NextStep.reminded_on.is_(None), NextStep.reminded_on < today),
        )
        .order_by(NextStep.id)
        .limit(limit)
    ).all()


def _tell(
    session: Session,
    owner: Staff,
    message: str,
    steps: Sequence[NextStep],
    staff_id: int,
    cause: str,
    now: datetime,
) -> None:
    """Tells the owner, unless it is their own doing."""
    if owner.id == staff_id:
        return
    alerts.tell(
        session,
        [owner],
        message,
        cause=f"next_step:{cause}:{now.isoformat(timespec='seconds')}",
        link=PAGE,
        now=now,
        name=session.get_one(Staff, staff_id).name,
        count=len(steps),
    )


def _open(session: Session, step_id: int) -> NextStep:
    step = session.get(NextStep, step_id, with_for_update=True)
    if step is None:
        raise CallbackRefusedError("not_found")
    if step.state == DONE:
        raise CallbackRefusedError("step_done")
    return step


def _colleague(session: Session, owner_id: int) -> Staff:
    owner = session.get(Staff, owner_id)
    if owner is None or not owner.active:
        raise CallbackRefusedError("owner_unknown")
    return owner
