"""A repair order as its case page shows it, and the visits of a day."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session, aliased

from bot.console.names import HIDDEN
from bot.console.queries.people import own_contact
from bot.core.repair import ENDED, RECORDED, WORK, allowed, following, replacement_due, work_refusal
from bot.core.visits import Slot
from bot.core.windows import local_date, local_midnight
from bot.core.words import RepairStage, VisitState
from bot.services.casework import repairs, visits
from bot.services.centre import Centre
from bot.services.permissions import Function, Grant
from bot.services.staffing.staff import SignedIn
from store.db import vault_of
from store.tables import Case, Contact, RepairOrder, Revision, Staff, Visit

SLOTS_SHOWN = 40


@dataclass(frozen=True, slots=True)
class Step:
    """A stage of the path: `how` is "done", "now", "passed" (not taken, later ones were) or "ahead"."""

    stage: RepairStage
    how: str


@dataclass(frozen=True, slots=True)
class RepairFile:
    """A repair order for its page: `next` are bare steps this viewer may take; quotations, consent and visits have
    their forms where they are possible. `blocked` is the code of what work still waits for (REQ-D28); `begun`: the day
    of the visit has come."""

    order: RepairOrder
    steps: tuple[Step, ...]
    next: tuple[RepairStage, ...]
    blocked: str | None
    may_quote: bool
    may_consent: bool
    may_book: bool
    posts: bool  # parcels come and go on this path (REQ-D39)
    over: bool
    replacement_due: datetime | None
    visit: Visit | None
    begun: bool
    technician: str | None
    earlier: tuple[Visit, ...]
    free: tuple[Slot, ...]
    currency: str


def repair_file(session: Session, centre: Centre, case: Case, viewer: SignedIn, now: datetime) -> RepairFile | None:
    order = session.get(RepairOrder, case.id)
    if order is None:
        return None
    policies, zone = centre.library.current.policies, centre.settings.timezone
    path, seen = policies.repairs.path(case.queue), repairs.seen(order)
    after = following(order.stage, path)
    over = order.stage in ENDED or case.closed_at is not None
    found = session.scalars(select(Visit).where(Visit.case_id == case.id).order_by(Visit.id.desc())).all()
    visit = next((each for each in found if each.state is VisitState.BOOKED), None)
    technician = session.get(Staff, visit.technician_id) if visit and visit.technician_id else None
    may_book = not over and visit is None and (RepairStage.BOOKED in after or order.stage is RepairStage.BOOKED)
    return RepairFile(
        order=order,
        steps=_steps(session, order, path),
        next=() if case.closed_at else tuple(to for to in allowed(seen, path, viewer.roles) if to not in RECORDED),
        blocked=work_refusal(seen, path) if WORK & set(after) and not over else None,
        may_quote=not over and (RepairStage.QUOTED in after or order.stage is RepairStage.QUOTED),
        may_consent=not over and order.quoted_at is not None and RepairStage.CONSENTED in after,
        may_book=may_book,
        posts=bool({RepairStage.DISPATCHED, RepairStage.RETURNED, RepairStage.REPLACED} & set(path)),
        over=over,
        replacement_due=None if over else replacement_due(order.received_at, policies.warranty.replacement_days),
        visit=visit,
        begun=visit is not None and local_date(visit.starts_at, zone) <= local_date(now, zone),
        technician=technician.name if technician else None,
        earlier=tuple(each for each in found if each is not visit),
        free=tuple(visits.free(session, centre, now, SLOTS_SHOWN)) if may_book or visit else (),
        currency=policies.broadcast.currency,
    )


def _steps(session: Session, order: RepairOrder, path: tuple[RepairStage, ...]) -> tuple[Step, ...]:
    """The path as a line of steps, up to and from where the order stands; what was really taken is in its history."""
    taken = set(
        session.scalars(
            select(Revision.new).where(
                Revision.subject == "case", Revision.subject_id == order.case_id, Revision.field == "stage"
            )
        )
    ) | {RepairStage.REGISTERED.value}
    stages = path if order.stage in path else (*path, order.stage)
    at = stages.index(order.stage)

    def how(index: int, stage: RepairStage) -> str:
        if index == at:
            return "now"
        if index < at:
            return "done" if stage.value in taken else "passed"
        return "ahead"

    return tuple(Step(stage, how(index, stage)) for index, stage in enumerate(stages))


@dataclass(frozen=True, slots=True)
class VisitRow:
    """A visit in a day's list, as the viewer may see it: `where` is masked for whoever may not see the place."""

    visit: Visit
    number: str
    subject: str
    who: str
    contact_id: int
    where: str
    technician: str | None
    full: bool


def visits_of(session: Session, day: date, zone: str, viewer: SignedIn) -> tuple[VisitRow, ...]:
    """The visits of a local day, earliest first; those that were moved away are on their new day."""
    start, end = local_midnight(day, zone), local_midnight(day + timedelta(days=1), zone)
    technician = aliased(Staff)
    rows = session.execute(
        select(Visit, Case, Contact, technician.name)
        .join(Case, Case.id == Visit.case_id)
        .join(Contact, Contact.id == Visit.contact_id)
        .outerjoin(technician, technician.id == Visit.technician_id)
        .where(Visit.starts_at >= start, Visit.starts_at < end, Visit.state != VisitState.MOVED)
        .order_by(Visit.starts_at, Visit.id)
    )
    how_far, vault = viewer.grants(Function.SEE_CONTACT), vault_of(session)

    def row(visit: Visit, case: Case, contact: Contact, name: str | None) -> VisitRow:
        full = bool(how_far & {Grant.YES, Grant.TEAM}) or (
            Grant.OWN_CASES in how_far
            and (
                viewer.staff_id in (visit.technician_id, case.staff_id)
                or own_contact(session, contact.id, viewer.staff_id)
            )
        )
        where = vault.open(visit.where_sealed) if visit.where_sealed else ""
        shown = where if full or not where else HIDDEN
        return VisitRow(visit, case.number, case.subject, contact.title or contact.name, contact.id, shown, name, full)

    return tuple(row(*each) for each in rows)
