"""The roster as people read it: a week by person and day, the contact list, swaps under way."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from sqlalchemy import select
from sqlalchemy.orm import Session, aliased

from bot.core.roster import SWAPS
from bot.core.words import Role
from bot.services.permissions import Function
from bot.services.staffing.staff import SignedIn
from store.db import vault_of
from store.tables import Address, Shift, Staff, StaffNumber, Swap


@dataclass(frozen=True, slots=True)
class Row:
    """One person's week: their shifts by the day on which they begin, or on which the week begins."""

    staff_id: int
    name: str
    days: Mapping[date, tuple[Shift, ...]]


def week(session: Session, monday: date, zone: str) -> tuple[Row, ...]:
    """The week from `monday` in `zone`: everybody active, those with shifts first."""
    local = ZoneInfo(zone)
    start = datetime.combine(monday, time(0), local)
    end = datetime.combine(monday + timedelta(days=7), time(0), local)
    shifts = session.scalars(
        select(Shift)
        .where(Shift.ends_at > start, Shift.starts_at < end, Shift.cancelled_at.is_(None))
        .order_by(Shift.starts_at, Shift.id)
    ).all()
    days: dict[int, dict[date, tuple[Shift, ...]]] = {}
    for shift in shifts:
        theirs, on = days.setdefault(shift.staff_id, {}), max(shift.starts_at.astimezone(local).date(), monday)
        theirs[on] = (*theirs.get(on, ()), shift)
    people = session.scalars(select(Staff).where(Staff.active).order_by(Staff.id))
    rows = [Row(person.id, person.name, days.get(person.id, {})) for person in people]
    return tuple(sorted(rows, key=lambda row: (not row.days, row.staff_id)))


@dataclass(frozen=True, slots=True)
class Listed:
    """Somebody of the contact list with their telephones, masked for those who only read."""

    staff_id: int
    name: str
    roles: tuple[Role, ...]
    numbers: tuple[tuple[StaffNumber, str], ...]


def contact_list(session: Session, *, full: bool) -> tuple[Listed, ...]:
    """Everybody active; `full` shows the numbers."""
    vault = vault_of(session)
    found = session.execute(
        select(StaffNumber, Address).join(Address, Address.id == StaffNumber.voice_id).order_by(StaffNumber.kind)
    ).all()
    numbers: dict[int, tuple[tuple[StaffNumber, str], ...]] = {}
    for number, address in found:
        shown = vault.open(address.sealed) if full else address.hint
        numbers[number.staff_id] = (*numbers.get(number.staff_id, ()), (number, shown))
    people = session.scalars(select(Staff).where(Staff.active).order_by(Staff.id))
    return tuple(
        Listed(p.id, p.name, tuple(sorted(held.role for held in p.roles)), numbers.get(p.id, ())) for p in people
    )


@dataclass(frozen=True, slots=True)
class Asked:
    """A swap under way: whose shift, who is asked, and what the viewer may answer."""

    swap: Swap
    shift: Shift
    asker: str
    other: str
    answers: tuple[str, ...]


def swaps_of(session: Session, viewer: SignedIn, now: datetime) -> tuple[Asked, ...]:
    """The swaps under way that concern the viewer; supervisors see all of them."""
    supervises = viewer.may(Function.EDIT_POLICIES)
    asker, other = aliased(Staff), aliased(Staff)
    rows = session.execute(
        select(Swap, Shift, asker.name, other.name)
        .join(Shift, Shift.id == Swap.shift_id)
        .join(asker, asker.id == Swap.asked_by)
        .join(other, other.id == Swap.asked_of)
        .where(Swap.state.in_(SWAPS), Shift.ends_at > now)
        .order_by(Swap.id)
    )
    return tuple(
        Asked(swap, shift, who, whom, _answers(swap, viewer.staff_id, supervises))
        for swap, shift, who, whom in rows
        if supervises or viewer.staff_id in (swap.asked_by, swap.asked_of)
    )


def _answers(swap: Swap, viewer: int, supervises: bool) -> tuple[str, ...]:
    """What the viewer may answer now, as SwapState names it."""
    theirs = {
        "accepted": viewer == swap.asked_of,
        "declined": viewer == swap.asked_of,
        "withdrawn": viewer == swap.asked_by,
        "approved": supervises,
        "refused": supervises,
    }
    return tuple(to.value for to in sorted(SWAPS[swap.state]) if theirs[to.value])
