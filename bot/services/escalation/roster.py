"""The roster: telephones, shifts, swaps, stand-by, and gaps told before they happen (REQ-F03, F04, F60, B25)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from bot.core import roster as core
from bot.core.ladder import Roster
from bot.core.policy import Policies
from bot.core.roster import SWAPS, Gap, ShiftKind, SwapState
from bot.core.windows import Calendar, local_date, spans
from bot.core.words import ChannelName, Presence, Role, mask
from bot.services import audit, contacts
from bot.services.centre import Centre
from bot.services.escalation import alerts
from bot.services.i18n import N_, when
from bot.services.permissions import Function, may
from bot.services.refusal import RefusedError
from store.db import touch
from store.tables import Address, FloorWatch, NumberKind, Shift, Staff, StaffNumber, Swap

LINK = "/console/roster"
LONGEST = timedelta(days=14)  # one shift
EVERY = timedelta(minutes=15)  # between two looks for gaps
GAP = N_("值班表有空岗：%(kind)s，%(start)s 至 %(end)s 没有人")
ASKED = N_("%(who)s想和您换班：%(start)s 至 %(end)s，请答复")
ACCEPTED = N_("%(who)s同意接班：%(start)s 至 %(end)s，请主管批准")
DECIDED = N_("换班（%(start)s 至 %(end)s）%(what)s")
OUTCOMES = {
    SwapState.APPROVED: N_("已批准"),
    SwapState.REFUSED: N_("未获批准"),
    SwapState.DECLINED: N_("对方不同意"),
    SwapState.WITHDRAWN: N_("已撤回"),
}
COVERED = {ShiftKind.ON_CALL: N_("应急值班"), ShiftKind.DUTY: N_("值班组长")}


# ── who may be told now ──────────────────────────────────────────────────────────────────────────────────────────────


def on_duty(session: Session, now: datetime) -> Roster:
    """For each role those who have the duty now, else those present, else everybody who holds it; and those on call."""
    people = session.scalars(select(Staff).where(Staff.active).order_by(Staff.id)).all()
    down = _values(_shifts(session, now, now + timedelta(microseconds=1)))
    known = {person.id for person in people}
    duty = set(core.at(down, ShiftKind.DUTY, now))
    away = {shift.staff_id for shift in down if shift.kind is ShiftKind.LEAVE}
    roles: dict[Role, tuple[int, ...]] = {}
    for role in Role:
        holders = [p for p in people if any(held.role is role for held in p.roles)]
        rested = [p for p in holders if p.id not in away] or holders
        present = [p for p in rested if p.presence is not Presence.OFFLINE]
        roles[role] = tuple(p.id for p in ([p for p in rested if p.id in duty] or present or rested))
    return Roster(roles, tuple(each for each in core.at(down, ShiftKind.ON_CALL, now) if each in known))


def at(session: Session, kind: ShiftKind, now: datetime) -> tuple[int, ...]:
    """Who is down for `kind` now."""
    return core.at(_values(_shifts(session, now, now + timedelta(microseconds=1))), kind, now)


def _shifts(session: Session, start: datetime, end: datetime) -> Sequence[Shift]:
    return session.scalars(
        select(Shift)
        .join(Staff, Staff.id == Shift.staff_id)
        .where(Shift.ends_at > start, Shift.starts_at < end, Shift.cancelled_at.is_(None), Staff.active)
        .order_by(Shift.starts_at, Shift.id)
    ).all()


def _values(rows: Sequence[Shift]) -> list[core.Shift]:
    return [core.Shift(row.staff_id, row.kind, row.starts_at, row.ends_at) for row in rows]


# ── telephones ───────────────────────────────────────────────────────────────────────────────────────────────────────


def set_number(
    session: Session,
    staff_id: int,
    kind: NumberKind,
    number: str,
    *,
    zone: str,
    now: datetime,
    by_staff_id: int | None,
    all_hours: bool = False,
) -> None:
    """Gives somebody of the staff a telephone, instead of one of the same kind; "" takes it away. It is to be verified
    anew. Raises contacts.BadPhoneError."""
    person = session.get_one(Staff, staff_id)
    held = session.scalar(select(StaffNumber).where(StaffNumber.staff_id == staff_id, StaffNumber.kind == kind))
    if not number.strip():
        if held is not None:
            session.delete(held)
            audit.record(session, "staff.number", "staff", staff_id, now=now, staff_id=by_staff_id, kind=kind)
        return
    value = contacts.phone_number(number)
    voice = contacts.meet(session, ChannelName.VOICE, value, language=person.language, zone=zone, now=now)
    sms = contacts.add_address(session, voice.contact_id, ChannelName.SMS, value, now)
    if held is None:
        held = StaffNumber(staff_id=staff_id, kind=kind)
        session.add(held)
    if held.voice_id != voice.address_id:
        held.voice_id, held.verified_at = voice.address_id, None
    held.sms_id = sms.id if kind is NumberKind.MOBILE else None
    held.all_hours = all_hours
    session.flush()
    audit.record(
        session, "staff.number", "staff", staff_id, now=now, staff_id=by_staff_id, kind=kind, number=mask(value)
    )


def mobile_hint(session: Session, staff_id: int) -> str | None:
    """Somebody's mobile, masked."""
    return session.scalar(
        select(Address.hint)
        .join(StaffNumber, StaffNumber.voice_id == Address.id)
        .where(StaffNumber.staff_id == staff_id, StaffNumber.kind == NumberKind.MOBILE)
    )


def verify_number(session: Session, number_id: int, *, by_staff_id: int, now: datetime) -> None:
    """Somebody rang it and the right person answered (REQ-F03)."""
    held = session.get_one(StaffNumber, number_id)
    held.verified_at = now
    audit.record(session, "staff.number_verified", "staff", held.staff_id, now=now, staff_id=by_staff_id)


# ── shifts ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def add_shift(
    session: Session,
    staff_id: int,
    kind: ShiftKind,
    start: datetime,
    end: datetime,
    *,
    by_staff_id: int,
    now: datetime,
    note: str = "",
) -> Shift:
    """Puts somebody down. Raises RefusedError: backward, over already, too long, or down twice."""
    person = session.get(Staff, staff_id)
    if person is None or not person.active:
        raise RefusedError("owner_unknown")
    if end <= start or end - start > LONGEST:
        raise RefusedError("shift_span")
    if end <= now:
        raise RefusedError("shift_past")
    value = core.Shift(staff_id, kind, start, end)
    if core.clashes(value, _values(_shifts(session, start, end))):
        raise RefusedError("shift_clash")
    shift = Shift(staff_id=staff_id, kind=kind, starts_at=start, ends_at=end, note=note.strip()[:120])
    session.add(shift)
    session.flush()
    audit.record(session, "shift.add", "shift", shift.id, now=now, staff_id=by_staff_id, kind=kind, of=staff_id)
    touch(session, "floor")
    return shift


def cancel_shift(session: Session, shift_id: int, *, by_staff_id: int, now: datetime) -> None:
    """Takes a shift off the roster; it stays on record."""
    shift = session.get_one(Shift, shift_id, with_for_update=True)
    if shift.cancelled_at is not None:
        return
    shift.cancelled_at = now
    for swap in session.scalars(select(Swap).where(Swap.shift_id == shift_id, Swap.state.in_(SWAPS))):
        swap.state, swap.decided_at, swap.decided_by = SwapState.WITHDRAWN, now, by_staff_id
    audit.record(session, "shift.cancel", "shift", shift_id, now=now, staff_id=by_staff_id)
    touch(session, "floor")


# ── swaps ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def ask_swap(
    session: Session, centre: Centre, shift_id: int, of_staff_id: int, *, by_staff_id: int, why: str, now: datetime
) -> Swap:
    """Asks a colleague to take over a shift of one's own."""
    shift = session.get_one(Shift, shift_id, with_for_update=True)
    other = session.get(Staff, of_staff_id)
    if shift.staff_id != by_staff_id:
        raise RefusedError("shift_not_yours")
    if other is None or not other.active or other.id == by_staff_id:
        raise RefusedError("owner_unknown")
    if shift.cancelled_at is not None or shift.ends_at <= now:
        raise RefusedError("shift_past")
    if session.scalar(select(Swap.id).where(Swap.shift_id == shift_id, Swap.state.in_(SWAPS))) is not None:
        raise RefusedError("swap_open")
    swap = Swap(shift_id=shift_id, asked_by=by_staff_id, asked_of=of_staff_id, why=why.strip()[:200], at=now)
    session.add(swap)
    session.flush()
    asker = session.get_one(Staff, by_staff_id)
    _tell(session, centre, [other], ASKED, f"swap:{swap.id}:asked", shift, now, who=asker.name)
    audit.record(session, "swap.ask", "swap", swap.id, now=now, staff_id=by_staff_id, of=of_staff_id)
    return swap


def move_swap(
    session: Session, centre: Centre, swap_id: int, to: SwapState, *, by_staff_id: int, now: datetime
) -> Swap:
    """Accepts or declines (who is asked), approves or refuses (a supervisor), withdraws (who asked). An approved one
    makes the shift theirs."""
    swap = session.get_one(Swap, swap_id, with_for_update=True)
    if to not in SWAPS.get(swap.state, frozenset()):
        raise RefusedError("swap_over")
    person = session.get_one(Staff, by_staff_id)
    supervises = may({held.role for held in person.roles}, Function.EDIT_POLICIES)
    mine = {
        SwapState.ACCEPTED: by_staff_id == swap.asked_of,
        SwapState.DECLINED: by_staff_id == swap.asked_of,
        SwapState.WITHDRAWN: by_staff_id == swap.asked_by,
        SwapState.APPROVED: supervises,
        SwapState.REFUSED: supervises,
    }
    if not mine[to]:
        raise RefusedError("not_allowed")
    shift = session.get_one(Shift, swap.shift_id, with_for_update=True)
    if to in (SwapState.ACCEPTED, SwapState.APPROVED):
        value = core.Shift(swap.asked_of, shift.kind, shift.starts_at, shift.ends_at)
        if core.clashes(value, _values(_shifts(session, shift.starts_at, shift.ends_at))):
            raise RefusedError("shift_clash")
    swap.state = to
    asker, other = session.get_one(Staff, swap.asked_by), session.get_one(Staff, swap.asked_of)
    if to is SwapState.ACCEPTED:
        _tell(session, centre, supervisors(session), ACCEPTED, f"swap:{swap.id}:accepted", shift, now, who=other.name)
    else:
        swap.decided_by, swap.decided_at = by_staff_id, now
        if to is SwapState.APPROVED:
            shift.staff_id = swap.asked_of
        _tell(session, centre, [asker, other], DECIDED, f"swap:{swap.id}:{to}", shift, now, what=OUTCOMES[to])
    audit.record(session, "swap.move", "swap", swap.id, now=now, staff_id=by_staff_id, to=to.value)
    touch(session, "floor")
    return swap


def colleagues(session: Session) -> list[tuple[int, str]]:
    """Who may be put down or asked to swap."""
    people = session.scalars(select(Staff).where(Staff.active).order_by(Staff.id))
    return [(person.id, person.name) for person in people]


def supervisors(session: Session) -> list[Staff]:
    """Who edits the roster."""
    people = session.scalars(select(Staff).where(Staff.active).order_by(Staff.id)).all()
    return [person for person in people if any(held.role is Role.SUPERVISOR for held in person.roles)]


def _tell(
    session: Session,
    centre: Centre,
    people: Sequence[Staff],
    message: str,
    cause: str,
    shift: Shift,
    now: datetime,
    *,
    who: str = "",
    what: str = "",
) -> None:
    zone = centre.settings.zone
    for person in people:
        alerts.tell(
            session,
            [person],
            message,
            cause=cause,
            link=LINK,
            now=now,
            start=when(person.language, shift.starts_at, zone),
            end=when(person.language, shift.ends_at, zone),
            who=who,
            what=what,
        )


# ── gaps ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Ahead:
    """What the roster lacks from `start` to `end`; `kept` is False where nobody has ever been put down: it is not used
    here, and nothing is lacking."""

    kept: bool
    gaps: tuple[Gap, ...]


def gaps(session: Session, policies: Policies, calendar: Calendar, start: datetime, end: datetime) -> Ahead:
    """The spans in which the policy wants somebody down and nobody is, soonest first."""
    if session.scalar(select(Shift.id).limit(1)) is None:
        return Ahead(False, ())
    rows = _values(_shifts(session, start, end))
    people = session.scalars(select(Staff).where(Staff.active)).all()
    everybody = frozenset(person.id for person in people)
    leaders = frozenset(p.id for p in people if any(held.role is Role.LEADER for held in p.roles))
    cover = policies.cover
    found: list[Gap] = []
    for kind, windows, whose in (
        (ShiftKind.ON_CALL, cover.on_call, everybody),
        (ShiftKind.DUTY, cover.leader, leaders),
    ):
        wanted: list[tuple[datetime, datetime]] = []
        day, last = local_date(start, policies.zone) - timedelta(days=1), local_date(end, policies.zone)
        while day <= last:
            for a, b in spans(day, (windows,), calendar.without_holidays(), policies.zone):
                if a < end and b > start:
                    wanted.append((max(a, start), min(b, end)))
            day += timedelta(days=1)
        found += core.gaps(rows, kind, _joined(wanted), people=whose)
    return Ahead(True, tuple(sorted(found, key=lambda gap: (gap.start, gap.kind))))


def _joined(wanted: Sequence[tuple[datetime, datetime]]) -> list[tuple[datetime, datetime]]:
    """Spans that touch are one: days that are open around the clock make no seams."""
    joined: list[tuple[datetime, datetime]] = []
    for start, end in sorted(wanted):
        if joined and start <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(end, joined[-1][1]))
        else:
            joined.append((start, end))
    return joined


def floor_watch(session: Session) -> FloorWatch:
    """The one row of what is watched about the floor, locked."""
    watch = session.scalar(select(FloorWatch).with_for_update().limit(1))
    if watch is None:
        watch = FloorWatch(id=1)
        session.add(watch)
        session.flush()
    return watch


def tick(session: Session, centre: Centre, now: datetime) -> int:
    """Tells supervisors of gaps that come within the time the policy names, each by its start and once."""
    shelf = centre.library.current
    until = now + shelf.policies.cover.warn_ahead
    watch = floor_watch(session)
    told = watch.gap_told_until
    if told is not None and until - told < EVERY:
        return 0
    watch.gap_told_until = until
    ahead = gaps(session, shelf.policies, shelf.calendar, now, until)
    fresh = [gap for gap in ahead.gaps if told is None or gap.start > now]
    for gap in fresh:
        for person in supervisors(session):
            alerts.tell(
                session,
                [person],
                GAP,
                cause=f"gap:{gap.kind}:{gap.start.isoformat()}",
                link=LINK,
                now=now,
                kind=COVERED[gap.kind],
                start=when(person.language, gap.start, centre.settings.zone),
                end=when(person.language, gap.end, centre.settings.zone),
            )
    return len(fresh)
