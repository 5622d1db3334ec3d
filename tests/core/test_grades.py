"""Grades: tables at every boundary of REQ-B33..B38, what is left open, and that knowing worse never lowers a grade."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.core.grades import (
    SCALES,
    Because,
    Grade,
    Grading,
    HeatingFacts,
    Open,
    PlanName,
    PropertyFacts,
    Reach,
    Triggers,
    heating_grade,
    plan_for,
    property_grade,
)


def m(minutes: float) -> timedelta:
    return timedelta(minutes=minutes)


def h(hours: float) -> timedelta:
    return timedelta(hours=hours)


@pytest.mark.parametrize(
    ("drop", "affected", "grade"),
    [
        (50, m(121), Grade.I),
        (50, m(120), Grade.II),  # "more than 120 min"
        (49.9, m(121), Grade.II),
        (100, m(60), None),
        (20, m(61), Grade.II),
        (20, m(60), None),  # "more than 60 min"
        (19.9, m(600), None),
    ],
)
def test_load_and_time(drop: float, affected: timedelta, grade: Grade | None) -> None:
    found = heating_grade(HeatingFacts(load_drop=drop, affected=affected))
    assert found.grade is grade
    assert found.because == ((Because.LOAD,) if grade else ())
    assert found.open == ()


@pytest.mark.parametrize(
    ("facts", "grade", "because"),
    [
        (HeatingFacts(boiler_stopped=True), Grade.I, Because.BOILER_STOPPED),
        (HeatingFacts(shortage=True, shortage_stops=True), Grade.I, Because.SHORTAGE_STOPS),
        (HeatingFacts(hazard=True), Grade.I, Because.HAZARD),
        (HeatingFacts(obstacle=1), Grade.I, Because.OBSTACLE),
        (HeatingFacts(beyond=Reach.COMPANY), Grade.I, Because.BEYOND),
        (HeatingFacts(main_threatened=True), Grade.II, Because.MAIN_THREATENED),
        (HeatingFacts(shortage=True, shortage_lasts=m(61)), Grade.II, Because.SHORTAGE_LIMITS),
        (HeatingFacts(obstacle=2), Grade.II, Because.OBSTACLE),
        (HeatingFacts(beyond=Reach.TEAM), Grade.II, Because.BEYOND),
    ],
)
def test_any_one_criterion_is_enough(facts: HeatingFacts, grade: Grade, because: Because) -> None:
    found = heating_grade(facts)
    assert (found.grade, found.because) == (grade, (because,))


def test_a_shortage_of_just_an_hour_is_no_grade() -> None:
    assert heating_grade(HeatingFacts(shortage=True, shortage_lasts=m(60))).grade is None


@pytest.mark.parametrize(
    ("facts", "question"),
    [
        (HeatingFacts(load_drop=60), Open.LOAD_TIME_UNKNOWN),
        (HeatingFacts(affected=m(90)), Open.DROP_UNKNOWN),
        (HeatingFacts(shortage=True), Open.SHORTAGE_TIME_UNKNOWN),
        (HeatingFacts(hurt=True), Open.OBSTACLE_UNKNOWN),
    ],
)
def test_what_a_heating_company_leaves_open_asks_a_manager(facts: HeatingFacts, question: Open) -> None:
    assert heating_grade(facts).open == (question,)


KNOWN = PropertyFacts(loss=Decimal(0), slightly_injured=0, seriously_injured=0, dead=0, outage=h(1))


@pytest.mark.parametrize(
    ("more", "grade", "questions"),
    [
        ({}, Grade.MINOR, ()),
        ({"loss": Decimal("9999.99")}, Grade.MINOR, ()),
        ({"loss": Decimal(10_000)}, Grade.MEDIUM, ()),  # minor is under 10,000; X9 fills the hole
        ({"loss": Decimal(20_000)}, Grade.MEDIUM, ()),
        ({"loss": Decimal(50_000)}, Grade.MEDIUM, ()),
        ({"loss": Decimal("50000.01")}, Grade.MAJOR, ()),  # "above 50,000"
        ({"slightly_injured": 1}, Grade.MEDIUM, ()),
        ({"slightly_injured": 2}, Grade.MEDIUM, (Open.INJURED_BETWEEN,)),
        ({"slightly_injured": 5}, Grade.MEDIUM, (Open.INJURED_BETWEEN,)),
        ({"slightly_injured": 6}, Grade.MAJOR, ()),
        ({"seriously_injured": 1}, Grade.MEDIUM, (Open.SERIOUSLY_INJURED,)),
        ({"slightly_injured": 3, "seriously_injured": 3}, Grade.MAJOR, ()),
        ({"dead": 1}, Grade.MAJOR, ()),
        ({"outage": h(24)}, Grade.MINOR, ()),
        ({"outage": h(24.1)}, Grade.MEDIUM, ()),
        ({"outage": h(48)}, Grade.MEDIUM, ()),
        ({"outage": h(48.1)}, Grade.MAJOR, ()),
        ({"outage": h(72)}, Grade.MAJOR, ()),
        ({"outage": h(72.1)}, Grade.MAJOR, (Open.OUTAGE_BEYOND,)),
        ({"loss": None}, Grade.MINOR, (Open.LOSS_UNKNOWN,)),
        ({"outage": None}, Grade.MINOR, (Open.OUTAGE_UNKNOWN,)),
        ({"dead": None}, Grade.MINOR, (Open.CASUALTIES_UNKNOWN,)),
    ],
)
def test_a_property(more: dict[str, object], grade: Grade, questions: tuple[Open, ...]) -> None:
    found = property_grade(replace(KNOWN, **more))  # type: ignore[arg-type]
    assert (found.grade, found.open) == (grade, questions)


# ── knowing worse never lowers a grade ──

TIMES = st.none() | st.integers(0, 6000).map(lambda n: timedelta(minutes=n))
HEATING = st.builds(
    HeatingFacts,
    load_drop=st.none() | st.floats(0, 100),
    affected=TIMES,
    boiler_stopped=st.booleans(),
    main_threatened=st.booleans(),
    shortage=st.booleans(),
    shortage_stops=st.booleans(),
    shortage_lasts=TIMES,
    hazard=st.booleans(),
    obstacle=st.none() | st.integers(1, 4),
    hurt=st.booleans(),
    beyond=st.sampled_from(Reach),
)
COUNTS = st.none() | st.integers(0, 9)
PROPERTY = st.builds(
    PropertyFacts,
    loss=st.none() | st.integers(0, 90_000).map(Decimal),
    slightly_injured=COUNTS,
    seriously_injured=COUNTS,
    dead=COUNTS,
    outage=TIMES,
)


def rank(grade: Grade | None, scale: Grading) -> int:
    return -1 if grade is None else SCALES[scale].index(grade)


@given(HEATING, HEATING)
def test_a_heating_grade_only_rises(facts: HeatingFacts, more: HeatingFacts) -> None:
    reaches = list(Reach)
    worse = HeatingFacts(
        load_drop=max(facts.load_drop or 0, more.load_drop or 0),
        affected=max(facts.affected or m(0), more.affected or m(0)),
        boiler_stopped=facts.boiler_stopped or more.boiler_stopped,
        main_threatened=facts.main_threatened or more.main_threatened,
        shortage=facts.shortage or more.shortage,
        shortage_stops=facts.shortage_stops or more.shortage_stops,
        shortage_lasts=max(facts.shortage_lasts or m(0), more.shortage_lasts or m(0)),
        hazard=facts.hazard or more.hazard,
        obstacle=min(facts.obstacle or 9, more.obstacle or 9),
        hurt=facts.hurt or more.hurt,
        beyond=max(facts.beyond, more.beyond, key=reaches.index),
    )
    assert rank(heating_grade(worse).grade, Grading.HEATING) >= rank(heating_grade(facts).grade, Grading.HEATING)


@given(PROPERTY, PROPERTY)
def test_a_property_grade_only_rises(facts: PropertyFacts, more: PropertyFacts) -> None:
    worse = PropertyFacts(
        loss=max(facts.loss or Decimal(0), more.loss or Decimal(0)),
        slightly_injured=(facts.slightly_injured or 0) + (more.slightly_injured or 0),
        seriously_injured=(facts.seriously_injured or 0) + (more.seriously_injured or 0),
        dead=(facts.dead or 0) + (more.dead or 0),
        outage=max(facts.outage or m(0), more.outage or m(0)),
    )
    assert rank(property_grade(worse).grade, Grading.PROPERTY) >= rank(property_grade(facts).grade, Grading.PROPERTY)


@given(HEATING)
def test_a_grade_has_a_reason_and_no_grade_has_none(facts: HeatingFacts) -> None:
    found = heating_grade(facts)
    assert bool(found.because) == (found.grade is not None)


# ── the general and the major plan ──


@pytest.mark.parametrize(
    ("event", "full", "any_", "all_"),
    [
        (None, None, None, None),
        (None, m(14.9), None, None),
        (None, m(15), PlanName.GENERAL, None),
        (None, m(29.9), PlanName.GENERAL, None),
        (None, m(30), PlanName.MAJOR, None),
        (PlanName.GENERAL, None, PlanName.GENERAL, None),
        (PlanName.GENERAL, m(30), PlanName.MAJOR, PlanName.GENERAL),
        (PlanName.MAJOR, m(15), PlanName.MAJOR, PlanName.GENERAL),
        (PlanName.MAJOR, m(30), PlanName.MAJOR, PlanName.MAJOR),
    ],
)
def test_plans(event: PlanName | None, full: timedelta | None, any_: PlanName | None, all_: PlanName | None) -> None:
    assert plan_for(event, full, Triggers.ANY) is any_
    assert plan_for(event, full, Triggers.ALL) is all_
