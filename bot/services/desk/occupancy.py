"""The floor's occupancy, watched: plans proposed when every line stays in use, a surge's levels, who decides
(REQ-B16, B17, B23, B24, F07..F09, F28, A22). What is decided by time is bot/core/occupancy.py's.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from sqlalchemy import case, func, select, update
from sqlalchemy.orm import Session

from bot.core import occupancy
from bot.core.occupancy import Grown, Occupancy, Over, Seen, Step
from bot.core.policy import Way
from bot.core.roster import ShiftKind
from bot.core.words import ConversationState, IncidentState, Presence, Role
from bot.services import audit
from bot.services.centre import Centre
from bot.services.escalation import alerts, roster
from bot.services.i18n import N_
from bot.services.incidents import detection, incident_surge, incidents
from bot.services.incidents.incident_file import OPEN
from bot.services.permissions import PERMISSIONS, Function, Grant, may
from bot.services.refusal import RefusedError
from store.db import touch
from store.tables import Conversation, FloorWatch, Proposal, ProposalState, Staff, StaffRole, Surge

LINES_FULL = "INC-09"  # the catalogue's name of it
EVERY_WAY = (Way.CONSOLE, Way.TELEGRAM, Way.SMS, Way.VOICE)
DECIDES: Mapping[Step, Function] = {
    Step.GENERAL: Function.START_GENERAL_PLAN,
    Step.MAJOR: Function.START_MAJOR_PLAN,
    Step.SURGE_2: Function.START_MAJOR_PLAN,
    Step.SURGE_3: Function.START_MAJOR_PLAN,
}
"""Who confirms or refuses what (REQ-A22)."""

LEVELS = {2: Step.SURGE_2, 3: Step.SURGE_3}
PROPOSED = {
    Step.GENERAL: N_("值班线路全忙已满 %(minutes)s 分钟，建议启动一般预案，请确认"),
    Step.MAJOR: N_("值班线路全忙已满 %(minutes)s 分钟，建议启动重大预案，请确认"),
    Step.SURGE_2: N_("一级支援 %(minutes)s 分钟仍未控制，建议升为二级，请确认"),
    Step.SURGE_3: N_("二级支援 %(minutes)s 分钟仍未控制，建议升为三级，请确认"),
}
CALLED_IN = N_("话务高峰%(level)s级支援：请马上上线接电话，听从主管调度")
CALLED_OFF = N_("话务高峰支援结束，谢谢大家，请恢复原来的安排")
CALM = N_("话务已恢复正常一段时间，可以撤回支援了")
FULL = N_("值班线路全忙")


# ── the watch ────────────────────────────────────────────────────────────────────────────────────────────────────────


def seen(session: Session) -> Seen:
    """The floor now: agents on their seats, what they hold and could hold, and who waits."""
    holding = (
        select(Conversation.staff_id, func.count().label("held"))
        .where(Conversation.state == ConversationState.AGENT)
        .group_by(Conversation.staff_id)
        .subquery()
    )
    held = func.coalesce(holding.c.held, 0)
    agents = session.execute(
        select(
            func.count().label("there"),
            func.coalesce(func.sum(case((held < Staff.capacity, held), else_=Staff.capacity)), 0).label("held"),
            func.coalesce(func.sum(Staff.capacity), 0).label("capacity"),
        )
        .select_from(Staff)
        .join(StaffRole, StaffRole.staff_id == Staff.id)
        .outerjoin(holding, holding.c.staff_id == Staff.id)
        .where(Staff.active, Staff.presence == Presence.ONLINE, StaffRole.role == Role.AGENT)
    ).one()
    waiting = session.scalar(
        select(func.count()).select_from(Conversation).where(Conversation.state == ConversationState.QUEUED)
    )
    return Seen(agents=agents.there, held=int(agents.held), capacity=int(agents.capacity), waiting=waiting or 0)


def tick(session: Session, centre: Centre, now: datetime) -> int:
    """Looks at the floor; gives how many things were proposed."""
    limits = centre.library.current.policies.occupancy
    there = seen(session)
    watch = roster.floor_watch(session)
    was = _was(watch)
    is_now, step = occupancy.look(was, there, limits, now)
    if is_now != was:
        watch.busy_since, watch.free_since, watch.proposed = is_now.busy_since, is_now.free_since, is_now.proposed
        touch(session, "floor")
    if was.busy_since is not None and is_now.busy_since is None:
        _withdraw(session, now, Step.GENERAL, Step.MAJOR)
    if step is not None and is_now.busy_since is not None:
        _propose(session, step, is_now.busy_since, now)
    return int(step is not None) + _watch_surge(session, centre, there, now)


def next_due(session: Session, limits: occupancy.Limits, now: datetime) -> datetime | None:
    """When to look again where nothing else happens, for a rehearsal that jumps."""
    watch, row = session.scalar(select(FloorWatch).limit(1)), current_surge(session)
    busy = occupancy.next_look(_was(watch), limits, now) if watch else None
    grown = occupancy.next_surge(_surge(row), limits, now) if row else None
    return min((at for at in (busy, grown) if at is not None), default=None)


def _was(watch: FloorWatch) -> Occupancy:
    return Occupancy(watch.busy_since, watch.free_since, watch.proposed)


def _surge(row: Surge) -> occupancy.Surge:
    return occupancy.Surge(row.level, row.started_at, row.calm_since, row.proposed)


def _watch_surge(session: Session, centre: Centre, there: Seen, now: datetime) -> int:
    """The highest level of a surge that is on: grown, calm, or as it was."""
    row = current_surge(session)
    if row is None:
        return 0
    limits = centre.library.current.policies.occupancy
    is_now, found = occupancy.surge(_surge(row), under_control=not there.busy, limits=limits, now=now)
    if is_now.calm_since != row.calm_since:
        row.calm_since = is_now.calm_since
        touch(session, "floor")
    row.proposed = is_now.proposed
    match found:
        case Grown(level=level):
            _propose(session, LEVELS[level], row.started_at, now)
            return 1
        case Over():
            alerts.tell(
                session,
                _deciders(session, Function.START_MAJOR_PLAN),
                CALM,
                cause=f"calm:{row.id}",
                link="/console",
                now=now,
            )
    return 0


def _propose(session: Session, step: Step, since: datetime, now: datetime) -> None:
    """Tells those who may decide; an earlier, lower proposal is overtaken."""
    if step is Step.MAJOR:
        _withdraw(session, now, Step.GENERAL)
    proposal = Proposal(step=step, since=since, at=now)
    session.add(proposal)
    session.flush()
    alerts.tell(
        session,
        _deciders(session, DECIDES[step]),
        PROPOSED[step],
        cause=f"proposal:{proposal.id}",
        link="/console",
        now=now,
        urgent=True,
        how=EVERY_WAY,
        minutes=int((now - since).total_seconds() // 60),
    )
    audit.record(session, "proposal.made", "proposal", proposal.id, now=now, step=step.value)
    touch(session, "floor")


def _deciders(session: Session, function: Function) -> list[Staff]:
    """Those on duty who may decide it, and whoever may propose it to them."""
    roles = [role for role, grant in PERMISSIONS[function].items() if grant in (Grant.YES, Grant.PROPOSE)]
    return list(
        session.scalars(
            select(Staff)
            .join(StaffRole, StaffRole.staff_id == Staff.id)
            .where(Staff.active, StaffRole.role.in_(roles))
            .distinct()
            .order_by(Staff.id)
        )
    )


def _withdraw(session: Session, now: datetime, *steps: Step) -> None:
    """What was proposed needs no answer any more."""
    changed = session.scalars(
        update(Proposal)
        .where(Proposal.state == ProposalState.OPEN, Proposal.step.in_(steps))
        .values(state=ProposalState.WITHDRAWN, decided_at=now)
        .returning(Proposal.id)
    ).all()
    if changed:
        touch(session, "floor")


# ── what people decide ───────────────────────────────────────────────────────────────────────────────────────────────


def decide(
    session: Session, centre: Centre, proposal_id: int, *, staff_id: int, confirm: bool, why: str, now: datetime
) -> Proposal:
    """A person confirms or refuses, once; a refusal says why. Raises RefusedError."""
    proposal = session.get_one(Proposal, proposal_id, with_for_update=True)
    _allow(session, staff_id, DECIDES[proposal.step])
    if proposal.state is not ProposalState.OPEN:
        raise RefusedError("proposal_decided")
    if not confirm and not why.strip():
        raise RefusedError("reason_missing")
    proposal.state = ProposalState.CONFIRMED if confirm else ProposalState.REFUSED
    proposal.decided_by, proposal.decided_at, proposal.why = staff_id, now, why.strip()[:200]
    if confirm and proposal.step in (Step.GENERAL, Step.MAJOR):
        proposal.incident_id = _start_plan(session, centre, proposal, staff_id, now)
    elif confirm:
        level = next(level for level, step in LEVELS.items() if step is proposal.step)
        start_surge(session, level, staff_id=staff_id, why=why, now=now)
    audit.record(
        session,
        "proposal.decide",
        "proposal",
        proposal.id,
        now=now,
        staff_id=staff_id,
        step=proposal.step.value,
        confirmed=confirm,
    )
    touch(session, "floor")
    return proposal


def _start_plan(session: Session, centre: Centre, proposal: Proposal, staff_id: int, now: datetime) -> int:
    """The plan runs on the incident of full lines: the open one is raised, else one is opened."""
    known = detection.open_from_monitor(
        session, centre, code=LINES_FULL, title=FULL, key="lines", now=now, lines_full=now - proposal.since
    )
    plan = proposal.step.value
    if known.state is IncidentState.SUSPECTED:
        incidents.confirm(session, centre, known.id, staff_id=staff_id, now=now, plan=plan)
    elif known.state in OPEN:
        incidents.start_plan(session, centre, known.id, plan, staff_id=staff_id, now=now)
    return known.id


def start_surge(session: Session, level: int, *, staff_id: int, why: str, now: datetime) -> Surge:
    """Calls in a level's people: 1 all agents, 2 those on stand-by, 3 functional staff; each only on top of the one
    below (REQ-F28)."""
    _allow(session, staff_id, Function.START_GENERAL_PLAN if level == 1 else Function.START_MAJOR_PLAN)
    on = current_surge(session)
    if (on.level if on else 0) != level - 1:
        raise RefusedError("surge_level")
    row = Surge(level=level, started_at=now, started_by=staff_id, why=why.strip()[:200])
    session.add(row)
    session.flush()
    alerts.tell(
        session,
        people_of(session, level, now),
        CALLED_IN,
        cause=f"surge:{row.id}",
        link="/console",
        now=now,
        urgent=True,
        how=EVERY_WAY,
        level=level,
    )
    incident_surge.level_started(session, level, staff_id=staff_id, why=why, now=now)
    audit.record(session, "surge.start", "surge", row.id, now=now, staff_id=staff_id, level=level)
    touch(session, "floor")
    return row


def end_surge(session: Session, *, staff_id: int, why: str, now: datetime) -> None:
    """Rolls back every level, and tells those who were called in."""
    _allow(session, staff_id, Function.START_GENERAL_PLAN)
    rows = session.scalars(select(Surge).where(Surge.ended_at.is_(None)).with_for_update()).all()
    if not rows:
        raise RefusedError("surge_over")
    called = {person.id: person for row in rows for person in people_of(session, row.level, now)}
    for row in rows:
        row.ended_at, row.ended_by, row.why = now, staff_id, (why.strip() or row.why)[:200]
        audit.record(session, "surge.end", "surge", row.id, now=now, staff_id=staff_id, level=row.level)
    incident_surge.ended(session, staff_id=staff_id, why=why, now=now)
    _withdraw(session, now, Step.SURGE_2, Step.SURGE_3)
    alerts.tell(session, called.values(), CALLED_OFF, cause=f"surge_over:{rows[0].id}", link="/console", now=now)
    touch(session, "floor")


def current_surge(session: Session) -> Surge | None:
    """The highest level that is on."""
    return session.scalar(select(Surge).where(Surge.ended_at.is_(None)).order_by(Surge.level.desc()).limit(1))


def people_of(session: Session, level: int, now: datetime) -> list[Staff]:
    """Whom a level calls in."""
    people = session.scalars(select(Staff).where(Staff.active).order_by(Staff.id)).all()
    roles = {person.id: {held.role for held in person.roles} for person in people}
    if level == 1:
        return [person for person in people if Role.AGENT in roles[person.id]]
    if level == 2:
        stand_by = set(roster.at(session, ShiftKind.STAND_BY, now))
        return [person for person in people if person.id in stand_by]
    front = {Role.AGENT, Role.ADMINISTRATOR}
    return [person for person in people if not roles[person.id] & front]


def _allow(session: Session, staff_id: int, function: Function) -> None:
    person = session.get(Staff, staff_id)
    if person is None or not person.active or not may({held.role for held in person.roles}, function, Grant.YES):
        raise RefusedError("not_allowed")
