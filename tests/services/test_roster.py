"""The roster: who is told because of it, swaps, and gaps that are told a day ahead."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import select

from bot.core.roster import ShiftKind, SwapState
from bot.core.words import Role
from bot.services.escalation import alerts, roster
from bot.services.refusal import RefusedError
from store.tables import Shift, Swap
from tests.fakes.house import House
from tests.services.test_escalations import staff_id

SQLITE = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


async def put(house: House, username: str, kind: ShiftKind, start: float, end: float) -> int:
    """A shift in hours from now."""
    now = house.clock.now()
    person, by = await staff_id(house.centre, username), await staff_id(house.centre, "supervisor")
    return await house.centre.db.write(
        lambda s: (
            roster.add_shift(
                s, person, kind, now + timedelta(hours=start), now + timedelta(hours=end), by_staff_id=by, now=now
            ).id
        )
    )


async def told(house: House, username: str, words: str) -> int:
    person = await staff_id(house.centre, username)
    found = await house.centre.db.read(lambda s: alerts.unread(s, person, 200))
    return len([row for row in found if words in row.body["text"]])


async def test_whoever_has_the_duty_is_told_for_the_role_and_those_on_call_besides(house: House) -> None:
    await put(house, "agent", ShiftKind.ON_CALL, -1, 8)
    await put(house, "agent2", ShiftKind.DUTY, -1, 8)
    on_duty = await house.centre.db.read(lambda s: roster.on_duty(s, house.clock.now()))
    agent, agent2 = await staff_id(house.centre, "agent"), await staff_id(house.centre, "agent2")
    assert on_duty.on_call == (agent,)
    assert on_duty.roles[Role.AGENT] == (agent2,)
    await put(house, "agent2", ShiftKind.LEAVE, 9, 12)
    await house.advance(hours=10)
    on_duty = await house.centre.db.read(lambda s: roster.on_duty(s, house.clock.now()))
    assert agent2 not in on_duty.roles[Role.AGENT]
    assert on_duty.on_call == ()


async def test_a_swap_is_asked_accepted_and_approved(house: House) -> None:
    shift = await put(house, "agent", ShiftKind.DUTY, 24, 32)
    agent, agent2, supervisor = [await staff_id(house.centre, who) for who in ("agent", "agent2", "supervisor")]
    now, centre = house.clock.now(), house.centre

    def move(to: SwapState, by: int) -> None:
        centre.db.write_now(lambda s: roster.move_swap(s, centre, swap, to, by_staff_id=by, now=now))

    with pytest.raises(RefusedError, match="shift_not_yours"):
        await centre.db.write(lambda s: roster.ask_swap(s, centre, shift, agent, by_staff_id=agent2, why="", now=now))
    swap = await centre.db.write(
        lambda s: roster.ask_swap(s, centre, shift, agent2, by_staff_id=agent, why="孩子家长会", now=now).id
    )
    assert await told(house, "agent2", "换班") == 1
    with pytest.raises(RefusedError, match="swap_open"):
        await centre.db.write(lambda s: roster.ask_swap(s, centre, shift, agent2, by_staff_id=agent, why="", now=now))
    with pytest.raises(RefusedError, match="swap_over"):
        move(SwapState.APPROVED, supervisor)
    with pytest.raises(RefusedError, match="not_allowed"):
        move(SwapState.ACCEPTED, agent)
    move(SwapState.ACCEPTED, agent2)
    assert await told(house, "supervisor", "请主管批准") == 1
    with pytest.raises(RefusedError, match="not_allowed"):
        move(SwapState.APPROVED, agent2)
    move(SwapState.APPROVED, supervisor)
    assert (await centre.db.read(lambda s: s.get_one(Shift, shift))).staff_id == agent2
    assert await told(house, "agent", "已批准") == 1
    with pytest.raises(RefusedError, match="swap_over"):
        move(SwapState.WITHDRAWN, agent)


@SQLITE
async def test_gaps_are_told_a_day_ahead_and_each_stretch_once(house: House) -> None:
    await house.settle()
    assert await told(house, "supervisor", "空岗") == 0  # nobody keeps a roster yet
    await put(house, "agent", ShiftKind.ON_CALL, 0, 30)
    await put(house, "leader", ShiftKind.DUTY, -1, 60)
    await house.advance(hours=1)
    assert await told(house, "supervisor", "空岗") == 0
    await house.advance(hours=6)
    assert await told(house, "supervisor", "空岗") == 1
    for _ in range(3):
        await house.advance(minutes=5)
    assert await told(house, "supervisor", "空岗") == 1
    ahead = await house.centre.db.read(
        lambda s: roster.gaps(
            s,
            house.centre.library.current.policies,
            house.centre.library.current.calendar,
            house.clock.now(),
            house.clock.now() + timedelta(days=2),
        )
    )
    assert ahead.gaps[0].kind is ShiftKind.ON_CALL


@SQLITE
async def test_what_cannot_be_put_down_is_refused(house: House) -> None:
    await put(house, "agent", ShiftKind.DUTY, 0, 8)
    for start, end, code in (
        (4, 10, "shift_clash"),
        (10, 9, "shift_span"),
        (0, 24 * 15, "shift_span"),
        (-9, -1, "past"),
    ):
        with pytest.raises(RefusedError, match=code):
            await put(house, "agent", ShiftKind.DUTY, start, end)
    shift = await house.centre.db.read(lambda s: s.scalars(select(Shift.id)).one())
    supervisor = await staff_id(house.centre, "supervisor")
    await house.centre.db.write(lambda s: roster.cancel_shift(s, shift, by_staff_id=supervisor, now=house.clock.now()))
    assert await put(house, "agent", ShiftKind.DUTY, 4, 10)
    assert await house.centre.db.read(lambda s: s.scalars(select(Swap)).all()) == []
