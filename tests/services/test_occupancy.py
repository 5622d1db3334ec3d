"""Every line in use: plans are proposed to those who may start them, a surge grows, both are decided by people."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import select, update

from bot.core.occupancy import Step
from bot.core.roster import ShiftKind
from bot.core.words import Presence
from bot.services.desk import occupancy
from bot.services.escalation import alerts, roster
from bot.services.refusal import RefusedError
from store.tables import Incident, Proposal, ProposalState, Staff, Surge
from tests.fakes.house import House
from tests.services.test_escalations import staff_id, waiting

SQLITE = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


async def full(house: House) -> None:
    """One agent on a seat that holds nothing more, and a customer who waits."""
    agent = await staff_id(house.centre, "agent")
    await house.centre.db.write(
        lambda s: (
            s.execute(update(Staff).values(presence=Presence.OFFLINE))
            and s.execute(update(Staff).where(Staff.id == agent).values(presence=Presence.ONLINE, capacity=0))
        )
    )
    await waiting(house.centre)
    await house.settle()


async def proposals(house: House) -> list[tuple[Step, ProposalState]]:
    rows = await house.centre.db.read(lambda s: s.scalars(select(Proposal).order_by(Proposal.id)).all())
    return [(row.step, row.state) for row in rows]


async def told(house: House, username: str, words: str) -> int:
    person = await staff_id(house.centre, username)
    found = await house.centre.db.read(lambda s: alerts.unread(s, person, 200))
    return len([row for row in found if words in row.body["text"]])


async def test_full_lines_propose_the_plans_and_a_supervisor_starts_one(house: House) -> None:
    await full(house)
    await house.advance(minutes=14, seconds=59)
    assert await proposals(house) == []
    await house.advance(seconds=1)
    assert await proposals(house) == [(Step.GENERAL, ProposalState.OPEN)]
    assert await told(house, "supervisor", "一般预案") == 1
    assert await told(house, "leader", "一般预案") == 1  # who may propose it (A22)
    await house.advance(minutes=5)
    assert await told(house, "supervisor", "一般预案") == 1

    now = house.clock.now()
    leader, supervisor = await staff_id(house.centre, "leader"), await staff_id(house.centre, "supervisor")
    decide = occupancy.decide
    proposal = await house.centre.db.read(lambda s: s.scalars(select(Proposal.id)).one())
    with pytest.raises(RefusedError, match="not_allowed"):
        await house.centre.db.write(
            lambda s: decide(s, house.centre, proposal, staff_id=leader, confirm=True, why="", now=now)
        )
    await house.centre.db.write(
        lambda s: decide(s, house.centre, proposal, staff_id=supervisor, confirm=True, why="", now=now)
    )
    incident = await house.centre.db.read(lambda s: s.scalars(select(Incident)).one())
    assert (incident.code, incident.plan, incident.state) == ("INC-09", "general", "confirmed")
    with pytest.raises(RefusedError, match="proposal_decided"):
        await house.centre.db.write(
            lambda s: decide(s, house.centre, proposal, staff_id=supervisor, confirm=True, why="", now=now)
        )

    await house.advance(minutes=10)
    assert (await proposals(house))[-1] == (Step.MAJOR, ProposalState.OPEN)
    major = await house.centre.db.read(lambda s: s.scalars(select(Proposal.id).order_by(Proposal.id.desc())).first())
    later = house.clock.now()
    await house.centre.db.write(
        lambda s: decide(s, house.centre, major, staff_id=supervisor, confirm=True, why="", now=later)
    )
    raised = await house.centre.db.read(lambda s: s.scalars(select(Incident)).one())
    assert raised.plan == "major"


@SQLITE
async def test_a_free_line_withdraws_what_was_proposed_and_starts_the_clock_anew(house: House) -> None:
    await full(house)
    await house.advance(minutes=15)
    await house.centre.db.write(lambda s: s.execute(update(Staff).values(capacity=5)))
    await house.advance(seconds=20)
    assert await proposals(house) == [(Step.GENERAL, ProposalState.OPEN)]
    await house.advance(seconds=31)
    assert await proposals(house) == [(Step.GENERAL, ProposalState.WITHDRAWN)]
    await house.centre.db.write(lambda s: s.execute(update(Staff).values(capacity=0)))
    await house.advance(seconds=1)
    await house.advance(minutes=14, seconds=50)
    assert len(await proposals(house)) == 1
    await house.advance(minutes=1)
    assert len(await proposals(house)) == 2


@SQLITE
async def test_a_refusal_says_why(house: House) -> None:
    await full(house)
    await house.advance(minutes=15)
    now, supervisor = house.clock.now(), await staff_id(house.centre, "supervisor")
    proposal = await house.centre.db.read(lambda s: s.scalars(select(Proposal.id)).one())
    for why in ("", "  "):
        with pytest.raises(RefusedError, match="reason_missing"):
            await house.centre.db.write(
                lambda s, why=why: occupancy.decide(
                    s, house.centre, proposal, staff_id=supervisor, confirm=False, why=why, now=now
                )
            )
    await house.centre.db.write(
        lambda s: occupancy.decide(
            s, house.centre, proposal, staff_id=supervisor, confirm=False, why="马上有人回来", now=now
        )
    )
    await house.advance(minutes=10)
    assert await proposals(house) == [(Step.GENERAL, ProposalState.REFUSED)]
    assert await house.centre.db.read(lambda s: s.scalars(select(Incident)).all()) == []


@SQLITE
async def test_a_surge_calls_in_its_people_grows_and_is_rolled_back(house: House) -> None:
    await full(house)
    now = house.clock.now()
    supervisor, agent2 = await staff_id(house.centre, "supervisor"), await staff_id(house.centre, "agent2")
    leader = await staff_id(house.centre, "leader")
    await house.centre.db.write(
        lambda s: roster.add_shift(
            s, agent2, ShiftKind.STAND_BY, now, now + timedelta(hours=8), by_staff_id=supervisor, now=now
        )
    )
    start = occupancy.start_surge
    with pytest.raises(RefusedError, match="not_allowed"):
        await house.centre.db.write(lambda s: start(s, 1, staff_id=leader, why="", now=now))
    with pytest.raises(RefusedError, match="surge_level"):
        await house.centre.db.write(lambda s: start(s, 2, staff_id=supervisor, why="", now=now))
    await house.centre.db.write(lambda s: start(s, 1, staff_id=supervisor, why="停暖", now=now))
    assert await told(house, "agent", "高峰1级") == 1
    await house.advance(minutes=30)
    assert (Step.SURGE_2, ProposalState.OPEN) in await proposals(house)
    later = house.clock.now()
    (proposal,) = await house.centre.db.read(
        lambda s: s.scalars(select(Proposal.id).where(Proposal.step == Step.SURGE_2)).all()
    )
    await house.centre.db.write(
        lambda s: occupancy.decide(s, house.centre, proposal, staff_id=supervisor, confirm=True, why="", now=later)
    )
    assert await told(house, "agent2", "高峰2级") == 1
    assert await told(house, "agent", "高峰2级") == 0

    await house.centre.db.write(lambda s: s.execute(update(Staff).values(capacity=5)))
    await house.advance(seconds=1)
    await house.advance(minutes=15)
    assert await told(house, "supervisor", "可以撤回") == 1
    last = house.clock.now()
    await house.centre.db.write(lambda s: occupancy.end_surge(s, staff_id=supervisor, why="已恢复", now=last))
    assert await told(house, "agent2", "支援结束") == 1
    assert await house.centre.db.read(lambda s: s.scalars(select(Surge).where(Surge.ended_at.is_(None))).all()) == []
    with pytest.raises(RefusedError, match="surge_over"):
        await house.centre.db.write(lambda s: occupancy.end_surge(s, staff_id=supervisor, why="", now=last))
