"""All lines occupied: 15 minutes propose the general plan, 30 the major one; a free line starts the clock anew."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.core.occupancy import Grown, Occupancy, Over, Seen, Step, Surge, look, next_look, next_surge, surge
from scripts.policies import SHIPPED, load_policies

LIMITS = load_policies([SHIPPED]).occupancy
START = datetime(2026, 7, 1, 6, 0, tzinfo=UTC)
FULL, FREE = Seen(agents=2, held=10, capacity=10, waiting=1), Seen(agents=2, held=9, capacity=10, waiting=1)


def minutes(n: float) -> timedelta:
    return timedelta(minutes=n)


@pytest.mark.parametrize(
    ("seen", "busy"),
    [
        (FULL, True),
        (FREE, False),
        (Seen(2, 10, 10, 0), False),  # nobody waits
        (Seen(0, 0, 0, 1), True),  # nobody is on a seat, and somebody waits
        (Seen(0, 0, 0, 0), False),
    ],
)
def test_busy_is_every_line_in_use_and_somebody_waiting(seen: Seen, busy: bool) -> None:
    assert seen.busy is busy


def story(*looks: tuple[float, Seen]) -> list[tuple[float, Step]]:
    """What is proposed and after how many minutes."""
    was, proposed = Occupancy(), []
    for at, seen in looks:
        was, step = look(was, seen, LIMITS, START + minutes(at))
        if step:
            proposed.append((at, step))
    return proposed


def test_fifteen_minutes_propose_the_general_plan_and_thirty_the_major_one() -> None:
    """REQ-B16, REQ-B17."""
    looks = [(n / 2, FULL) for n in range(81)]
    assert story(*looks) == [(15, Step.GENERAL), (30, Step.MAJOR)]


@pytest.mark.parametrize(
    ("looks", "proposed"),
    [
        ([(0, FULL), (14.99, FULL)], []),
        ([(0, FULL), (14, FREE), (14.6, FREE), (15, FULL), (29.9, FULL)], []),  # free for longer than the debounce
        ([(0, FULL), (14, FREE), (14.4, FULL), (15, FULL)], [(15, Step.GENERAL)]),  # free for a moment only
        ([(0, FULL), (14, FREE), (20, FULL), (34.9, FULL)], []),  # nobody looked meanwhile: free since, for all we know
        ([(0, FULL), (31, FULL)], [(31, Step.MAJOR)]),  # a restart: the higher one at once
        (
            [(0, FULL), (31, FULL), (40, FREE), (41, FREE), (42, FULL), (57, FULL)],
            [(31, Step.MAJOR), (57, Step.GENERAL)],
        ),
    ],
)
def test_the_clock_starts_anew_when_a_line_is_free(
    looks: list[tuple[float, Seen]], proposed: list[tuple[float, Step]]
) -> None:
    """REQ-F09."""
    assert story(*looks) == proposed


@given(st.lists(st.tuples(st.integers(1, 600), st.booleans()), max_size=60))
def test_whatever_happens_each_plan_is_proposed_once_a_stretch_and_never_early(steps: list[tuple[int, bool]]) -> None:
    was, now, since, seen_steps = Occupancy(), START, None, []
    for seconds, busy in steps:
        now += timedelta(seconds=seconds)
        seen = FULL if busy else FREE
        was, step = look(was, seen, LIMITS, now)
        assert look(was, seen, LIMITS, now) == (was, None)  # looked at twice, proposed once
        if was.busy_since != since:
            since, seen_steps = was.busy_since, []
        if step:
            assert was.busy_since is not None
            assert now - was.busy_since >= (LIMITS.general if step is Step.GENERAL else LIMITS.major)
            assert step not in seen_steps
            assert Step.MAJOR not in seen_steps
            seen_steps.append(step)


def test_a_surge_grows_a_level_after_half_an_hour_without_control() -> None:
    """REQ-B23, REQ-B24."""
    was, found = surge(Surge(1, START), under_control=False, limits=LIMITS, now=START + minutes(29))
    assert found is None
    was, found = surge(was, under_control=False, limits=LIMITS, now=START + minutes(30))
    assert found == Grown(2)
    assert surge(was, under_control=False, limits=LIMITS, now=START + minutes(31))[1] is None
    second = Surge(2, START + minutes(31))
    assert surge(second, under_control=False, limits=LIMITS, now=START + minutes(61))[1] == Grown(3)
    assert surge(Surge(3, START), under_control=False, limits=LIMITS, now=START + minutes(600))[1] is None


def test_under_control_for_long_enough_it_may_be_rolled_back() -> None:
    """REQ-F28."""
    was, found = surge(Surge(1, START), under_control=True, limits=LIMITS, now=START + minutes(10))
    assert found is None
    was, _ = surge(was, under_control=False, limits=LIMITS, now=START + minutes(12))
    was, _ = surge(was, under_control=True, limits=LIMITS, now=START + minutes(13))
    assert surge(was, under_control=True, limits=LIMITS, now=START + minutes(27))[1] is None
    assert surge(was, under_control=True, limits=LIMITS, now=START + minutes(28))[1] == Over()


@given(st.lists(st.tuples(st.integers(1, 600), st.booleans()), max_size=60))
def test_between_two_looks_that_matter_nothing_would_have_been_found(steps: list[tuple[int, bool]]) -> None:
    """A rehearsal jumps to `next_look`: what every second's look finds meanwhile is what was known before."""
    was, at = Occupancy(), START
    for seconds, full in steps:
        seen = FULL if full else FREE
        at += timedelta(seconds=seconds)
        was, _ = look(was, seen, LIMITS, at)
        ahead = next_look(was, LIMITS, at)
        horizon = at + minutes(60) if ahead is None else ahead
        for later in (at + (horizon - at) / 2, horizon - timedelta.resolution):
            assert look(was, seen, LIMITS, later) == (was, None)
        if ahead is not None:
            assert look(was, seen, LIMITS, ahead) != (was, None)


@pytest.mark.parametrize("under_control", [True, False])
def test_a_surge_is_looked_at_when_it_may_grow_or_be_rolled_back(under_control: bool) -> None:
    was, found = surge(Surge(1, START), under_control=under_control, limits=LIMITS, now=START + minutes(1))
    assert found is None
    ahead = next_surge(was, LIMITS, START + minutes(1))
    assert ahead is not None
    early = surge(was, under_control=under_control, limits=LIMITS, now=ahead - timedelta.resolution)
    assert early == (was, None)
    assert surge(was, under_control=under_control, limits=LIMITS, now=ahead)[1] in (Grown(2), Over())
    assert next_surge(was, LIMITS, ahead) is None
