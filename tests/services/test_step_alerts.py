"""A step of a plan reaches people on their telephones as the centre's policy has it, and is acknowledged there; a
surge's levels are steps of the incident it is (REQ-F28, F43, F60)."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import select

from bot.core.words import ChannelName, StepState
from bot.services.calls import voice
from bot.services.conversation import texts
from bot.services.desk import occupancy
from bot.services.escalation import roster
from bot.services.incidents import detection, incident_steps, incidents
from store.tables import Delivery, IncidentStep, IncidentTold, NumberKind
from tests.fakes.house import House
from tests.services.test_ladders import SUPERVISOR, staff_id, text

SQLITE = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


async def reported(house: House, code: str) -> int:
    """An incident the leader reports; the supervisor has a telephone."""
    leader, supervisor = await staff_id(house, "leader"), await staff_id(house, "supervisor")
    now = house.clock.now()

    def work(s):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
        roster.set_number(
            s, supervisor, NumberKind.MOBILE, SUPERVISOR, zone="Asia/Shanghai", now=now, by_staff_id=supervisor
        )
        return detection.report(
            s, house.centre, code=code, title="三号楼爆管", buildings=["3"], staff_id=leader, now=now
        ).id

    return await house.centre.db.write(work)


async def step(house: House, incident: int, key: str) -> IncidentStep:
    return await house.centre.db.read(
        lambda s: s.scalars(
            select(IncidentStep).where(IncidentStep.incident_id == incident, IncidentStep.key == key)
        ).one()
    )


async def sent(house: House, channel: ChannelName, words: str) -> list[Delivery]:
    rows = await house.centre.db.read(
        lambda s: s.scalars(select(Delivery).where(Delivery.channel == channel).order_by(Delivery.id)).all()
    )
    return [row for row in rows if words in row.body["text"] and row.escalation_id is None]


async def told(house: House, incident: int, username: str) -> IncidentTold:
    who = await staff_id(house, username)
    return await house.centre.db.read(
        lambda s: s.scalars(
            select(IncidentTold).where(IncidentTold.incident_id == incident, IncidentTold.staff_id == who)
        ).one()
    )


async def test_who_is_told_by_a_step_may_say_so_by_text(house: House) -> None:
    incident = await reported(house, "INC-29")
    await house.settle()
    (by_text,) = await sent(house, ChannelName.SMS, "先报公司")
    assert by_text.body["text"].endswith("回复1表示收到。")
    assert (await told(house, incident, "supervisor")).acknowledged_at is None
    for _ in range(2):  # the carrier tells it twice
        await texts.receive(house.centre, text("1", SUPERVISOR))
    assert (await told(house, incident, "supervisor")).acknowledged_at == house.clock.now()
    assert (await step(house, incident, "company")).state is StepState.OPEN  # the manager has not


async def test_a_lapsed_step_is_told_by_telephone_and_acknowledged_with_a_key(house: House) -> None:
    incident = await reported(house, "INC-29")
    await house.settle()
    await house.advance(minutes=15)
    *_, call = await sent(house, ChannelName.VOICE, "先报公司")
    said = await voice.ask(house.centre, f"/twilio/voice?delivery={call.id}", {"AnsweredBy": "human"})
    assert "按1表示收到" in said
    assert "按1表示收到" in await voice.ask(house.centre, f"/twilio/voice?alert={call.id}&asked=0", {"Digits": "2"})
    heard = await voice.ask(house.centre, f"/twilio/voice?alert={call.id}&asked=0", {"Digits": "1"})
    assert "已记下您收到了" in heard
    assert (await told(house, incident, "supervisor")).acknowledged_at is not None


@SQLITE
async def test_an_answering_machine_acknowledges_no_step(house: House) -> None:
    incident = await reported(house, "INC-29")
    await house.settle()
    await house.advance(minutes=15)
    *_, call = await sent(house, ChannelName.VOICE, "先报公司")
    said = await voice.ask(house.centre, f"/twilio/voice?delivery={call.id}", {"AnsweredBy": "machine_end_beep"})
    assert "<Gather" not in said
    assert (await told(house, incident, "supervisor")).acknowledged_at is None


@SQLITE
async def test_a_call_that_only_tells_is_read_out(house: House) -> None:
    """Whoever a surge calls in hears so; there is nothing to answer."""
    await reported(house, "INC-29")
    supervisor, now = await staff_id(house, "supervisor"), house.clock.now()
    await house.centre.db.write(lambda s: occupancy.start_surge(s, 1, staff_id=supervisor, why="", now=now))
    for level in (2, 3):
        await house.centre.db.write(
            lambda s, level=level: occupancy.start_surge(s, level, staff_id=supervisor, why="", now=now)
        )
    await house.settle()
    (call,) = await sent(house, ChannelName.VOICE, "话务高峰3级支援")
    said = await voice.ask(house.centre, f"/twilio/voice?delivery={call.id}", {"AnsweredBy": "human"})
    assert "话务高峰3级支援" in said
    assert "<Gather" not in said


async def test_a_surges_levels_do_the_steps_of_its_incident(house: House) -> None:
    incident = await reported(house, "INC-18")
    supervisor, now = await staff_id(house, "supervisor"), house.clock.now()
    write = house.centre.db.write
    await write(lambda s: occupancy.start_surge(s, 1, staff_id=supervisor, why="寒潮", now=now))
    first = await step(house, incident, "level1")
    assert (first.state, first.done_by, first.result) == (StepState.DONE, supervisor, "已启动话务支援1级：寒潮")
    later = now + timedelta(minutes=30)
    await write(lambda s: occupancy.start_surge(s, 2, staff_id=supervisor, why="", now=later))
    assert (await step(house, incident, "level2")).state is StepState.DONE
    assert (await step(house, incident, "level3")).due_at == later + timedelta(minutes=30)
    await write(lambda s: incidents.confirm(s, house.centre, incident, staff_id=supervisor, now=later))
    await write(lambda s: incidents.recover(s, house.centre, incident, staff_id=supervisor, text="", now=later))
    await write(lambda s: occupancy.end_surge(s, staff_id=supervisor, why="", now=later))
    rolled = await step(house, incident, "roll_back")
    assert (rolled.state, rolled.result) == (StepState.DONE, "话务支援已撤回")


@SQLITE
async def test_a_surge_is_no_step_of_a_drill(house: House) -> None:
    supervisor, now = await staff_id(house, "supervisor"), house.clock.now()

    def work(s):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
        incident = detection.report(
            s, house.centre, code="INC-18", title="演练", buildings=[], staff_id=supervisor, now=now, drill=True
        ).id
        occupancy.start_surge(s, 1, staff_id=supervisor, why="", now=now)
        return [row.state for row in incident_steps.steps_of(s, incident) if row.key == "level1"]

    assert await house.centre.db.write(work) == [StepState.OPEN]
