"""How grave an incident is, from what is known of it: grades I and II of a heating company (REQ-B33..B35, F36, F37),
minor, medium and major in a property's heating (REQ-B36..B38, with X9's reading), and the general or major plan of an
online-product centre (REQ-B16, B17, F07, F08, X10).

Pure and cautious: a suggestion names what led to it and what the figures leave open; a person confirms (REQ-F35).
Knowing worse never lowers a grade. None means "not known yet", never "no".
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from enum import StrEnum


class Grading(StrEnum):
    """Which figures an incident type is graded by."""

    HEATING = "heating"
    PROPERTY = "property"


class Grade(StrEnum):
    """Every grade there is; the two scales do not mix."""

    II = "II"
    I = "I"  # noqa: E741 - the plan's own name
    MINOR = "minor"
    MEDIUM = "medium"
    MAJOR = "major"


SCALES: Mapping[Grading, tuple[Grade, ...]] = {
    Grading.HEATING: (Grade.II, Grade.I),
    Grading.PROPERTY: (Grade.MINOR, Grade.MEDIUM, Grade.MAJOR),
}
"""Lowest first."""


class Reach(StrEnum):
    """Whose own strength an accident is beyond."""

    NOBODY = "nobody"
    TEAM = "team"
    COMPANY = "company"


class Because(StrEnum):
    """What a grade follows from."""

    LOAD = "load"  # main equipment below load, and supply affected
    BOILER_STOPPED = "boiler_stopped"
    MAIN_THREATENED = "main_threatened"
    SHORTAGE_STOPS = "shortage_stops"
    SHORTAGE_LIMITS = "shortage_limits"
    HAZARD = "hazard"
    OBSTACLE = "obstacle"  # another accident, an obstacle of first or second class or worse
    BEYOND = "beyond"  # beyond a team's or the company's own ability
    LOSS = "loss"
    CASUALTIES = "casualties"
    OUTAGE = "outage"


class Open(StrEnum):
    """What the figures leave open, so that a manager decides."""

    LOAD_TIME_UNKNOWN = "load_time_unknown"  # the drop is known, how long supply is affected is not
    DROP_UNKNOWN = "drop_unknown"
    SHORTAGE_TIME_UNKNOWN = "shortage_time_unknown"
    OBSTACLE_UNKNOWN = "obstacle_unknown"  # somebody is hurt, the class of the obstacle is not known
    LOSS_UNKNOWN = "loss_unknown"
    OUTAGE_UNKNOWN = "outage_unknown"
    CASUALTIES_UNKNOWN = "casualties_unknown"
    INJURED_BETWEEN = "injured_between"  # 2 to 5 injured: between the printed bands (X9)
    SERIOUSLY_INJURED = "seriously_injured"  # the medium band speaks of slight injuries only
    OUTAGE_BEYOND = "outage_beyond"  # above 72 h, the longest the bands know


@dataclass(frozen=True, slots=True)
class Suggestion:
    """`grade` None: below the lowest. `open` not empty: a manager confirms, whoever else may confirm a clear one."""

    grade: Grade | None
    because: tuple[Because, ...] = ()
    open: tuple[Open, ...] = ()


# ── a heating company ──

GRADE_I_DROP, GRADE_I_AFFECTED = 50.0, timedelta(minutes=120)  # REQ-B33: this drop or more, longer than that
GRADE_II_DROP, GRADE_II_AFFECTED = 20.0, timedelta(minutes=60)  # REQ-B34
GRADE_II_SHORTAGE = timedelta(minutes=60)  # REQ-B35: longer than that


@dataclass(frozen=True, slots=True)
class HeatingFacts:
    """What is known of a heating company's accident; percent and durations are actual or expected.

    `obstacle` is the class (1 is the gravest) another accident is expected to be; `hurt`: somebody is.
    """

    load_drop: float | None = None  # percent of the main equipment's load
    affected: timedelta | None = None  # how long supply is affected
    boiler_stopped: bool = False  # by damage to equipment
    main_threatened: bool = False  # damage seriously threatens main equipment
    shortage: bool = False  # fuel or water runs short
    shortage_stops: bool = False  # and will stop main equipment unplanned
    shortage_lasts: timedelta | None = None  # and limits units or supply so long
    hazard: bool = False  # a natural hazard, large effect on the whole company, actual or expected
    obstacle: int | None = None
    hurt: bool = False
    beyond: Reach = Reach.NOBODY


def heating_grade(facts: HeatingFacts) -> Suggestion:
    """Any one criterion is enough (REQ-F36, F37)."""
    first = tuple(because for because, met in _grade_one(facts) if met)
    open_ = tuple(_heating_open(facts))
    if first:
        return Suggestion(Grade.I, first, ())  # nothing open could make it worse
    second = tuple(because for because, met in _grade_two(facts) if met)
    return Suggestion(Grade.II if second else None, second, open_)


def _grade_one(facts: HeatingFacts) -> tuple[tuple[Because, bool], ...]:
    return (
        (Because.LOAD, _below_load(facts, GRADE_I_DROP, GRADE_I_AFFECTED)),
        (Because.BOILER_STOPPED, facts.boiler_stopped),
        (Because.SHORTAGE_STOPS, facts.shortage_stops),
        (Because.HAZARD, facts.hazard),
        (Because.OBSTACLE, facts.obstacle is not None and facts.obstacle <= 1),
        (Because.BEYOND, facts.beyond is Reach.COMPANY),
    )


def _grade_two(facts: HeatingFacts) -> tuple[tuple[Because, bool], ...]:
    lasting = facts.shortage_lasts is not None and facts.shortage_lasts > GRADE_II_SHORTAGE
    return (
        (Because.LOAD, _below_load(facts, GRADE_II_DROP, GRADE_II_AFFECTED)),
        (Because.MAIN_THREATENED, facts.main_threatened),
        (Because.SHORTAGE_LIMITS, lasting),
        (Because.OBSTACLE, facts.obstacle == 2),
        (Because.BEYOND, facts.beyond is Reach.TEAM),
    )


def _below_load(facts: HeatingFacts, drop: float, affected: timedelta) -> bool:
    if facts.load_drop is None or facts.affected is None:
        return False
    return facts.load_drop >= drop and facts.affected > affected


def _heating_open(facts: HeatingFacts) -> list[Open]:
    questions = []
    if facts.load_drop is None and facts.affected is not None and facts.affected > GRADE_II_AFFECTED:
        questions.append(Open.DROP_UNKNOWN)
    if facts.affected is None and facts.load_drop is not None and facts.load_drop >= GRADE_II_DROP:
        questions.append(Open.LOAD_TIME_UNKNOWN)
    if facts.shortage and facts.shortage_lasts is None:
        questions.append(Open.SHORTAGE_TIME_UNKNOWN)
    if facts.hurt and facts.obstacle is None:
        questions.append(Open.OBSTACLE_UNKNOWN)
    return questions


# ── heating in a managed property ──

MINOR_LOSS, MEDIUM_LOSS = Decimal(10_000), Decimal(50_000)  # yuan; REQ-B36..B38 as X9 reads them
MINOR_OUTAGE, MEDIUM_OUTAGE, MAJOR_OUTAGE = timedelta(hours=24), timedelta(hours=48), timedelta(hours=72)
MEDIUM_INJURED, MAJOR_INJURED = 2, 5  # fewer than 2 slightly injured are medium, more than 5 major


@dataclass(frozen=True, slots=True)
class PropertyFacts:
    """What is known of an accident in a property's heating; `loss` in yuan, `outage` actual or expected."""

    loss: Decimal | None = None
    slightly_injured: int | None = None
    seriously_injured: int | None = None
    dead: int | None = None
    outage: timedelta | None = None


def property_grade(facts: PropertyFacts) -> Suggestion:
    """The gravest of the three criteria; what is not known counts as nothing and is asked for."""
    met = (
        (Because.LOSS, _by_loss(facts.loss)),
        (Because.CASUALTIES, _by_casualties(facts)),
        (Because.OUTAGE, _by_outage(facts.outage)),
    )
    scale = SCALES[Grading.PROPERTY]
    grade = max((each for _, each in met), key=scale.index)
    because = tuple(why for why, each in met if each is grade and grade is not Grade.MINOR)
    return Suggestion(grade, because, tuple(_property_open(facts, grade)))


def _by_loss(loss: Decimal | None) -> Grade:
    if loss is None or loss < MINOR_LOSS:
        return Grade.MINOR
    return Grade.MEDIUM if loss <= MEDIUM_LOSS else Grade.MAJOR


def _injured(facts: PropertyFacts) -> int:
    return (facts.slightly_injured or 0) + (facts.seriously_injured or 0)


def _by_casualties(facts: PropertyFacts) -> Grade:
    if facts.dead or _injured(facts) > MAJOR_INJURED:
        return Grade.MAJOR
    return Grade.MEDIUM if _injured(facts) else Grade.MINOR


def _by_outage(outage: timedelta | None) -> Grade:
    if outage is None or outage <= MINOR_OUTAGE:
        return Grade.MINOR
    return Grade.MEDIUM if outage <= MEDIUM_OUTAGE else Grade.MAJOR


def _property_open(facts: PropertyFacts, grade: Grade) -> list[Open]:
    questions = [Open.OUTAGE_BEYOND] if facts.outage is not None and facts.outage > MAJOR_OUTAGE else []
    if grade is Grade.MAJOR:
        return questions  # nothing else could make it worse
    if MEDIUM_INJURED <= _injured(facts) <= MAJOR_INJURED:
        questions.append(Open.INJURED_BETWEEN)
    if facts.seriously_injured:
        questions.append(Open.SERIOUSLY_INJURED)
    if facts.loss is None:
        questions.append(Open.LOSS_UNKNOWN)
    if facts.outage is None:
        questions.append(Open.OUTAGE_UNKNOWN)
    if None in (facts.slightly_injured, facts.seriously_injured, facts.dead):
        questions.append(Open.CASUALTIES_UNKNOWN)
    return questions


# ── the general and the major plan ──


class PlanName(StrEnum):
    """The plans of an online-product centre; the general one grows into the major one (REQ-F08)."""

    GENERAL = "general"
    MAJOR = "major"


class Triggers(StrEnum):
    """Whether an event or full lines alone start a plan, or only both together (X10)."""

    ANY = "any"
    ALL = "all"


GENERAL_AFTER, MAJOR_AFTER = timedelta(minutes=15), timedelta(minutes=30)  # all duty lines full; REQ-B16, B17


def plan_for(event: PlanName | None, lines_full: timedelta | None, triggers: Triggers) -> PlanName | None:
    """The plan these triggers call for: `event` is what the incident's type alone calls for, `lines_full` for how long
    all duty lines have been full without a break."""
    by_lines = None
    if lines_full is not None and lines_full >= GENERAL_AFTER:
        by_lines = PlanName.MAJOR if lines_full >= MAJOR_AFTER else PlanName.GENERAL
    called = [plan for plan in (event, by_lines) if plan is not None]
    if triggers is Triggers.ALL:
        if len(called) < 2:
            return None
        return PlanName.MAJOR if all(plan is PlanName.MAJOR for plan in called) else PlanName.GENERAL
    return PlanName.MAJOR if PlanName.MAJOR in called else (called[0] if called else None)
