"""A case's two clocks, first response and resolution, in business time: paused while pending on the customer, told
before they run out, stopped when it is resolved (REQ-B09, E09). The arithmetic is bot/core/sla.py's.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import exists, select
from sqlalchemy.orm import Session

from bot.core.sla import Clock, ClockState, Pause, Reading, business_time, read
from bot.core.words import Author, CaseKind, CaseState, Role, Urgency
from bot.services.centre import Centre
from bot.services.escalation import alerts, ladders, roster
from bot.services.i18n import N_
from store.db import touch
from store.tables import Case, Contact, Message, Staff

PAGE = 100
RANK = {
    ClockState.MET: 0,
    ClockState.PAUSED: 1,
    ClockState.RUNNING: 2,
    ClockState.WARNING: 3,
    ClockState.BREACHED: 4,
}
TOLD = {
    ClockState.WARNING: N_("工单 %(number)s 快到时限了，请抓紧处理"),
    ClockState.BREACHED: N_("工单 %(number)s 已超过时限，请马上处理"),
}
ABOVE = {ClockState.WARNING: Role.LEADER, ClockState.BREACHED: Role.SUPERVISOR}
"""Who hears of it besides whoever has the case."""


def readings(case: Case, centre: Centre, segments: Sequence[str], now: datetime) -> tuple[Reading, Reading]:
    """First response and resolution as they stand at `now`."""
    shelf = centre.library.current
    hours, sla = business_time(shelf.policies, shelf.calendar, frozenset(segments)), shelf.policies.sla
    target = sla.cases[case.urgency]
    pauses = tuple(
        Pause(datetime.fromisoformat(start), datetime.fromisoformat(end) if end else None)
        for start, end in case.pauses
        if start is not None
    )
    response = Clock(case.opened_at, target.first_response, pauses, case.responded_at or case.resolved_at)
    resolution = Clock(case.opened_at, target.resolution, pauses, case.resolved_at)
    return read(response, hours, sla.warn_at, now), read(resolution, hours, sla.warn_at, now)


def look(session: Session, centre: Centre, case: Case, now: datetime) -> None:
    """Reads the clocks anew after something changed: `due_at`, `standing` and when to look again follow; what has
    become worse is told."""
    contact = session.get_one(Contact, case.contact_id)
    both = readings(case, centre, contact.segments, now)
    running = [each for each in both if each.state in (ClockState.RUNNING, ClockState.WARNING)]
    was, worst = case.standing, max((each.state for each in both), key=RANK.__getitem__)
    if both[1].due_at is not None:
        case.due_at = both[1].due_at
    case.standing = worst.value
    ahead = [at for each in running for at in (each.warns_at, each.due_at) if at is not None and at > now]
    over = case.state is CaseState.CLOSED or case.resolved_at is not None
    case.look_at = None if over else min(ahead, default=None)
    worse = not was or RANK[worst] > RANK[ClockState(was)]
    if worst in TOLD and worse and not over:
        _tell(session, case, worst, now)
    if was != case.standing:
        touch(session, "floor")


def _tell(session: Session, case: Case, state: ClockState, now: datetime) -> None:
    """Whoever has it, and who stands above; not them too while the case's own ladder climbs, which tells them. The
    media's are told to nobody above: their ladder is the spokesperson's (REQ-E15)."""
    climbs = case.urgency is Urgency.URGENT and ladders.climbs(session, ladders.of_case(case.id))
    above = () if climbs or case.kind is CaseKind.MEDIA else roster.on_duty(session, now).roles[ABOVE[state]]
    ids = dict.fromkeys(each for each in (case.staff_id, *above) if each is not None)
    people = [session.get_one(Staff, each) for each in ids]
    alerts.tell(
        session,
        people,
        TOLD[state],
        cause=f"clock:{case.id}:{case.reopened}:{state}:{len(case.pauses)}:{bool(case.responded_at)}",
        link=f"/console/cases/{case.id}",
        now=now,
        urgent=state is ClockState.BREACHED,
        number=case.number,
    )


def respond(case: Case, now: datetime) -> None:
    """A person has answered the customer or taken the case in hand: the first clock stops."""
    if case.responded_at is None:
        case.responded_at = now
    case.look_at = now


def pause(case: Case, now: datetime) -> None:
    """It waits for the customer from now on."""
    if not case.pauses or case.pauses[-1][1] is not None:
        case.pauses = [*case.pauses, [now.isoformat(), None]]
    case.pending_since = case.look_at = now


def go_on(case: Case, now: datetime) -> None:
    """It waits for the customer no more."""
    if case.pauses and case.pauses[-1][1] is None:
        case.pauses = [*case.pauses[:-1], [case.pauses[-1][0], now.isoformat()]]
    case.pending_since, case.look_at = None, now


def stop(case: Case, now: datetime) -> None:
    """It is resolved."""
    go_on(case, now)
    case.resolved_at = now


def run_again(case: Case, now: datetime) -> None:
    """It was not resolved after all: the time since does not count, the clock goes on."""
    if case.resolved_at is not None:
        case.pauses = [*case.pauses, [case.resolved_at.isoformat(), now.isoformat()]]
    case.resolved_at, case.standing, case.look_at = None, "", now


def tick(session: Session, centre: Centre, now: datetime) -> int:
    """Looks at each case whose clocks change by now."""
    due = session.scalars(
        select(Case)
        .where(Case.look_at.is_not(None), Case.look_at <= now)
        .order_by(Case.look_at)
        .limit(PAGE)
        .with_for_update(skip_locked=True)
    ).all()
    for case in due:
        look(session, centre, case, now)
    return len(due) + _customers_who_answered(session, now)


def _customers_who_answered(session: Session, now: datetime) -> int:
    """Cases that waited for a customer who has written since: they go on."""
    wrote = exists().where(
        Message.conversation_id == Case.conversation_id,
        Message.author == Author.CUSTOMER,
        Message.at > Case.pending_since,
    )
    waiting = session.scalars(
        select(Case).where(Case.state == CaseState.PENDING, Case.pending_since.is_not(None), wrote).limit(PAGE)
    ).all()
    for case in waiting:
        case.state = CaseState.OPEN if case.staff_id is None else CaseState.ASSIGNED
        go_on(case, now)
    return len(waiting)


def next_due(session: Session, now: datetime) -> datetime | None:
    return session.scalar(select(Case.look_at).where(Case.look_at > now).order_by(Case.look_at).limit(1))
