"""Messages that wait for their answer: two quick ones get one, each is answered once, people's wait is acknowledged."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from bot.core.words import Author, ChannelName, ConversationState, Incoming, Language, Presence
from bot.services.centre import Centre
from bot.services.conversation import inbox, kept
from bot.services.desk import agent_lines, escalations
from store.tables import Conversation, Message, Staff
from tests.fakes.house import House

NUMBER = "+8613800138000"


async def text(centre: Centre, words: str, number: int, payload: str | None = None) -> int:
    incoming = Incoming(ChannelName.SMS, NUMBER, f"sms-{number}", words, language=Language.ZH, payload=payload)
    return (await inbox.receive(centre, incoming)).conversation_id


async def lines(centre: Centre, conversation_id: int) -> Sequence[tuple[Author, str, str]]:
    rows = await centre.db.read(
        lambda s: s.execute(
            select(Message.author, Message.key, Message.text)
            .where(Message.conversation_id == conversation_id)
            .order_by(Message.seq)
        ).all()
    )
    return [(row.author, row.key, row.text) for row in rows]


async def test_two_quick_messages_get_one_answer(house: House) -> None:
    where = await text(house.centre, "你好", 1)
    await text(house.centre, "我家3号楼2单元501，暖气不热", 2)
    await house.settle()
    assert [author for author, _, _ in await lines(house.centre, where)] == [Author.CUSTOMER] * 2  # may go on

    await house.advance(seconds=1)
    said = await lines(house.centre, where)
    keys = [key for author, key, _ in said if author is Author.BOT]
    assert keys == ["utter_welcome", "utter_no_heating_sorry", "utter_ask_cold_since"]
    assert not any("哪一户" in words for _, _, words in said)  # the address was taken from the second

    await house.advance(seconds=30)
    assert await lines(house.centre, where) == said


async def test_messages_apart_get_an_answer_each(house: House) -> None:
    where = await text(house.centre, "你好", 1)
    await house.advance(seconds=1)
    first = len(await lines(house.centre, where))
    await text(house.centre, "你们几点下班", 2)
    await house.advance(seconds=1)

    said = await lines(house.centre, where)
    assert [author for author, _, _ in said[first:]][:2] == [Author.CUSTOMER, Author.BOT]


async def test_a_pressed_choice_does_not_wait(house: House) -> None:
    where = await text(house.centre, "人工", 1, payload="/ask_human")
    assert Author.BOT in [author for author, _, _ in await lines(house.centre, where)]


async def test_two_workers_answer_once(centre: Centre) -> None:
    where = await text(centre, "你们几点下班", 1)
    await asyncio.gather(*(kept.answer(centre, where) for _ in range(4)))

    said = await lines(centre, where)
    assert Author.BOT in [author for author, _, _ in said]
    await kept.answer(centre, where)
    assert await lines(centre, where) == said
    assert len([key for _, key, _ in said if key]) == len({key for _, key, _ in said if key})


@pytest.mark.parametrize(("online", "words"), [(True, "一空下来就"), (False, "没有同事在线")])
async def test_who_waits_for_a_person_hears_once_that_they_were_heard(house: House, online: bool, words: str) -> None:
    centre = house.centre
    where = (await inbox.receive(centre, Incoming(ChannelName.REST, "lin", "1", "给我转人工"))).conversation_id
    agent = await centre.db.write(lambda s: _everybody(s, online))
    assert (await centre.db.read(lambda s: s.get_one(Conversation, where).state)) is ConversationState.QUEUED
    await house.advance(seconds=19)
    before = await lines(centre, where)

    await house.advance(seconds=1)
    after = await lines(centre, where)
    assert [words in said for _, _, said in after[len(before) :]] == [True]
    await house.advance(seconds=60)
    assert await lines(centre, where) == after

    now = centre.clock.now()
    await centre.db.write(lambda s: escalations.claim(s, where, agent, now))
    await centre.db.write(lambda s: agent_lines.say(s, centre, where, agent, "您好，请讲", now))
    await house.advance(seconds=60)
    assert (await lines(centre, where))[-1][2] == "您好，请讲"  # nobody waits: nothing is said
    await inbox.receive(centre, Incoming(ChannelName.REST, "lin", "2", "暖气还是凉的"))
    await house.advance(seconds=10)
    await inbox.receive(centre, Incoming(ChannelName.REST, "lin", "3", "在吗"))
    await house.advance(seconds=10)  # the wait counts from the first of them
    assert words in (await lines(centre, where))[-1][2]


def _everybody(session: Session, online: bool) -> int:
    for person in session.scalars(select(Staff)):
        person.presence = Presence.ONLINE if online else Presence.OFFLINE
    found: int = session.scalars(select(Staff.id).where(Staff.username == "supervisor")).one()
    return found


async def test_a_long_answer_of_an_agent_comes_in_several_messages(centre: Centre) -> None:
    where = (await inbox.receive(centre, Incoming(ChannelName.REST, "lin", "1", "给我转人工"))).conversation_id
    agent = await centre.db.write(lambda s: _everybody(s, True))
    now = centre.clock.now()
    await centre.db.write(lambda s: escalations.claim(s, where, agent, now))
    sentence = "师傅明天上午九点到十一点之间上门，请您留意电话，家里留人，并先把阀门附近的东西挪开。"
    await centre.db.write(lambda s: agent_lines.say(s, centre, where, agent, sentence * 8, now))

    said = [words for author, _, words in await lines(centre, where) if author is Author.AGENT]
    assert len(said) > 1
    assert "".join(said) == sentence * 8
    assert all(len(words) <= 200 for words in said)
