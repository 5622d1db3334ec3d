"""What the pages of incidents show: the board, one incident's file, the wall, the drills."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby

from sqlalchemy import func, select
from sqlalchemy.orm import Session, aliased

from bot.console.queries.announcements import Announcement, announcements
from bot.core.grades import Suggestion
from bot.core.incident_plan import Gap, Score, score
from bot.core.words import BroadcastState, ChannelName, IncidentState, Outcome, StepKind, StepState
from bot.services.announcements import broadcasts
from bot.services.centre import Centre
from bot.services.incidents import customer_reports, incident_record, incident_steps, incidents, recovery, seats
from bot.services.incidents.incident_costs import Costs, costs_of
from bot.services.incidents.incident_file import KNOWN
from bot.services.incidents.incident_record import FORMS
from bot.services.records import corrections
from bot.services.records.corrections import Was
from store.tables import (
    Address,
    Broadcast,
    Contact,
    CustomerReport,
    Incident,
    IncidentEntry,
    IncidentStep,
    IncidentTold,
    ManualRecord,
    NotifyMe,
    SeatLeave,
    Staff,
)

PAGE = 50


@dataclass(frozen=True, slots=True)
class Board:
    """The incidents that are not over, and the latest that are; `leaves`: agents who ask to sign out meanwhile."""

    open: tuple[Incident, ...]
    over: tuple[Incident, ...]
    leaves: tuple[tuple[SeatLeave, str], ...]


def board(session: Session) -> Board:
    running = [state for state in IncidentState if state is not IncidentState.CLOSED]
    latest = select(Incident).order_by(Incident.started_at.desc(), Incident.id.desc())
    return Board(
        tuple(session.scalars(latest.where(Incident.state.in_(running)).limit(PAGE))),
        tuple(session.scalars(latest.where(Incident.state == IncidentState.CLOSED).limit(20))),
        tuple(seats.waiting(session)),
    )


# ── one incident ──


@dataclass(frozen=True, slots=True)
class Told:
    """Somebody a step told, and when they said so."""

    staff_id: int
    name: str
    told_at: datetime
    acknowledged_at: datetime | None


@dataclass(frozen=True, slots=True)
class StepRow:
    """A step with whoever owns it, whoever did it, and whom it told."""

    step: IncidentStep
    owner: str | None
    done_by: str | None
    told: tuple[Told, ...]

    def late(self, now: datetime) -> bool:
        end = self.step.done_at or now
        return self.step.due_at is not None and end > self.step.due_at


@dataclass(frozen=True, slots=True)
class IncidentFile:
    """One incident with its history, latest first. `owed`: the notices still without an all-clear."""

    incident: Incident
    owner: str | None
    entries: tuple[tuple[IncidentEntry, str | None], ...]
    announcements: tuple[Announcement, ...]
    owed: frozenset[int]
    told: frozenset[int]
    steps: tuple[StepRow, ...]
    actions: tuple[StepRow, ...]
    gaps: tuple[Gap, ...]
    suggestion: Suggestion | None
    reporters: int
    wants_notice: int
    by_hand: int
    alerted: tuple[str, ...]
    participants: tuple[str, ...]
    score: Score
    costs: Costs
    were: Mapping[tuple[int, str], tuple[Was, ...]]  # what its entries said before they were corrected
    forms_were: Mapping[str, tuple[Was, ...]]  # and the parts of its forms, by form and part

    @property
    def filed(self) -> dict[str, str]:
        """What the parts of its forms say, by the name a correction has for them."""
        facts = self.incident.facts
        parts = [(form, part) for form, parts in FORMS.items() for part in parts]
        return {f"{form}.{part}": facts[form][part] for form, part in parts if facts.get(form, {}).get(part)}

    @property
    def plans(self) -> list[tuple[str, list[StepRow]]]:
        """The plan's steps by the plan they come from: the type's own first, then as they were started."""
        return [(plan, list(rows)) for plan, rows in groupby(self.steps, key=lambda row: row.step.plan)]


def incident_file(session: Session, centre: Centre, incident_id: int) -> IncidentFile | None:
    incident = session.get(Incident, incident_id)
    if incident is None:
        return None
    entries = session.execute(
        select(IncidentEntry, Staff.name)
        .outerjoin(Staff, Staff.id == IncidentEntry.staff_id)
        .where(IncidentEntry.incident_id == incident_id)
        .order_by(IncidentEntry.id.desc())
    ).all()
    rows = step_rows(session, incident_id)
    plan = tuple(row for row in rows if row.step.plan != incident_steps.AFTERWARDS)
    return IncidentFile(
        incident,
        session.scalar(select(Staff.name).where(Staff.id == incident.owner_id)),
        tuple((entry, name) for entry, name in entries),
        announcements(session, incident_id=incident_id),
        frozenset(notice.id for notice in incidents.owed_an_all_clear(session, incident_id)),
        frozenset(notice.id for notice in incidents.told_of(session, incident_id)),
        plan,
        tuple(row for row in rows if row.step.plan == incident_steps.AFTERWARDS),
        incident_record.gaps_of(session, centre, incident) if incident.state is not IncidentState.CLOSED else (),
        incident_record.suggestion_of(centre, incident),
        customer_reports.count_of(session, incident_id),
        _count(session, NotifyMe, incident_id),
        _count(session, ManualRecord, incident_id),
        tuple(person.name for person in recovery.alerted(session, incident_id)),
        tuple(incident_record.participants(session, incident_id)),
        score(incident_steps.standing(row.step) for row in plan),
        costs_of(session, incident_id),
        corrections.history(session, "incident_entry", [entry.id for entry, _ in entries]),
        {part: was for (_, part), was in corrections.history(session, "incident", [incident_id]).items()},
    )


def _count(session: Session, table: type[NotifyMe] | type[ManualRecord], incident_id: int) -> int:
    counted = select(func.count()).select_from(table).where(table.incident_id == incident_id)
    return session.scalar(counted) or 0


def step_rows(session: Session, incident_id: int) -> tuple[StepRow, ...]:
    """Every step in the order of the plan: its own first, then the plans and grades as they were started."""
    owner, doer = aliased(Staff), aliased(Staff)
    told: Mapping[int, list[Told]] = defaultdict(list)
    for row, name in session.execute(
        select(IncidentTold, Staff.name)
        .join(Staff, Staff.id == IncidentTold.staff_id)
        .where(IncidentTold.incident_id == incident_id)
        .order_by(IncidentTold.id)
    ):
        told[row.step_id].append(Told(row.staff_id, name, row.told_at, row.acknowledged_at))
    rows = session.execute(
        select(IncidentStep, owner.name, doer.name)
        .outerjoin(owner, owner.id == IncidentStep.staff_id)
        .outerjoin(doer, doer.id == IncidentStep.done_by)
        .where(IncidentStep.incident_id == incident_id)
        .order_by(IncidentStep.id)
    )
    return tuple(StepRow(step, owned, done, tuple(told[step.id])) for step, owned, done in rows)


def reports_of(session: Session, incident_id: int, limit: int = PAGE) -> list[tuple[CustomerReport, str]]:
    """Which customers reported it, by how they are addressed, latest first."""
    rows = session.execute(
        select(CustomerReport, Contact.title, Contact.name)
        .join(Contact, Contact.id == CustomerReport.contact_id)
        .where(CustomerReport.incident_id == incident_id)
        .order_by(CustomerReport.id.desc())
        .limit(limit)
    )
    return [(report, title or name) for report, title, name in rows]


# ── the wall ──


@dataclass(frozen=True, slots=True)
class Flight:
    """How far an announcement has come, for the wall."""

    size: int
    reached: int
    acknowledged: int
    running: bool

    @property
    def share(self) -> int:
        return round(100 * self.reached / self.size) if self.size else 0


@dataclass(frozen=True, slots=True)
class WallRow:
    """An open incident from across the room: what is next, what is late, how far the announcement is."""

    incident: Incident
    elapsed: timedelta
    steps_done: int
    steps: int
    next: tuple[IncidentStep, ...]
    late: int
    flights: tuple[Flight, ...]
    reporters: int


REACHED = (Outcome.ACCEPTED, Outcome.DELIVERED, Outcome.HEARD, Outcome.ACKNOWLEDGED)


def wall(session: Session, now: datetime, shown: int = 4) -> tuple[WallRow, ...]:
    """The gravest first: real before drills, those that run before those that have recovered, the latest first."""
    open_ = [state for state in IncidentState if state not in (IncidentState.CLOSED, IncidentState.REVIEWED)]
    rows = session.scalars(
        select(Incident)
        .where(Incident.state.in_(open_))
        .order_by(
            Incident.drill,
            Incident.state.not_in((IncidentState.SUSPECTED, *KNOWN)),
            Incident.started_at.desc(),
        )
        .limit(8)
    )
    return tuple(_wall_row(session, row, now, shown) for row in rows)


def _wall_row(session: Session, incident: Incident, now: datetime, shown: int) -> WallRow:
    steps = [s for s in incident_steps.steps_of(session, incident.id) if s.plan != incident_steps.AFTERWARDS]
    waiting = sorted(
        (s for s in steps if s.state is StepState.OPEN and s.kind is not StepKind.TELL),
        key=lambda s: (s.due_at is None, s.due_at or now, s.id),
    )
    flights = [
        _flight(session, each)
        for each in session.scalars(
            select(Broadcast)
            .where(
                Broadcast.incident_id == incident.id,
                Broadcast.state.in_((BroadcastState.RUNNING, BroadcastState.STOPPED, BroadcastState.FINISHED)),
            )
            .order_by(Broadcast.id.desc())
            .limit(2)
        )
    ]
    return WallRow(
        incident,
        (incident.ended_at or now) - incident.started_at,
        sum(s.state in (StepState.DONE, StepState.DROPPED) for s in steps),
        len(steps),
        tuple(waiting[:shown]),
        sum(s.due_at is not None and s.due_at < now for s in waiting),
        tuple(flights),
        customer_reports.count_of(session, incident.id),
    )


def _flight(session: Session, broadcast: Broadcast) -> Flight:
    counts = broadcasts.counts(session, broadcast.id)
    return Flight(
        broadcast.audience_size,
        sum(counts[outcome] for outcome in REACHED),
        counts[Outcome.ACKNOWLEDGED],
        broadcast.state is BroadcastState.RUNNING,
    )


# ── the drills ──


@dataclass(frozen=True, slots=True)
class DrillRow:
    """A drill that was held, with its score and who took part."""

    incident: Incident
    score: Score
    participants: tuple[str, ...]


def drill_rows(session: Session, limit: int = PAGE) -> list[DrillRow]:
    """The drills, the latest first."""
    rows = session.scalars(select(Incident).where(Incident.drill).order_by(Incident.id.desc()).limit(limit))
    return [
        DrillRow(
            row,
            score(
                incident_steps.standing(step)
                for step in incident_steps.steps_of(session, row.id)
                if step.plan != incident_steps.AFTERWARDS
            ),
            tuple(incident_record.participants(session, row.id)),
        )
        for row in rows
    ]


# ── calls written by hand ──


@dataclass(frozen=True, slots=True)
class HandRow:
    """A call written by hand, and whom it was brought in by."""

    record: ManualRecord
    who: str
    number: str
    by: str


def hand_rows(session: Session, incident_id: int | None, limit: int = PAGE) -> list[HandRow]:
    """The latest records, of one incident or of all; numbers are masked."""
    query = (
        select(ManualRecord, Contact.name, Contact.title, Address.hint, Staff.name)
        .outerjoin(Contact, Contact.id == ManualRecord.contact_id)
        .outerjoin(Address, (Address.contact_id == Contact.id) & (Address.channel == ChannelName.VOICE))
        .join(Staff, Staff.id == ManualRecord.staff_id)
        .order_by(ManualRecord.id.desc())
        .limit(limit)
    )
    if incident_id is not None:
        query = query.where(ManualRecord.incident_id == incident_id)
    seen: dict[int, HandRow] = {}
    for record, name, title, hint, by in session.execute(query):
        seen.setdefault(record.id, HandRow(record, name or title or "", hint or "", by))
    return list(seen.values())


def open_incidents(session: Session) -> list[Incident]:
    """What a record may belong to: what is not over, and what has just ended."""
    return list(session.scalars(select(Incident).order_by(Incident.id.desc()).limit(20)))
