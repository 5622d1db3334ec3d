"""The repair order's state machine: each path's steps, whose they are, and never work without consent (REQ-D28)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.core.repair import (
    DESK,
    ENDED,
    NEXT,
    WORK,
    Order,
    RepairRefused,
    allowed,
    check,
    faults,
    following,
    refusal,
    replacement_due,
)
from bot.core.words import RepairStage, Role
from scripts.policies import SHIPPED, load_policies

S = RepairStage
PATHS = load_policies([SHIPPED]).repairs.paths
AGENT, LEADER = frozenset({Role.AGENT}), frozenset({Role.LEADER})


@pytest.mark.parametrize(
    ("queue", "stages"),
    [
        ("visits", "registered judged quoted consented booked repairing settled handed_over evaluated"),
        (
            "repairs",
            "registered booked received inspected quoted consented repairing quality_check settled handed_over",
        ),
        ("mail_in", "registered judged dispatched received inspected replaced evaluated"),
        ("mail_in", "registered judged dispatched received inspected returned evaluated"),
        ("mail_in", "registered judged received inspected quoted consented repairing quality_check settled returned"),
        ("returns", "registered received inspected returned evaluated"),
        ("maintenance", "registered booked repairing handed_over evaluated"),
        ("heating", "registered repairing booked repairing handed_over"),  # a second visit, with the part
        ("unheard_of", "registered judged repairing handed_over evaluated"),
    ],
)
def test_the_ways_an_order_goes(queue: str, stages: str) -> None:
    path = load_policies([SHIPPED]).repairs.path(queue)
    way = [S(name) for name in stages.split()]
    for stage, to in pairwise(way):
        order = Order(stage, charged=S.CONSENTED in way, consented=S.CONSENTED in way[: way.index(stage) + 1])
        check(order, to, path, DESK)


@pytest.mark.parametrize(
    ("order", "to", "roles", "code"),
    [
        (Order(S.REGISTERED), S.REPAIRING, DESK, "stage_not_next"),
        (Order(S.REGISTERED), S.RECEIVED, DESK, "stage_not_next"),  # not on this path
        (Order(S.BOOKED), S.REPAIRING, DESK, "charge_undecided"),
        (Order(S.BOOKED, charged=True), S.REPAIRING, DESK, "consent_missing"),
        (Order(S.BOOKED, charged=True, consented=True), S.REPAIRING, DESK, None),
        (Order(S.BOOKED, charged=False), S.REPAIRING, DESK, None),
        (Order(S.REPAIRING, charged=True), S.SETTLED, DESK, "consent_missing"),
        (Order(S.BOOKED), S.CANCELLED, AGENT, None),
        (Order(S.HANDED_OVER, charged=False), S.CANCELLED, DESK, "stage_not_next"),
        (Order(S.REGISTERED), S.JUDGED, frozenset({Role.ARCHIVIST}), "not_allowed"),
        (Order(S.REGISTERED), S.JUDGED, frozenset(), "not_allowed"),
        (Order(S.REGISTERED), S.BOOKED, None, None),
    ],
)
def test_refusals(order: Order, to: RepairStage, roles: frozenset[Role] | None, code: str | None) -> None:
    assert refusal(order, to, PATHS["visits"], roles) == code


@pytest.mark.parametrize(
    ("queue", "stage", "next_ones"),
    [
        ("visits", S.REGISTERED, "judged booked"),
        ("visits", S.JUDGED, "quoted booked repairing"),
        ("visits", S.BOOKED, "quoted repairing"),
        ("mail_in", S.REGISTERED, "judged dispatched received"),
        ("mail_in", S.INSPECTED, "quoted repairing replaced returned"),
        ("returns", S.INSPECTED, "replaced returned"),
        ("returns", S.RETURNED, "evaluated"),
        ("maintenance", S.REGISTERED, "booked repairing"),
        ("other", S.REPAIRING, "handed_over"),
    ],
)
def test_what_may_come_next(queue: str, stage: RepairStage, next_ones: str) -> None:
    assert " ".join(following(stage, PATHS[queue])) == next_ones


def test_the_front_desk_neither_passes_its_own_repair_nor_gives_away_a_new_device() -> None:
    checked, inspected = Order(S.QUALITY_CHECK, charged=False), Order(S.INSPECTED)
    assert allowed(checked, PATHS["mail_in"], AGENT) == (S.REPAIRING, S.CANCELLED)
    assert allowed(checked, PATHS["mail_in"], LEADER) == (S.REPAIRING, S.SETTLED, S.CANCELLED)
    assert S.REPLACED not in allowed(inspected, PATHS["mail_in"], AGENT)
    assert S.REPLACED in allowed(inspected, PATHS["mail_in"], LEADER)


def test_a_refusal_names_its_reason() -> None:
    with pytest.raises(RepairRefused, match="consent_missing"):
        check(Order(S.BOOKED, charged=True), S.REPAIRING, PATHS["visits"], DESK)


def test_no_promise_without_n5() -> None:
    at = datetime(2026, 7, 1, tzinfo=UTC)
    assert replacement_due(at, None) is None
    assert replacement_due(None, 7) is None
    assert replacement_due(at, 7) == at + timedelta(days=7)


@pytest.mark.parametrize(
    ("path", "told"),
    [
        ([], "must begin with registered"),
        ([S.BOOKED, S.REGISTERED], "must begin with registered"),
        ([S.REGISTERED, S.REPAIRING, S.REPAIRING, S.HANDED_OVER], "names a stage twice"),
        ([S.REGISTERED, S.QUOTED, S.REPAIRING, S.HANDED_OVER], "needs both quoted and consented, or neither"),
        ([S.REGISTERED, S.REPAIRING, S.CANCELLED, S.HANDED_OVER], "leave cancelled out"),
        ([S.REGISTERED, S.HANDED_OVER, S.DISPATCHED, S.REPLACED, S.EVALUATED], ""),
        ([S.REGISTERED, S.REPAIRING], "never ends"),
    ],
)
def test_paths_that_cannot_be(path: list[RepairStage], told: str) -> None:
    assert any(told in en for _, en in faults(path)) is bool(told)


def test_every_stage_has_its_row() -> None:
    assert set(NEXT) == set(S)


OPTIONAL = sorted(set(S) - {S.REGISTERED, S.CANCELLED, S.QUOTED, S.CONSENTED})


@given(data=st.data())
def test_no_walk_leaves_its_path_or_works_without_consent(data: st.DataObject) -> None:
    chosen = set(data.draw(st.lists(st.sampled_from(OPTIONAL), unique=True)))
    charges = data.draw(st.booleans())
    path = [S.REGISTERED, *(s for s in S if s in chosen or (charges and s in (S.QUOTED, S.CONSENTED)))]
    order = Order(S.REGISTERED, data.draw(st.sampled_from([None, True, False])))
    for _ in range(data.draw(st.integers(0, 25))):
        steps = allowed(order, path, DESK)
        if not steps:
            assert order.stage in ENDED or not following(order.stage, path)
            break
        to = data.draw(st.sampled_from(steps))
        charged = True if to is S.QUOTED else order.charged
        consented = (order.consented and to is not S.QUOTED) or to is S.CONSENTED
        order = Order(to, charged, consented)
        assert to in path or to is S.CANCELLED
        if to in WORK:
            assert order.charged is not True or order.consented
            assert order.charged is not None or not charges
