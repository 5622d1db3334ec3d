"""Visits at home: agreed, moved, cancelled, marked done or missed (REQ-D29, C35, INT-32, INT-33).

A slot's last place is given away once: the rows are numbered, and the database keeps the numbers unique. What a
customer is to be told about a visit lies on its row (`notice`, `notice_at`); visit_notices.py tells it.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from zoneinfo import ZoneInfo

from sqlalchemy import func, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from bot.core import repair
from bot.core.repair import following
from bot.core.visits import Notice, Offer, Slot, find, free_slots, reminder_at
from bot.core.windows import local_date
from bot.core.words import (
    CaseKind,
    CaseState,
    DeliveryState,
    Purpose,
    RepairStage,
    Role,
    Urgency,
    VisitState,
)
from bot.services import audit
from bot.services.casework import cases, repairs
from bot.services.centre import Centre
from bot.services.escalation import alerts, ladders
from bot.services.i18n import N_
from bot.services.refusal import RefusedError
from store.db import touch, vault_of
from store.tables import Case, Delivery, RepairOrder, Staff, Visit

TRIES = 4  # somebody else may take the last place meanwhile
OFTEN = 2  # so many changes of ours to one case, and a leader is called (INT-33)
CHANGED = N_("上门改到 %(when)s，工单 %(number)s")
CALLED_OFF = N_("%(when)s 的上门取消了，工单 %(number)s")


class VisitRefusedError(RefusedError):
    """What was asked of a visit is not possible now."""


class NoSlotError(VisitRefusedError):
    """The wished time is not possible; `offer` says why and what is."""

    def __init__(self, offer: Offer) -> None:
        super().__init__("slot_taken")
        self.offer = offer


# ── agreed and moved ──


def slot_for(
    session: Session, centre: Centre, wish: datetime | None, now: datetime, *, besides: int | None = None
) -> Slot:
    """The free slot a wish means; raises NoSlotError. `besides` is a visit whose own place does not count."""
    shelf = centre.library.current
    found = find(
        wish, now, shelf.policies.visits, shelf.calendar, centre.settings.timezone, _taken(session, now, besides)
    )
    if isinstance(found, Offer):
        raise NoSlotError(found)
    return found


def book(
    session: Session,
    centre: Centre,
    case_id: int,
    wish: datetime | None,
    *,
    where: str | None,
    address_id: int | None,
    now: datetime,
    staff_id: int | None = None,
) -> Visit:
    """Agrees a visit for a repair case; raises NoSlotError, or VisitRefusedError where the order is not that far."""
    case, order = repairs.hold(session, case_id)
    if open_visit(session, case_id) is not None:
        raise VisitRefusedError("visit_booked")
    if not _bookable(centre, case, order):
        raise VisitRefusedError("visit_not_now")
    visit = _place(session, centre, case, wish, where=where, address_id=address_id, now=now, staff_id=staff_id)
    if order.stage is not RepairStage.BOOKED:
        repairs.advance(session, centre, case_id, RepairStage.BOOKED, roles=None, now=now, staff_id=staff_id)
    _written(session, centre, visit, "booked", now, staff_id)
    audit.record(
        session, "visit.book", "visit", visit.id, now=now, staff_id=staff_id, starts_at=visit.starts_at.isoformat()
    )
    return visit


def move(
    session: Session,
    centre: Centre,
    visit_id: int,
    wish: datetime | None,
    *,
    now: datetime,
    staff_id: int | None = None,
) -> Visit:
    """Agrees another time instead; the earlier row stays, as moved. Our own change is told to the customer."""
    old = _booked(session, visit_id)
    case, _ = repairs.hold(session, old.case_id)
    if slot_for(session, centre, wish, now, besides=old.id).start == old.starts_at:
        return old
    visit = _place(
        session, centre, case, wish, where=_where(session, old), address_id=old.address_id, now=now,
        staff_id=staff_id, instead_of=old,
    )  # fmt: skip
    visit.technician_id = old.technician_id
    if staff_id is not None:
        visit.notice, visit.notice_at = Notice.CHANGED, now
        _too_often(session, centre, case, now)
    else:
        _tell_technician(session, centre, visit, CHANGED, now)
    _written(session, centre, visit, "moved", now, staff_id)
    audit.record(
        session, "visit.move", "visit", visit.id, now=now, staff_id=staff_id, starts_at=visit.starts_at.isoformat()
    )
    return visit


def _place(
    session: Session,
    centre: Centre,
    case: Case,
    wish: datetime | None,
    *,
    where: str | None,
    address_id: int | None,
    now: datetime,
    staff_id: int | None,
    instead_of: Visit | None = None,
) -> Visit:
    """Inserts a visit at the first free place of the slot a wish means; a lost race looks again."""
    for _ in range(TRIES):
        slot = slot_for(session, centre, wish, now, besides=instead_of.id if instead_of else None)
        if (place := _free_place(session, centre, slot)) is None:  # filled since the slot was looked for
            continue
        try:
            with session.begin_nested():
                if instead_of is not None:
                    _end(session, instead_of, VisitState.MOVED, now, staff_id)
                visit = Visit(
                    case_id=case.id,
                    contact_id=case.contact_id,
                    address_id=address_id,
                    starts_at=slot.start,
                    ends_at=slot.end,
                    place=place,
                    state=VisitState.BOOKED,
                    where_sealed=vault_of(session).seal(where) if where else None,
                    booked_at=now,
                    changed_at=now,
                    changed_by=staff_id,
                )
                remind_later(visit, centre, now)
                session.add(visit)
                session.flush()
            return visit
        except IntegrityError:  # somebody took this very place
            continue
    raise VisitRefusedError("busy")


def remind_later(visit: Visit, centre: Centre, now: datetime) -> None:
    """Owes the reminder, where there is time for one."""
    visit.notice_at = reminder_at(visit.starts_at, centre.library.current.policies.visits, now)
    visit.notice = Notice.REMINDER if visit.notice_at else None


def _free_place(session: Session, centre: Centre, slot: Slot) -> int | None:
    used = set(
        session.scalars(select(Visit.place).where(Visit.starts_at == slot.start, Visit.state == VisitState.BOOKED))
    )
    places = range(centre.library.current.policies.visits.capacity)
    return next((place for place in places if place not in used), None)


def _taken(session: Session, now: datetime, besides: int | None = None) -> list[Slot]:
    rows = session.execute(
        select(Visit.id, Visit.starts_at, Visit.ends_at).where(Visit.state == VisitState.BOOKED, Visit.ends_at > now)
    )
    return [Slot(row.starts_at, row.ends_at) for row in rows if row.id != besides]


# ── ended ──


def cancel(session: Session, centre: Centre, visit_id: int, *, now: datetime, staff_id: int | None = None) -> Visit:
    """No visit after all; the case stays open. Our own cancelling is told to the customer."""
    visit = _booked(session, visit_id)
    _end(session, visit, VisitState.CANCELLED, now, staff_id)
    if staff_id is not None:
        visit.notice, visit.notice_at = Notice.CANCELLED, now
    else:
        _tell_technician(session, centre, visit, CALLED_OFF, now)
    repairs.unbook(session, visit.case_id, now, staff_id)
    _written(session, centre, visit, "cancelled", now, staff_id)
    audit.record(session, "visit.cancel", "visit", visit.id, now=now, staff_id=staff_id)
    return visit


def done(
    session: Session, centre: Centre, visit_id: int, *, roles: Collection[Role], staff_id: int, now: datetime
) -> Visit:
    """The engineer was there: the order goes on to the inspection or the repair, where nothing stands against it."""
    visit = _begun(session, centre, visit_id, now)
    _end(session, visit, VisitState.DONE, now, staff_id)
    case, order = repairs.hold(session, visit.case_id)
    if order.stage is RepairStage.BOOKED:
        may = repair.allowed(repairs.seen(order), repairs.path_of(centre, case), roles)
        to = next((each for each in (RepairStage.INSPECTED, RepairStage.REPAIRING) if each in may), None)
        if to is not None:
            repairs.advance(session, centre, case.id, to, roles=roles, now=now, staff_id=staff_id)
    _written(session, centre, visit, "done", now, staff_id)
    audit.record(session, "visit.done", "visit", visit.id, now=now, staff_id=staff_id)
    return visit


def missed(session: Session, centre: Centre, visit_id: int, *, staff_id: int, now: datetime) -> Visit:
    """It did not take place: the customer gets an apology and is asked for another time."""
    visit = _begun(session, centre, visit_id, now)
    _end(session, visit, VisitState.MISSED, now, staff_id)
    visit.notice, visit.notice_at = Notice.MISSED, now
    repairs.unbook(session, visit.case_id, now, staff_id)
    _too_often(session, centre, session.get_one(Case, visit.case_id), now)
    _written(session, centre, visit, "missed", now, staff_id)
    audit.record(session, "visit.missed", "visit", visit.id, now=now, staff_id=staff_id)
    return visit


def assign(session: Session, visit_id: int, technician_id: int, *, staff_id: int, now: datetime) -> None:
    """Who goes."""
    visit = _booked(session, visit_id)
    old, visit.technician_id, visit.changed_at = visit.technician_id, technician_id, now
    audit.revise(session, "visit", visit.id, "technician_id", old, technician_id, now=now, staff_id=staff_id)
    audit.record(session, "visit.assign", "visit", visit.id, now=now, staff_id=staff_id, to=technician_id)
    touch(session, "visits")


def _end(session: Session, visit: Visit, state: VisitState, now: datetime, staff_id: int | None) -> None:
    """Ends a visit; what was still to be told about it never will be."""
    visit.state, visit.changed_at, visit.changed_by = state, now, staff_id
    visit.notice = visit.notice_at = None
    session.execute(
        update(Delivery)
        .where(
            Delivery.contact_id == visit.contact_id,
            Delivery.purpose == Purpose.SERVICE_NOTICE,
            Delivery.state == DeliveryState.QUEUED,
            Delivery.dedupe_key.like("line:%"),
        )
        .values(state=DeliveryState.CANCELLED, changed_at=now)
    )
    session.flush()


def _booked(session: Session, visit_id: int) -> Visit:
    visit = session.get_one(Visit, visit_id, with_for_update=True, populate_existing=True)
    if visit.state is not VisitState.BOOKED:
        raise VisitRefusedError("visit_over")
    return visit


def _begun(session: Session, centre: Centre, visit_id: int, now: datetime) -> Visit:
    """A visit whose day has come."""
    visit, zone = _booked(session, visit_id), centre.settings.timezone
    if local_date(now, zone) < local_date(visit.starts_at, zone):
        raise VisitRefusedError("visit_not_begun")
    return visit


def _too_often(session: Session, centre: Centre, case: Case, now: datetime) -> None:
    """Our second change to one case calls a leader (INT-33)."""
    ours = session.scalar(
        select(func.count())
        .select_from(Visit)
        .where(
            Visit.case_id == case.id,
            Visit.state.in_((VisitState.MOVED, VisitState.MISSED)),
            Visit.changed_by.is_not(None),
        )
    )
    if (ours or 0) >= OFTEN:
        ladders.start(session, centre, reason="visit", urgency=Urgency.ORDINARY, case_id=case.id, now=now)


def _tell_technician(session: Session, centre: Centre, visit: Visit, message: str, now: datetime) -> None:
    technician = session.get(Staff, visit.technician_id) if visit.technician_id else None
    if technician is not None:
        case = session.get_one(Case, visit.case_id)
        alerts.tell(
            session, [technician], message, cause=f"visit:{visit.id}:{visit.state}", link=f"/console/cases/{case.id}",
            now=now, when=_span(visit, centre), number=case.number,
        )  # fmt: skip


def _written(session: Session, centre: Centre, visit: Visit, what: str, now: datetime, staff_id: int | None) -> None:
    cases.note(session, visit.case_id, f"visit.{what}", _span(visit, centre), now=now, staff_id=staff_id)
    session.flush()
    touch(session, "visits")


def _span(visit: Visit, centre: Centre) -> str:
    zone = ZoneInfo(centre.settings.timezone)
    return f"{visit.starts_at.astimezone(zone):%m-%d %H:%M}–{visit.ends_at.astimezone(zone):%H:%M}"


# ── looked up ──


def open_visit(session: Session, case_id: int) -> Visit | None:
    return session.scalar(select(Visit).where(Visit.case_id == case_id, Visit.state == VisitState.BOOKED))


def next_of(session: Session, contact_id: int, now: datetime) -> Visit | None:
    """The contact's own visit that is still to come, the nearest first."""
    return session.scalar(
        select(Visit)
        .where(Visit.contact_id == contact_id, Visit.state == VisitState.BOOKED, Visit.ends_at > now)
        .order_by(Visit.starts_at, Visit.id)
        .limit(1)
    )


def free(session: Session, centre: Centre, now: datetime, limit: int) -> list[Slot]:
    """The next slots with a place left, for whoever agrees a time by telephone."""
    shelf = centre.library.current
    taken = _taken(session, now)
    return free_slots(now, shelf.policies.visits, shelf.calendar, centre.settings.timezone, taken)[:limit]


def case_awaiting(session: Session, centre: Centre, contact_id: int) -> Case | None:
    """The contact's latest open repair case for which a visit may be booked and none is."""
    rows = session.execute(
        select(Case, RepairOrder)
        .join(RepairOrder, RepairOrder.case_id == Case.id)
        .where(Case.contact_id == contact_id, Case.kind == CaseKind.REPAIR, Case.state != CaseState.CLOSED)
        .order_by(Case.id.desc())
    )
    return next(
        (c for c, order in rows if _bookable(centre, c, order) and open_visit(session, c.id) is None),
        None,
    )


def _bookable(centre: Centre, case: Case, order: RepairOrder) -> bool:
    return order.stage is RepairStage.BOOKED or RepairStage.BOOKED in following(
        order.stage, repairs.path_of(centre, case)
    )


def _where(session: Session, visit: Visit) -> str | None:
    return vault_of(session).open(visit.where_sealed) if visit.where_sealed else None
