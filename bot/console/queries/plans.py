"""Follow-up plans as pages show them: how each stands today, who is in it, at which step, what is next and why not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum
from typing import Any

from sqlalchemy import ColumnElement, Select, case, func, select
from sqlalchemy.orm import Session, aliased

from bot.console.queries.callbacks import COUNTED, SHOWN_FOR, Condition, named
from bot.core.plan import Plan
from bot.core.windows import local_date, local_midnight
from bot.core.words import CallbackState, Disposition
from bot.services.calls.callbacks import RUNNING
from bot.services.plans import planning
from store.tables import CallAttempt, Callback, Contact, Event, PausedPlan, PlannedMessage, PlannedState, Staff

PAGE = 50
REACHED = frozenset({Disposition.COMPLETED, Disposition.PARTLY_COMPLETED, Disposition.ESCALATED, Disposition.REFUSED,
                     Disposition.OPTED_OUT, Disposition.ANOTHER_TIME})  # fmt: skip


class PlanState(StrEnum):
    """Whether a plan makes contacts."""

    RUNNING = "running"
    PAUSED = "paused"
    ENDED = "ended"


@dataclass(slots=True)
class Figures:
    """How a plan stands: contacts still to be made, of those due until tonight and those that wait for something;
    today's that reached somebody, and those given up; events no contact could be planned for."""

    owed: int = 0
    due: int = 0
    waiting: int = 0
    reached: int = 0
    given_up: int = 0
    unplanned: int = 0


def state_of(plan: Plan, paused: bool, today: date) -> PlanState:
    """Paused counts before ended, for it can be changed here."""
    if paused:
        return PlanState.PAUSED
    return PlanState.ENDED if plan.ends_on is not None and plan.ends_on < today else PlanState.RUNNING


def held(session: Session) -> dict[str, tuple[PausedPlan, str]]:
    """The plans that are paused, and by whom."""
    rows = session.execute(select(PausedPlan, Staff.name).join(Staff, Staff.id == PausedPlan.staff_id))
    return {row.plan: (row, name) for row, name in rows}


def figures(session: Session, plans: Mapping[str, Plan], zone: str, now: datetime) -> dict[str, Figures]:
    """How each of these plans stands, today being the centre's."""
    found = {plan: Figures() for plan in plans}
    today = local_date(now, zone)
    start, tomorrow = (local_midnight(today + timedelta(days=n), zone) for n in (0, 1))

    def add(rows: Any, *names: str) -> None:
        for plan, *counts in rows:
            for name, count in zip(names, counts, strict=True):
                if plan in found:
                    setattr(found[plan], name, getattr(found[plan], name) + (count or 0))

    def some(condition: ColumnElement[bool]) -> ColumnElement[int]:
        return func.sum(case((condition, 1), else_=0))

    for table, live, why in (
        (Callback, RUNNING, Callback.waits),
        (PlannedMessage, PlannedMessage.state == PlannedState.SCHEDULED, PlannedMessage.why),
    ):
        query = select(table.plan, func.count(), some(table.due_at < tomorrow), some(why.is_not(None)))
        add(session.execute(query.where(live).group_by(table.plan)), "owed", "due", "waiting")
    calls = select(Callback.plan, some(Callback.disposition.in_(REACHED)), some(Callback.disposition.not_in(REACHED)))
    over = (Callback.closed_at >= start, Callback.closed_at < tomorrow, Callback.state != CallbackState.CANCELLED)
    add(session.execute(calls.where(*over).group_by(Callback.plan)), "reached", "given_up")
    said = select(PlannedMessage.plan, func.count()).where(
        PlannedMessage.closed_at >= start, PlannedMessage.closed_at < tomorrow,
        PlannedMessage.state == PlannedState.SAID,
    )  # fmt: skip
    add(session.execute(said.group_by(PlannedMessage.plan)), "reached")
    events = select(Event.kind, func.count()).where(Event.unplanned.in_(planning.MENDABLE)).group_by(Event.kind)
    for kind, count in session.execute(events).tuples():
        for plan in (id_ for id_, each in plans.items() if each.trigger == kind):
            found[plan].unplanned += count
    return found


# ── one plan ──


class View(StrEnum):
    """The tabs of a plan's page."""

    WAITING = "waiting"  # everybody somebody is still owed a contact to
    STUCK = "stuck"  # of those, who waits for something
    OVER = "over"


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the viewer asked to see of a plan."""

    view: View = View.WAITING
    step: int | None = None
    search: str = ""
    page: int = 1


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody in a plan with the contact that is next, or that was: a call or a message. `why` is a code of
    bot/services/calls/waits.py or of planned_messages.py; `then` when the step after it is due; times are UTC."""

    kind: str
    id: int
    contact_id: int
    who: str
    title: str
    step: int
    state: str
    disposition: str | None
    due_at: datetime | None
    closed_at: datetime | None
    why: str | None
    tried: int
    happened_at: datetime | None
    then: datetime | None


def people(session: Session, plan_id: str, plan: Plan, wanted: Wanted, now: datetime) -> tuple[Person, ...]:
    """A page of who is in a plan: whoever waits by when they are due, whoever is through from the latest on."""
    table = Callback if plan.calls else PlannedMessage
    order = (table.closed_at.desc(), table.id.desc()) if wanted.view is View.OVER else (table.due_at, table.id)
    query = _rows(table, plan_id).where(*_asked(session, table, plan_id, wanted, now)).order_by(*order)
    rows = session.execute(query.limit(PAGE).offset((wanted.page - 1) * PAGE))
    return tuple(_person(*row) for row in rows)


def counted(session: Session, plan_id: str, plan: Plan, wanted: Wanted, now: datetime) -> int:
    """How many there are, up to COUNTED."""
    table = Callback if plan.calls else PlannedMessage
    some = select(table.id).where(*_asked(session, table, plan_id, wanted, now)).limit(COUNTED).subquery()
    return session.scalar(select(func.count()).select_from(some)) or 0


def unplanned(session: Session, plan_id: str, plan: Plan, limit: int = 20) -> tuple[tuple[Event, str], ...]:
    """Events that would put somebody into this plan, but for something that people can mend."""
    rows = session.execute(
        select(Event, Contact.name)
        .join(Contact, Contact.id == Event.contact_id)
        .where(Event.unplanned.in_(planning.MENDABLE), Event.kind == plan.trigger.value)
        .order_by(Event.id)
        .limit(limit)
    )
    return tuple(
        (event, event.details.get("name") or name)
        for event, name in rows
        if event.source != planning.BY_HAND or event.details.get(planning.INTO) == plan_id
    )


def _live(table: Any) -> Condition:
    return RUNNING if table is Callback else PlannedMessage.state == PlannedState.SCHEDULED


def _asked(session: Session, table: Any, plan_id: str, wanted: Wanted, now: datetime) -> list[Condition]:
    found: list[Condition] = [table.plan == plan_id]
    if wanted.view is View.OVER:
        found.append(table.closed_at > now - SHOWN_FOR)
    else:
        waits = table.state == (CallbackState.SCHEDULED if table is Callback else PlannedState.SCHEDULED)
        if wanted.view is View.STUCK:
            found += [waits, (table.waits if table is Callback else table.why).is_not(None)]
        earlier = aliased(table)
        first = select(earlier.id).where(
            earlier.event_id == table.event_id,
            earlier.plan == plan_id,
            earlier.step < table.step,
            earlier.closed_at.is_(None),
        )
        found += [_live(table), ~first.exists()]
    if wanted.step is not None:
        found.append(table.step == wanted.step)
    if wanted.search:
        found.append(named(session, wanted.search, table))
    return found


def _rows(table: Any, plan_id: str) -> Select[Any]:
    """Each contact with its person and event, how often it was tried, and when the step after it is due."""
    later = aliased(table)
    then = (
        select(func.min(later.due_at))
        .where(
            later.event_id == table.event_id, later.plan == plan_id, later.step > table.step, later.closed_at.is_(None)
        )
        .scalar_subquery()
    )
    tried = select(func.count()).select_from(CallAttempt).where(CallAttempt.callback_id == table.id).scalar_subquery()
    return (
        select(table, Contact, Event, tried, then)
        .join(Contact, Contact.id == table.contact_id)
        .outerjoin(Event, Event.id == table.event_id)
    )


def _person(
    held: Callback | PlannedMessage, contact: Contact, event: Event | None, tried: int, then: datetime | None
) -> Person:
    details = event.details if event is not None else {}
    call = isinstance(held, Callback)
    return Person(
        kind="call" if call else "message",
        id=held.id,
        contact_id=contact.id,
        who=details.get("name") or contact.name or contact.title,
        title=details.get("title") or contact.title,
        step=held.step,
        state=held.state,
        disposition=held.disposition if isinstance(held, Callback) else None,
        due_at=held.due_at,
        closed_at=held.closed_at,
        why=held.waits if isinstance(held, Callback) else held.why,
        tried=tried if call else 0,
        happened_at=event.happened_at if event is not None else None,
        then=then,
    )
