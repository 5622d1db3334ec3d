"""A case's clocks, its parts among departments, a found item, hand-overs, media, and the shield against abuse."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select

from bot.core.sla import ClockState
from bot.core.words import (
    CaseKind,
    CaseState,
    ChannelName,
    ConversationState,
    EscalationState,
    Incoming,
    Language,
    Role,
    Urgency,
)
from bot.services import contacts
from bot.services.casework import case_work, cases
from bot.services.conversation import inbox
from bot.services.conversation.conversations import hold, save
from bot.services.desk import abuse, escalations, hand_overs, handoff
from bot.services.escalation import alerts
from bot.services.refusal import RefusedError
from store.tables import AbuseStep, Case, CaseNote, Conversation, Escalation, FoundItem
from tests.fakes.desk import Desk
from tests.fakes.house import House
from tests.services.test_escalations import staff_id, waiting

SQLITE = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
SIGNATURE = "M10 10 " + " ".join(f"L{n} {n}" for n in range(12, 40))


async def opened(house: House, kind: CaseKind = CaseKind.INQUIRY, **more: Any) -> int:
    agent, now = await staff_id(house.centre, "agent"), house.clock.now()

    def work(s: Any) -> int:
        known = contacts.meet(s, ChannelName.REST, "lin", language=Language.ZH, zone="Asia/Shanghai", now=now)
        given = {"subject": "3-2-501暖气不热，电话13800001234", "category": "", "facts": {}, "urgent_why": ""} | more
        return case_work.open_by_hand(
            s, house.centre, kind=kind, contact_id=known.contact_id, staff_id=agent, now=now, **given
        ).id

    return await house.centre.db.write(work)


async def case(house: House, case_id: int) -> Case:
    return await house.centre.db.read(lambda s: s.get_one(Case, case_id))


async def told(house: House, username: str, words: str) -> int:
    person = await staff_id(house.centre, username)
    found = await house.centre.db.read(lambda s: alerts.unread(s, person, 200))
    return len([row for row in found if words in row.body["text"]])


async def do(house: House, work: Any, *args: Any, **more: Any) -> Any:
    now = house.clock.now()
    return await house.centre.db.write(lambda s: work(s, *args, now=now, **more))


async def test_the_clocks_warn_pause_and_stop(house: House) -> None:
    case_id, agent = await opened(house), await staff_id(house.centre, "agent")
    await house.settle()
    row = await case(house, case_id)
    assert row.subject == "***暖气不热，电话****1234"
    assert row.due_at is not None
    assert row.standing == ClockState.RUNNING
    await house.advance(minutes=97)  # of two hours; lunch is later
    assert (await case(house, case_id)).standing == ClockState.WARNING
    assert await told(house, "leader", "快到时限") == 1
    await do(house, cases.assign, case_id, agent, by_staff_id=agent)
    await house.settle()
    assert (await case(house, case_id)).standing == ClockState.RUNNING  # the first one stopped in time

    due = (await case(house, case_id)).due_at
    await do(house, case_work.pend, case_id, "等客户拍照", staff_id=agent)
    await house.settle()
    assert (await case(house, case_id)).standing == ClockState.PAUSED
    await house.advance(hours=30)
    assert await told(house, "supervisor", "超过时限") == 0
    await do(house, case_work.go_on, case_id, staff_id=agent)
    await house.settle()
    later = (await case(house, case_id)).due_at
    assert due is not None
    assert later is not None
    assert later > due
    await do(house, cases.give_feedback, case_id, "已修好", staff_id=agent)
    await house.advance(days=20)
    assert (await case(house, case_id)).standing == ClockState.MET
    assert await told(house, "supervisor", "超过时限") == 0


@SQLITE
async def test_a_breach_is_told_once(house: House) -> None:
    await opened(house)
    await house.settle()
    for _ in range(4):
        await house.advance(hours=12)
    assert await told(house, "supervisor", "超过时限") == 1


@SQLITE
async def test_a_customer_who_writes_ends_the_wait(house: House) -> None:
    conversation = await waiting(house.centre)
    case_id = await opened(house, conversation_id=conversation)
    agent = await staff_id(house.centre, "agent")
    await do(house, case_work.pend, case_id, "", staff_id=agent)
    await house.settle()
    assert (await case(house, case_id)).state is CaseState.PENDING
    await house.advance(minutes=5)
    await inbox.receive(house.centre, Incoming(ChannelName.REST, "lin", "9", "照片发过去了", language=Language.ZH))
    await house.settle()
    row = await case(house, case_id)
    assert (row.state, row.pending_since) == (CaseState.OPEN, None)


async def test_an_urgent_order_says_why_and_climbs_from_the_leader(house: House) -> None:
    """REQ-E16."""
    case_id, agent = await opened(house), await staff_id(house.centre, "agent")
    await house.settle()
    with pytest.raises(RefusedError, match="reason_missing"):
        await do(house, case_work.make_urgent, house.centre, case_id, " ", staff_id=agent)
    await do(house, case_work.make_urgent, house.centre, case_id, "老人独居，室温 8 度", staff_id=agent)
    await house.settle()
    assert (await told(house, "leader", "需要有人接手"), await told(house, "supervisor", "需要有人接手")) == (1, 0)
    await house.advance(minutes=5)
    assert await told(house, "supervisor", "需要有人接手") == 1
    await house.advance(minutes=5)
    assert await told(house, "manager", "需要有人接手") == 1
    assert (await case(house, case_id)).level == 3


@SQLITE
async def test_it_cannot_close_without_feedback_wrap_up_and_every_departments_part(house: House) -> None:
    """REQ-E04, REQ-E06."""
    case_id, agent = await opened(house, CaseKind.COMPLAINT), await staff_id(house.centre, "agent")
    agent2 = await staff_id(house.centre, "agent2")
    await house.settle()  # the leader is told: level 1
    await do(house, cases.assign, case_id, agent, by_staff_id=agent)
    task = await do(
        house, case_work.add_task, case_id, "维修部", "查锅炉房", agent2, due_in=timedelta(hours=4), staff_id=agent
    )
    assert await told(house, "agent2", "查锅炉房") == 1

    async def refused() -> str:
        with pytest.raises(RefusedError) as error:
            await do(house, cases.close, case_id, staff_id=agent, wrap_up="confirmed")
        return error.value.code

    assert await refused() == "tasks_open"
    with pytest.raises(RefusedError, match="not_yours"):
        await do(house, case_work.finish_task, task.id, "好", staff_id=await staff_id(house.centre, "leader"))
    await do(house, case_work.finish_task, task.id, "阀门已换", staff_id=agent2)
    assert await told(house, "agent", "已完成") == 1
    assert await refused() == "feedback_missing"
    await do(house, cases.give_feedback, case_id, "已修好", staff_id=agent)
    with pytest.raises(RefusedError, match="wrap_up_missing"):
        await do(house, cases.close, case_id, staff_id=agent)
    await do(house, cases.close, case_id, staff_id=agent, wrap_up="confirmed")
    up = await house.centre.db.read(lambda s: s.scalars(select(Escalation.state)).all())
    assert set(up) == {EscalationState.CLOSED}
    reopened = await do(house, cases.reopen, house.centre, case_id, "还是不热")
    assert (reopened.level, reopened.reopened, reopened.wrap_up) == (2, 1, None)
    await house.settle()
    assert await told(house, "supervisor", "需要有人接手") == 1  # one level higher (REQ-E07)


async def test_a_found_item_takes_two_people_and_a_signature(house: House) -> None:
    """REQ-B40, REQ-E20."""
    case_id = await opened(house, CaseKind.FOUND_ITEM, subject="拾到钱包")
    agent, agent2 = await staff_id(house.centre, "agent"), await staff_id(house.centre, "agent2")
    record = {"what": "钱包一个，现金 200 元", "where": "大厅", "camera": "3 号", "kept_at": "保险柜"}
    await do(house, case_work.register_item, case_id, **record, staff_id=agent)
    back = {"owner_name": "林女士", "identity": "身份证，与照片一致"}
    for who, error in ((agent, "second_person"),):
        with pytest.raises(RefusedError, match=error):
            await do(house, case_work.confirm_item, case_id, staff_id=who)
        with pytest.raises(RefusedError, match=error):
            await do(house, case_work.return_item, case_id, **back, signature=SIGNATURE, staff_id=who)
    await do(house, case_work.confirm_item, case_id, staff_id=agent2)
    for bad in ("", "M1 1", "M1 1<script>" + "L2 2" * 20):
        with pytest.raises(RefusedError, match="signature_missing"):
            await do(house, case_work.return_item, case_id, **back, signature=bad, staff_id=agent)
    await do(house, case_work.return_item, case_id, **back, signature=SIGNATURE, staff_id=agent)
    item = await house.centre.db.read(lambda s: s.get_one(FoundItem, case_id))
    assert (item.counted_by, item.confirmed_by, item.returned_by) == (agent, agent2, agent)


@SQLITE
async def test_the_media_go_to_the_spokesperson_alone(house: House) -> None:
    """REQ-E15."""
    await opened(house, CaseKind.MEDIA, subject="记者来电")
    await house.settle()
    people = ("agent", "leader", "supervisor", "manager")
    assert [await told(house, who, "需要有人接手") for who in people] == [0, 0, 0, 1]
    await house.advance(hours=5)
    assert [await told(house, who, "时限") for who in people] == [0, 0, 0, 0]


@SQLITE
async def test_a_reporter_who_asks_for_a_person_stands_in_the_spokesperson_s_list_alone(house: House) -> None:
    """REQ-E15."""
    heard = await inbox.receive(house.centre, Incoming(ChannelName.REST, "reporter", "1", "你好"))
    where = heard.conversation_id

    def as_media(s: Any) -> None:
        held, now = hold(s, where), house.clock.now()
        s.add(
            Case(
                number="M1",
                kind=CaseKind.MEDIA,
                state=CaseState.OPEN,
                contact_id=held.contact_id,
                conversation_id=where,
                subject="记者来电",
                queue="spokesperson",
                opened_at=now,
            )
        )
        s.flush()
        handoff.to_people(s, house.centre, held, reason="asked", urgency=Urgency.ORDINARY, queue="service", now=now)
        save(s, held)

    await house.centre.db.write(as_media)
    row = await house.centre.db.read(lambda s: s.get_one(Conversation, where))
    assert row.queue == "spokesperson"
    at = f"/console/conversations/{where}"
    for role, status in ((Role.AGENT, 403), (Role.SUPERVISOR, 403), (Role.MANAGER, 200)):
        desk = await Desk.of(house.centre, house.client, role)
        assert (at in await desk.see("/console")) is (status == 200)
        await desk.see(at, status)
        await desk.do(f"{at}/claim", 303 if status == 200 else 403)


@SQLITE
async def test_an_urgent_case_rings_the_supervisor_once_at_five_minutes(house: House) -> None:
    await opened(house, urgent_why="老人独居，家里没有暖气")
    await house.settle()
    for _ in range(6):
        await house.advance(minutes=1)
    assert await told(house, "supervisor", "") == 1


@SQLITE
async def test_a_hand_over_names_every_promise_and_is_confirmed(house: House) -> None:
    """REQ-E17."""
    case_id = await opened(house)
    agent, agent2 = await staff_id(house.centre, "agent"), await staff_id(house.centre, "agent2")
    await do(house, cases.assign, case_id, agent, by_staff_id=agent)
    with pytest.raises(RefusedError, match="promise_missing"):
        await do(house, hand_overs.hand_over, agent2, {case_id: " "}, "", staff_id=agent)
    with pytest.raises(RefusedError, match="hand_over_empty"):
        await do(house, hand_overs.hand_over, agent, {case_id: "x"}, "", staff_id=agent2)
    row = await do(house, hand_overs.hand_over, agent2, {case_id: "答应明早九点回电"}, "", staff_id=agent)
    assert (await case(house, case_id)).staff_id == agent
    with pytest.raises(RefusedError, match="not_yours"):
        await do(house, hand_overs.confirm, row.id, staff_id=agent)
    await do(house, hand_overs.confirm, row.id, staff_id=agent2)
    assert (await case(house, case_id)).staff_id == agent2
    assert await told(house, "agent", "已确认接班") == 1
    notes = await house.centre.db.read(lambda s: s.scalars(select(CaseNote.text)).all())
    assert "答应明早九点回电" in notes


async def test_an_agent_may_end_it_only_after_the_warning(house: House) -> None:
    """REQ-E14."""
    conversation, agent = await waiting(house.centre), await staff_id(house.centre, "agent")
    now = house.clock.now()
    await house.centre.db.write(lambda s: escalations.claim(s, conversation, agent, now))

    async def step(which: AbuseStep) -> None:
        await do(house, abuse.take_step, house.centre, conversation, which, "骂人", staff_id=agent)

    for early in (AbuseStep.WARNED, AbuseStep.ENDED):
        with pytest.raises(RefusedError, match="not_warned"):
            await step(early)
    await step(AbuseStep.ASKED)
    await step(AbuseStep.THREAT)
    await house.settle()
    assert await told(house, "leader", "威胁") == 1
    with pytest.raises(RefusedError, match="not_warned"):
        await step(AbuseStep.ENDED)
    await step(AbuseStep.WARNED)
    with pytest.raises(RefusedError, match="step_taken"):
        await step(AbuseStep.WARNED)
    await step(AbuseStep.ENDED)
    row = await house.centre.db.read(lambda s: s.get_one(Conversation, conversation))
    assert (row.state, row.wrap_up) == (ConversationState.CLOSED, "nuisance")
    assert await house.centre.db.read(lambda s: abuse.before(s, row.address_id, 0)) == 1
    with pytest.raises(RefusedError, match="not_yours"):
        await step(AbuseStep.ASKED)
