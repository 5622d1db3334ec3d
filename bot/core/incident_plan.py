"""A plan of steps that runs itself: which step's clock runs, when it is due, whom to remind, what the record lacks
before it may be closed, how a drill went (REQ-F07..F19, F43..F46, F49, F50, F55, F59).

Pure. Clocks run on the incident's own time and every figure is frozen on the step when it is made, so that a restart
or an edited catalogue changes nothing under way.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from bot.core.policy import Bilingual, Ladder, Rung
from bot.core.words import IncidentState, Role, StepKind, StepState

REPORTED, CONFIRMED, RECOVERED, CLEARED = "reported", "confirmed", "recovered", "cleared"
EVENTS = (REPORTED, CONFIRMED, RECOVERED, CLEARED)
"""What a step may wait for, besides another step of its plan."""

NAGGING = timedelta(minutes=5)  # a step that is overdue is brought up again so often (house rule)
NAGS = 6
LATER = timedelta(minutes=30)  # a decision due this late is put to people only when it nears (house rule)
PEOPLE: Mapping[Role, Role] = {
    Role.AGENT: Role.LEADER,
    Role.LEADER: Role.SUPERVISOR,
    Role.OPS: Role.SUPERVISOR,
    Role.SUPERVISOR: Role.MANAGER,
    Role.MANAGER: Role.MANAGER,
}
"""Who hears of a step its own people have let lapse (REQ-E05)."""

WHILE_IT_LASTS = frozenset({StepKind.DO, StepKind.TELL, StepKind.RELAY, StepKind.ARRIVE, StepKind.DECIDE})
"""Kinds that are moot once service is back; a report is owed all the same (REQ-F11, F45)."""


@dataclass(frozen=True, slots=True)
class Step:
    """A step as the catalogue has it. `within` counts from when its clock starts: at `after` (an event or an earlier
    step); None: no clock, it is a point to tick off. `refs` are the requirements it comes from."""

    id: str
    do: Bilingual
    refs: tuple[str, ...]
    who: tuple[Role, ...] = ()
    tell: tuple[Role, ...] = ()
    kind: StepKind = StepKind.DO
    within: timedelta | None = None
    after: str = REPORTED


@dataclass(frozen=True, slots=True)
class Standing:
    """A step as it stands in an incident."""

    key: str
    kind: StepKind
    after: str
    within: timedelta | None
    state: StepState
    due_at: datetime | None = None
    done_at: datetime | None = None
    started_at: datetime | None = None


def starts(step: Standing, happened: Mapping[str, datetime]) -> datetime | None:
    """When a waiting step's clock starts, by what has happened so far (events, and steps that are done)."""
    return happened.get(step.after)


def due(started_at: datetime, within: timedelta | None) -> datetime | None:
    return started_at + within if within is not None else None


def asked(kind: StepKind, started_at: datetime, within: timedelta | None) -> tuple[datetime, timedelta | None]:
    """From when a step's people are asked, and how long they then have. A decision that is due much later is nobody's
    business before it nears: leadership weighs other measures at the hour, not at the first minute (REQ-B20)."""
    if kind is StepKind.DECIDE and within is not None and within >= LATER:
        return started_at + within - NAGGING, NAGGING
    return started_at, within


def moot(step: Standing) -> bool:
    """Whether recovery makes a step that is still to do superfluous: what only follows recovery stays."""
    if step.state not in (StepState.WAITING, StepState.OPEN):
        return False
    return step.kind in WHILE_IT_LASTS and step.after not in (RECOVERED, CLEARED)


def ladder(roles: Sequence[Role], within: timedelta | None) -> Ladder:
    """How a step's people are reminded: at once, a last time before it is due, then those above them until it is done.
    Without a clock they are told once."""
    if within is None:
        return Ladder((Rung(timedelta(0), tuple(roles)),), None, 0)
    above = tuple(dict.fromkeys((*roles, *(PEOPLE.get(role, Role.SUPERVISOR) for role in roles))))
    rungs = [Rung(timedelta(0), tuple(roles))]
    if within >= 2 * NAGGING:
        rungs.append(Rung(within - NAGGING, tuple(roles)))
    rungs.append(Rung(within, above))
    return Ladder(tuple(rungs), NAGGING, NAGS)


# ── what the record lacks ──


class Gap(StrEnum):
    """Why an incident cannot be closed yet; each is told to people in their language."""

    ALL_CLEAR = "all_clear"  # neither sent nor waived (REQ-F30)
    STEPS = "steps"  # steps neither done nor dropped with a reason
    CAUSE = "cause"  # REQ-F50
    MEASURES = "measures"  # REQ-F50
    COURSE = "course"  # REQ-F45
    REVIEW = "review"  # REQ-F50
    EVALUATION = "evaluation"  # REQ-F49
    GRADE = "grade"  # not confirmed by a person (REQ-F35)
    AUTHORITIES = "authorities"  # the report within the hour was not sent (REQ-F45)
    HALL_FORM = "hall_form"  # the seven parts for the leading group (REQ-F46)
    PARTICIPANTS = "participants"  # of a drill (REQ-F55)


@dataclass(frozen=True, slots=True)
class Record:
    """What an incident's file holds when somebody wants to close it."""

    state: IncidentState
    steps: Sequence[Standing]
    kinds: frozenset[str]  # of the timeline's entries
    graded: bool  # its type is graded
    grade: bool
    owes_authorities: bool
    owes_hall_form: bool
    hall_form: bool
    drill: bool
    participants: int = 0


def gaps(record: Record) -> tuple[Gap, ...]:
    """Everything that stands against closing, in the order people see to it."""
    review = record.state is IncidentState.REVIEWED
    lacking = (
        (Gap.ALL_CLEAR, record.state not in (IncidentState.ALL_CLEAR, IncidentState.REVIEWED)),
        (Gap.STEPS, any(each.state in (StepState.WAITING, StepState.OPEN) for each in record.steps)),
        (Gap.GRADE, record.graded and not record.grade),
        (Gap.COURSE, not record.kinds & {"action", "contained", "course"}),
        (Gap.CAUSE, "cause" not in record.kinds),
        (Gap.MEASURES, "measure" not in record.kinds),
        (Gap.AUTHORITIES, record.owes_authorities and not _reported(record.steps)),
        (Gap.HALL_FORM, record.owes_hall_form and not record.hall_form),
        (Gap.PARTICIPANTS, record.drill and not record.participants),
        (Gap.REVIEW, not review),
    )
    return tuple(gap for gap, missing in lacking if missing)


def _reported(steps: Iterable[Standing]) -> bool:
    reports = [each for each in steps if each.kind is StepKind.REPORT]
    return all(each.state in (StepState.DONE, StepState.DROPPED) for each in reports)


# ── how a drill went ──


@dataclass(frozen=True, slots=True)
class Score:
    """Steps with a clock: how many were done in time, late, or not at all; and 0 to 100 for all of them."""

    on_time: int
    late: int
    missed: int
    points: int

    @property
    def timed(self) -> int:
        return self.on_time + self.late + self.missed


def score(steps: Iterable[Standing]) -> Score:
    """A step in time is worth one, a late one a half (house rule). What recovery made moot before it was due does not
    count; what was still open when it was due counts as missed."""
    on_time = late = missed = 0
    for step in steps:
        if step.due_at is None or step.state is StepState.WAITING:
            continue
        if step.state is StepState.DONE and step.done_at is not None:
            on_time += step.done_at <= step.due_at
            late += step.done_at > step.due_at
        elif step.state is StepState.OPEN or (step.done_at is not None and step.done_at > step.due_at):
            missed += 1
    timed = on_time + late + missed
    return Score(on_time, late, missed, round(100 * (on_time + late / 2) / timed) if timed else 100)
