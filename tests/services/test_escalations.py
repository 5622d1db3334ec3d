"""A person is wanted: the queue, the claim, the agent's lines, wrap-up and rating, the ladder."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest
from sqlalchemy import select

from bot.core.words import (
    ChannelName,
    ConversationState,
    EscalationState,
    Incoming,
    Language,
    Presence,
    Urgency,
)
from bot.services.centre import Centre
from bot.services.conversation import inbox
from bot.services.conversation.conversations import hold, save
from bot.services.conversation.transcript import transcript
from bot.services.desk import agent_lines, escalations, handoff
from bot.services.escalation import alerts
from bot.services.refusal import RefusedError
from bot.services.staffing import staff as people
from store.tables import Conversation, Escalation, Staff
from tests.fakes.house import House


def message(text: str, number: str) -> Incoming:
    return Incoming(ChannelName.REST, "lin", number, text, language=Language.ZH)


async def waiting(centre: Centre, urgency: Urgency = Urgency.URGENT) -> int:
    """A conversation in the queue."""
    receipt = await inbox.receive(centre, message("你好", "1"))

    def queue(session):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
        held = hold(session, receipt.conversation_id)
        handoff.to_people(
            session, centre, held, reason="ask_human", urgency=urgency, queue="service", now=centre.clock.now()
        )
        save(session, held)

    await centre.db.write(queue)
    return receipt.conversation_id


async def staff_id(centre: Centre, username: str) -> int:
    return await centre.db.read(lambda s: s.scalars(select(Staff.id).where(Staff.username == username)).one())


async def test_asking_for_a_person_puts_the_conversation_into_the_queue(centre: Centre) -> None:
    await inbox.receive(centre, message("你好", "1"))
    receipt = await inbox.receive(centre, message("给我转人工", "2"))

    assert receipt.state is ConversationState.QUEUED
    assert receipt.answers


async def test_two_agents_at_once_exactly_one_gets_it(centre: Centre) -> None:
    conversation = await waiting(centre)
    first, second = await staff_id(centre, "agent"), await staff_id(centre, "agent2")
    now = centre.clock.now()

    won = await asyncio.gather(
        *(centre.db.write(lambda s, p=p: escalations.claim(s, conversation, p, now)) for p in (first, second))
    )

    assert sorted(won) == [False, True]
    holder = await centre.db.read(lambda s: s.get_one(Conversation, conversation).staff_id)
    assert holder == (first if won[0] else second)


async def test_the_bot_is_silent_while_people_hold_the_conversation(centre: Centre) -> None:
    conversation = await waiting(centre)
    queued = await inbox.receive(centre, message("有人吗", "3"))
    agent = await staff_id(centre, "agent")
    await centre.db.write(lambda s: escalations.claim(s, conversation, agent, centre.clock.now()))
    held = await inbox.receive(centre, message("暖气还是凉的", "4"))
    seq = await centre.db.write(
        lambda s: agent_lines.say(s, centre, conversation, agent, "您好，我来处理", centre.clock.now())
    )

    assert queued.answers == held.answers == ()
    lines = await centre.db.read(lambda s: transcript(s, conversation, seq - 1))
    assert [line.text for line in lines] == ["您好，我来处理"]


async def test_a_line_that_changes_nothing_else_says_so_to_whoever_looks(centre: Centre) -> None:
    conversation = await waiting(centre)
    agent = await staff_id(centre, "agent")
    await centre.db.write(lambda s: escalations.claim(s, conversation, agent, centre.clock.now()))
    everything, lines = f"conversation:{conversation}", f"lines:{conversation}"

    async with centre.live.running(), centre.live.listen(everything, lines) as ear:
        if not centre.db.is_sqlite:
            await ear.wait(10)  # whoever begins to listen is woken for what they may have missed

        async def says(words: str, number: str) -> set[str]:
            await inbox.receive(centre, message(words, number))
            return await ear.wait(5)

        assert await says("在吗", "10") == {lines}  # they wait for an answer since they were queued
        await centre.db.write(lambda s: agent_lines.say(s, centre, conversation, agent, "在的", centre.clock.now()))
        assert everything in await ear.wait(5)
        assert await says("暖气修好了吗", "11") == {everything}  # from now they wait again
        assert await says("？", "12") == {lines}


async def test_only_the_holder_writes_and_closes(centre: Centre) -> None:
    conversation = await waiting(centre)
    agent, other = await staff_id(centre, "agent"), await staff_id(centre, "agent2")
    now = centre.clock.now()
    await centre.db.write(lambda s: escalations.claim(s, conversation, agent, now))

    with pytest.raises(RefusedError, match="not_yours"):
        await centre.db.write(lambda s: agent_lines.say(s, centre, conversation, other, "hello", now))
    with pytest.raises(RefusedError, match="wrap_up_missing"):
        await centre.db.write(lambda s: escalations.close(s, centre, conversation, agent, "", "", now))


async def test_after_the_wrap_up_the_customer_rates_and_the_conversation_ends(centre: Centre) -> None:
    conversation = await waiting(centre)
    agent = await staff_id(centre, "agent")
    now = centre.clock.now()
    await centre.db.write(lambda s: escalations.claim(s, conversation, agent, now))
    await centre.db.write(lambda s: escalations.close(s, centre, conversation, agent, "solved", "换了阀门", now))

    receipt = await inbox.receive(centre, message("5", "9"))

    row = await centre.db.read(lambda s: s.get_one(Conversation, conversation))
    assert (row.rating, row.wrap_up, row.wrap_up_note) == (5, "solved", "换了阀门")
    assert receipt.conversation_id == conversation


async def test_the_ladder_climbs_until_somebody_takes_it_and_tells_nobody_twice(house: House) -> None:
    centre = house.centre
    supervisor = await staff_id(centre, "supervisor")
    leader = await staff_id(centre, "leader")
    conversation = await waiting(centre)

    async def told(person: int) -> int:
        return len(await centre.db.read(lambda s: alerts.unread(s, person)))

    await house.settle()
    assert (await told(leader), await told(supervisor)) == (1, 0)
    await house.advance(minutes=4, seconds=59)
    assert (await told(leader), await told(supervisor)) == (1, 0)
    await house.advance(seconds=1)
    assert (await told(leader), await told(supervisor)) == (1, 1)

    await centre.db.write(lambda s: escalations.claim(s, conversation, supervisor, centre.clock.now()))
    await house.advance(hours=5)
    assert (await told(leader), await told(supervisor)) == (1, 1)
    state = await centre.db.read(lambda s: s.scalars(select(Escalation.state)).one())
    assert state is EscalationState.ACKNOWLEDGED


async def test_waiting_time_is_what_the_last_customers_waited(centre: Centre) -> None:
    conversation = await waiting(centre)
    agent = await staff_id(centre, "agent")
    later = centre.clock.now() + timedelta(minutes=3)
    await centre.db.write(lambda s: escalations.claim(s, conversation, agent, later))

    assert await centre.db.read(lambda s: handoff.waits(s, now=later)) == timedelta(minutes=3)


async def test_only_people_who_are_present_count_as_open(centre: Centre) -> None:
    agent = await staff_id(centre, "agent")
    before = await centre.db.read(handoff.agents_open)
    await centre.db.write(lambda s: people.set_presence(s, agent, Presence.ONLINE, now=centre.clock.now()))

    assert await centre.db.read(handoff.agents_open) == before + 1


async def test_each_is_told_why_in_their_own_language(house: House) -> None:
    def english(session):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
        session.scalars(select(Staff).where(Staff.username == "leader")).one().language = Language.EN

    await house.centre.db.write(english)
    receipt = await inbox.receive(house.centre, message("暖气不热", "1"))

    def queue(session):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
        held, now = hold(session, receipt.conversation_id), house.clock.now()
        handoff.to_people(
            session, house.centre, held, reason="no_heating", urgency=Urgency.URGENT, queue="service", now=now
        )
        save(session, held)

    await house.centre.db.write(queue)
    await house.advance(minutes=1)

    leader = await staff_id(house.centre, "leader")
    told = await house.centre.db.read(lambda s: [each.body["text"] for each in alerts.unread(s, leader)])
    assert "Heating not working" in told[0]
