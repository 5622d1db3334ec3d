"""Nobody waits whom somebody could serve: given, warned of, taken back, told their place (INT-03, REQ-B05, E17)."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import select, update
from sqlalchemy.orm import Session

from bot.core.words import Author, ChannelName, ConversationState, Incoming, Presence, Role, Urgency
from bot.services import contacts
from bot.services.conversation import inbox
from bot.services.conversation.conversations import hold, save
from bot.services.desk import agent_lines, assigning, escalations, handoff, places
from bot.services.refusal import RefusedError
from bot.services.staffing import staff
from store.tables import Callback, Conversation, Message, Staff, StaffRole
from tests.fakes.house import House


def agents(session: Session) -> list[int]:
    query = select(Staff.id).join(StaffRole).where(StaffRole.role == Role.AGENT).order_by(Staff.id)
    return list(session.scalars(query))


def sit(house: House, staff_id: int, presence: Presence = Presence.ONLINE) -> None:
    """Their console is open."""

    def work(session: Session) -> None:
        staff.set_presence(session, staff_id, presence, now=house.clock.now())
        session.get_one(Staff, staff_id).seen_at = house.clock.machine()

    house.centre.db.write_now(work)


async def waits(house: House, who: str = "a") -> int:
    """Somebody asks for a person."""
    receipt = await inbox.receive(house.centre, Incoming(ChannelName.REST, who, f"{who}-1", "你好"))

    def ask(session: Session) -> None:
        held = hold(session, receipt.conversation_id)
        handoff.to_people(
            session,
            house.centre,
            held,
            reason="asked",
            urgency=Urgency.ORDINARY,
            queue="service",
            now=house.clock.now(),
        )
        save(session, held)

    house.centre.db.write_now(ask)
    return receipt.conversation_id


def state(house: House, conversation_id: int) -> tuple[ConversationState, int | None]:
    return house.centre.db.read_now(
        lambda s: (s.get_one(Conversation, conversation_id).state, s.get_one(Conversation, conversation_id).staff_id)
    )


def lines(house: House, conversation_id: int) -> list[tuple[Author, bool, str]]:
    query = select(Message).where(Message.conversation_id == conversation_id).order_by(Message.seq)
    return house.centre.db.read_now(lambda s: [(m.author, m.private, m.text) for m in s.scalars(query)])


async def test_who_waits_long_enough_is_given_to_somebody_present(house: House) -> None:
    one, two = house.centre.db.read_now(agents)[:2]
    first = await waits(house, "a")
    await house.advance(seconds=30)
    assert state(house, first) == (ConversationState.QUEUED, None)  # nobody's console is open
    sit(house, one)
    sit(house, two, Presence.AWAY)
    await house.settle()
    assert state(house, first) == (ConversationState.AGENT, one)
    second, third = await waits(house, "b"), await waits(house, "c")
    await house.settle()
    assert state(house, second) == (ConversationState.QUEUED, None)  # anybody may still take it themselves
    sit(house, two)
    await house.advance(seconds=21)
    assert [state(house, each)[1] for each in (second, third)] == [two, one]


async def test_an_agent_who_says_nothing_is_warned_then_relieved(house: House) -> None:
    one, two = house.centre.db.read_now(agents)[:2]
    sit(house, one)
    waiting = await waits(house)
    await house.advance(seconds=21)
    assert state(house, waiting) == (ConversationState.AGENT, one)
    sit(house, two)
    await house.advance(seconds=61)
    assert [text for author, private, text in lines(house, waiting) if private and "客户在等回复" in text]
    assert state(house, waiting)[1] == one
    await house.advance(seconds=125)
    assert state(house, waiting) == (ConversationState.AGENT, two)
    assert not [text for author, private, text in lines(house, waiting) if not private and "没有及时回复" in text]


async def test_who_goes_away_keeps_nothing_that_waits(house: House) -> None:
    one, two = house.centre.db.read_now(agents)[:2]
    sit(house, one)
    waiting = await waits(house)
    await house.advance(seconds=21)
    sit(house, two)
    house.centre.db.write_now(lambda s: agent_lines.say(s, house.centre, waiting, one, "您好", house.clock.now()))
    sit(house, one, Presence.AWAY)
    await house.settle()
    assert state(house, waiting)[1] == one  # the customer is not waiting
    await inbox.receive(house.centre, Incoming(ChannelName.REST, "a", "a-2", "在吗"))
    await house.settle()
    assert state(house, waiting) == (ConversationState.AGENT, two)


async def test_a_console_that_died_goes_offline_and_an_open_one_is_back(house: House) -> None:
    one = house.centre.db.read_now(agents)[0]
    sit(house, one)
    long_ago = house.clock.machine() - timedelta(minutes=3)
    house.centre.db.write_now(lambda s: s.execute(update(Staff).where(Staff.id == one).values(seen_at=long_ago)))
    await house.settle()
    assert house.centre.db.read_now(lambda s: s.get_one(Staff, one).presence) is Presence.OFFLINE
    now, machine = house.clock.now(), house.clock.machine()
    house.centre.db.write_now(lambda s: assigning.seen(s, one, now=now, machine=machine))
    assert house.centre.db.read_now(lambda s: s.get_one(Staff, one).presence) is Presence.ONLINE


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_who_waits_hears_their_place_and_may_be_called(house: House) -> None:
    leader = house.centre.db.read_now(
        lambda s: s.scalars(select(Staff.id).join(StaffRole).where(StaffRole.role == Role.LEADER)).first()
    )
    assert leader is not None
    sit(house, leader)
    first, second = await waits(house, "a"), await waits(house, "b")
    contact = house.centre.db.read_now(lambda s: s.get_one(Conversation, second).contact_id)
    house.centre.db.write_now(lambda s: contacts.add_phone(s, contact, "13900007788", house.clock.now()))
    await house.advance(seconds=181)
    assert "您是下一位" in lines(house, first)[-1][2]
    assert "您前面还有1位" in lines(house, second)[-1][2]
    before = len(lines(house, second))
    await house.advance(seconds=30)
    assert len(lines(house, second)) == before
    pressed = Incoming(ChannelName.REST, "b", "b-2", "请给我回电", payload=places.CALL_ME)
    answers = (await inbox.receive(house.centre, pressed)).answers
    assert "给您打电话" in answers[0].text
    assert (await inbox.receive(house.centre, pressed)).answers == answers
    await inbox.receive(house.centre, Incoming(ChannelName.REST, "b", "b-3", "请给我回电", payload=places.CALL_ME))
    assert len(house.centre.db.read_now(lambda s: s.scalars(select(Callback)).all())) == 1
    assert state(house, second)[0] is ConversationState.QUEUED


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_handed_over_with_what_the_next_one_must_know(house: House) -> None:
    one, two = house.centre.db.read_now(agents)[:2]
    waiting = await waits(house)
    now = house.clock.now()
    house.centre.db.write_now(lambda s: escalations.claim(s, waiting, one, now))
    house.centre.db.write_now(lambda s: escalations.transfer(s, house.centre, waiting, two, one, now, "要懂锅炉的"))
    assert state(house, waiting) == (ConversationState.AGENT, two)
    author, private, text = lines(house, waiting)[-1]
    assert (author, private) == (Author.AGENT, True)
    assert "要懂锅炉的" in text
    assert "你好" in text
    house.centre.db.write_now(lambda s: escalations.transfer_to_queue(s, house.centre, waiting, "repairs", two, now))
    assert state(house, waiting) == (ConversationState.QUEUED, None)


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_who_sits_in_may_write_until_they_leave(house: House) -> None:
    one, two = house.centre.db.read_now(agents)[:2]
    waiting = await waits(house)
    now, db = house.clock.now(), house.centre.db
    db.write_now(lambda s: escalations.claim(s, waiting, one, now))
    with pytest.raises(RefusedError):
        db.write_now(lambda s: agent_lines.say(s, house.centre, waiting, two, "我是主管", now))
    db.write_now(lambda s: escalations.call_in(s, waiting, two, one, now))
    db.write_now(lambda s: agent_lines.say(s, house.centre, waiting, two, "我是主管", now))
    assert lines(house, waiting)[-1] == (Author.AGENT, False, "我是主管")
    assert state(house, waiting)[1] == one
    db.write_now(lambda s: escalations.leave(s, waiting, two, now))
    with pytest.raises(RefusedError):
        db.write_now(lambda s: agent_lines.say(s, house.centre, waiting, two, "还在吗", now))
