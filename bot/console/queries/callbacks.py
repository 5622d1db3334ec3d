"""The callback queue as the viewer may see it: what is due when and why, how today stands, which plans wait (A22)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum
from typing import Any

from sqlalchemy import ColumnElement, TextClause, and_, exists, func, or_, select
from sqlalchemy.orm import Session, aliased

from bot.core.calls import ENDED
from bot.core.plan import Rings, chosen
from bot.core.windows import local_date, local_midnight
from bot.core.words import CallbackSource, CallbackState, ChannelName, Disposition, FollowUpGroup
from bot.services import contacts
from bot.services.calls.callbacks import RUNNING, plan_of
from bot.services.permissions import Function, Grant
from bot.services.plans import planning
from bot.services.staffing.staff import SignedIn
from store.tables import (
    CallAttempt,
    Callback,
    Case,
    Contact,
    Conversation,
    Event,
    PausedPlan,
    Staff,
)

Condition = ColumnElement[bool] | TextClause


PAGE = 50
SHOWN_FOR = timedelta(days=30)  # what ended longer ago is in the reports
COUNTED = 10_000  # more than so many are shown as that many, so that counting stays quick
WEEK = timedelta(days=7)


class QueueView(StrEnum):
    """The tabs of the queue."""

    TODAY = "today"
    WEEK = "week"
    LATER = "later"
    MINE = "mine"
    CHECK = "check"
    DONE = "done"


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the viewer asked to see. `only_own`: their role shows them their own alone (REQ-A22)."""

    view: QueueView = QueueView.TODAY
    plan: str = ""
    source: CallbackSource | None = None
    state: CallbackState | None = None
    day: date | None = None
    search: str = ""
    page: int = 1

    @property
    def narrowed(self) -> bool:
        return bool(self.plan or self.source or self.state or self.day or self.search)


@dataclass(frozen=True, slots=True)
class CallbackRow:
    """A callback in the queue. `tried` counts its attempts; `waits` is a code of bot/services/calls/waits.py;
    `asked_by` the colleague who booked it, `owner` in whose diary it stands; `rings` was chosen for it, else the plan
    `ruled_by` says."""

    id: int
    contact_id: int
    who: str
    title: str
    group: FollowUpGroup
    plan: str
    source: CallbackSource
    topic: str
    state: CallbackState
    disposition: Disposition | None
    due_at: datetime | None
    closed_at: datetime | None
    tried: int
    priority: int
    flags: tuple[str, ...]
    waits: str | None
    asked_by: str | None
    owner: str | None
    revision: int
    rings: Rings | None
    ruled_by: str


@dataclass(frozen=True, slots=True)
class Progress:
    """Today's list: what is still due, what is being said, and how what is over ended."""

    due: int
    in_progress: int
    done: int
    given_up: int
    refused: int
    cancelled: int

    @property
    def total(self) -> int:
        return self.due + self.in_progress + self.done + self.given_up + self.refused + self.cancelled


@dataclass(frozen=True, slots=True)
class PlanRow:
    """A plan with calls that wait, or that is paused."""

    plan: str
    waiting: int
    paused: PausedPlan | None
    by: str | None


@dataclass(frozen=True, slots=True)
class Waiting:
    """An event no call could be planned for, and why."""

    id: int
    kind: str
    who: str
    happened_at: datetime
    unplanned: str


def in_view(view: QueueView, zone: str, now: datetime, staff_id: int) -> tuple[Condition, ...]:
    """Which callbacks a tab shows."""
    today = local_date(now, zone)
    tomorrow = local_midnight(today + timedelta(days=1), zone)
    lately = Callback.closed_at > now - SHOWN_FOR
    match view:
        case QueueView.TODAY:
            return (RUNNING, Callback.due_at < tomorrow)
        case QueueView.WEEK:
            return (RUNNING, Callback.due_at < local_midnight(today + WEEK, zone))
        case QueueView.LATER:
            return (RUNNING, Callback.due_at >= tomorrow)
        case QueueView.MINE:
            return (RUNNING, Callback.staff_id == staff_id)
        case QueueView.CHECK:
            missed = Callback.disposition.in_((Disposition.FAILED, Disposition.WRONG_NUMBER))
            return (lately, Callback.state == CallbackState.GIVEN_UP, missed)
        case QueueView.DONE:
            return (lately, Callback.state.in_(ENDED))


def shown(session: Session, wanted: Wanted, viewer: SignedIn, zone: str, now: datetime) -> tuple[Condition, ...]:
    """Everything the viewer asked for and may see, as conditions."""
    found: list[Condition] = [] if wanted.day else [*in_view(wanted.view, zone, now, viewer.staff_id)]
    if wanted.day:
        start, end = (local_midnight(wanted.day + timedelta(days=n), zone) for n in (0, 1))
        over = Callback.state.in_(ENDED) & (Callback.closed_at >= start) & (Callback.closed_at < end)
        found.append(or_(over, and_(RUNNING, Callback.due_at >= start, Callback.due_at < end)))
    for column, value in (
        (Callback.plan, wanted.plan or None),
        (Callback.source, wanted.source),
        (Callback.state, wanted.state),
    ):
        if value is not None:
            found.append(column == value)
    if wanted.search:
        found.append(named(session, wanted.search))
    if not viewer.may(Function.MANAGE_CALLBACKS, Grant.YES):
        found.append(_own(viewer.staff_id))
    return tuple(found)


def named(session: Session, search: str, table: Any = Callback) -> Condition:
    """Rows of `table` by their person's telephone number, else by name or title; callbacks by their topic too."""
    try:
        number = contacts.phone_number(search)
    except contacts.BadPhoneError:
        like = f"%{search.replace('%', '').replace('_', '')}%"
        people = select(Contact.id).where(or_(Contact.name.like(like), Contact.title.like(like)))
        about = (Callback.topic.like(like),) if table is Callback else ()
        return or_(table.contact_id.in_(people), *about)
    address = contacts.find_address(session, ChannelName.VOICE, number)
    found: ColumnElement[bool] = table.contact_id == (address.contact_id if address is not None else None)
    return found


def _own(staff_id: int) -> Condition:
    """In one's diary, booked by oneself, or about one's own case or conversation."""
    case = exists().where(Case.staff_id == staff_id, or_(Case.id == Callback.case_id, Case.callback_id == Callback.id))
    held = exists().where(Conversation.callback_id == Callback.id, Conversation.staff_id == staff_id)
    return or_(Callback.staff_id == staff_id, Callback.booked_by == staff_id, case, held)


def counted(session: Session, viewer: SignedIn, zone: str, now: datetime) -> dict[QueueView, int]:
    """How many callbacks each tab has, up to COUNTED."""
    return {view: total(session, shown(session, Wanted(view), viewer, zone, now)) for view in QueueView}


def total(session: Session, conditions: Sequence[Condition]) -> int:
    """How many there are, up to COUNTED."""
    some = select(Callback.id).where(*conditions).limit(COUNTED).subquery()
    return session.scalar(select(func.count()).select_from(some)) or 0


def queue(session: Session, wanted: Wanted, conditions: Sequence[Condition]) -> tuple[CallbackRow, ...]:
    """A page: what waits in the order it will be called, what is over from the latest on."""
    over = wanted.view in (QueueView.CHECK, QueueView.DONE) and not wanted.day
    order = (Callback.closed_at.desc(),) if over else (Callback.priority, Callback.due_at, Callback.id)
    asked_by, owner = aliased(Staff), aliased(Staff)
    found = session.execute(
        select(Callback, Contact, Event, _tried(), asked_by.name, owner.name)
        .join(Contact, Contact.id == Callback.contact_id)
        .outerjoin(Event, Event.id == Callback.event_id)
        .outerjoin(asked_by, asked_by.id == Callback.booked_by)
        .outerjoin(owner, owner.id == Callback.staff_id)
        .where(*conditions)
        .order_by(*order)
        .limit(PAGE)
        .offset((wanted.page - 1) * PAGE)
    )
    return tuple(row_of(*each) for each in found)


def progress(session: Session, viewer: SignedIn, zone: str, now: datetime) -> Progress:
    """How today's list stands."""
    today = local_date(now, zone)
    start, tomorrow = (local_midnight(today + timedelta(days=n), zone) for n in (0, 1))
    own = () if viewer.may(Function.MANAGE_CALLBACKS, Grant.YES) else (_own(viewer.staff_id),)
    waits = dict(
        session.execute(
            select(Callback.state, func.count())
            .where(RUNNING, Callback.due_at < tomorrow, *own)
            .group_by(Callback.state)
        )
        .tuples()
        .all()
    )
    over = (
        session.execute(
            select(Callback.state, Callback.disposition, func.count())
            .where(Callback.closed_at >= start, Callback.closed_at < tomorrow, *own)
            .group_by(Callback.state, Callback.disposition)
        )
        .tuples()
        .all()
    )
    said_no = (Disposition.REFUSED, Disposition.OPTED_OUT)

    def ended(state: CallbackState) -> int:
        return sum(n for held, how, n in over if held is state and how not in said_no)

    return Progress(
        due=waits.get(CallbackState.SCHEDULED, 0),
        in_progress=waits.get(CallbackState.DIALLING, 0),
        done=ended(CallbackState.DONE),
        given_up=ended(CallbackState.GIVEN_UP),
        refused=sum(n for _, how, n in over if how in said_no),
        cancelled=ended(CallbackState.CANCELLED),
    )


def plans(session: Session) -> tuple[PlanRow, ...]:
    """The plans that have calls waiting, and those that are paused."""
    waiting = dict(
        session.execute(select(Callback.plan, func.count()).where(RUNNING).group_by(Callback.plan)).tuples().all()
    )
    held = {
        row.plan: (row, name)
        for row, name in session.execute(select(PausedPlan, Staff.name).join(Staff, Staff.id == PausedPlan.staff_id))
    }
    return tuple(
        PlanRow(plan, waiting.get(plan, 0), *held.get(plan, (None, None))) for plan in sorted({*waiting, *held})
    )


def _tried() -> ColumnElement[int]:
    return select(func.count()).select_from(CallAttempt).where(CallAttempt.callback_id == Callback.id).scalar_subquery()


def row_of(
    callback: Callback,
    contact: Contact,
    event: Event | None,
    tried: int,
    asked_by: str | None = None,
    owner: str | None = None,
) -> CallbackRow:
    """A number may be a family's: who visited is named in the event."""
    details = event.details if event is not None else {}
    return CallbackRow(
        id=callback.id,
        contact_id=contact.id,
        who=details.get("name") or contact.name or contact.title,
        title=details.get("title") or contact.title,
        group=callback.follow_up_group,
        plan=callback.plan,
        source=callback.source,
        topic=callback.topic or details.get("department", ""),
        state=callback.state,
        disposition=callback.disposition,
        due_at=callback.due_at,
        closed_at=callback.closed_at,
        tried=tried,
        priority=callback.priority,
        flags=tuple(flag for flag in callback.flags if flag not in set(Rings)),
        waits=callback.waits,
        asked_by=asked_by,
        owner=owner,
        revision=callback.revision,
        rings=chosen(callback.flags),
        ruled_by=plan_of(callback),
    )


def waiting_events(session: Session, limit: int = 20) -> tuple[Waiting, ...]:
    """Events that wait for a setting before their call can be planned."""
    rows = session.execute(
        select(Event, Contact)
        .join(Contact, Contact.id == Event.contact_id)
        .where(Event.unplanned.in_(planning.MENDABLE))
        .order_by(Event.id)
        .limit(limit)
    )
    return tuple(
        Waiting(
            event.id, event.kind, event.details.get("name") or contact.name, event.happened_at, event.unplanned or ""
        )
        for event, contact in rows
    )
