"""An announcement by telephone: heard when it was listened to, acknowledged by a key, only delivered to a machine."""

from __future__ import annotations

import asyncio

import pytest
from sqlalchemy import select, update

from bot.core.telephone import CallState
from bot.core.words import BroadcastState, CaseKind, DeliveryState, Outcome
from bot.services.sandbox import sandbox
from store.tables import Broadcast, BroadcastRecipient, Case, Contact, Delivery
from tests.fakes.announcing import Outage
from tests.fakes.handset import Handset
from tests.fakes.house import House

NAME, NUMBER = "赵春生", "+8619900000101"


@pytest.fixture
async def phone(house: House) -> Handset:
    """The telephone of somebody in building 3 who did not answer the text message, ringing."""
    outage = Outage(house.centre)
    await asyncio.to_thread(outage.launched)
    handset = await Handset.of(house, NUMBER)
    for minutes in (0, 16, 0, 0, 0, 0, 0, 0, 0, 0):  # a text, then a call, one a second
        await house.advance(minutes=minutes)
        if await handset.state() is CallState.RINGING:
            return handset
        await asyncio.sleep(0.7)
    raise AssertionError("the phone never rang")


async def outcome(house: House) -> Outcome:
    query = (
        select(BroadcastRecipient.outcome)
        .join(Contact, Contact.id == BroadcastRecipient.contact_id)
        .where(Contact.name == NAME)
    )
    return await house.centre.db.read(lambda s: s.scalars(query).one())


async def call_state(house: House, phone: Handset) -> DeliveryState:
    call = (await phone.screen()).call
    assert call is not None
    return await house.centre.db.read(lambda s: s.get_one(Delivery, call.delivery_id).state)


async def test_a_key_acknowledges(house: House, phone: Handset) -> None:
    await phone.answer()
    assert any("爆裂" in line for line in await phone.heard())
    assert await call_state(house, phone) is DeliveryState.DELIVERED
    await phone.press("1")
    assert await outcome(house) is Outcome.ACKNOWLEDGED
    assert await call_state(house, phone) is DeliveryState.HEARD
    assert await phone.heard()
    await phone.hang_up()
    assert await outcome(house) is Outcome.ACKNOWLEDGED


async def test_listened_to_the_end_is_heard(house: House, phone: Handset) -> None:
    await phone.answer()
    await phone.silence()
    assert await outcome(house) is Outcome.HEARD


async def test_hung_up_before_the_end_is_only_delivered(house: House, phone: Handset) -> None:
    await phone.answer()
    await phone.hang_up()
    assert await call_state(house, phone) is DeliveryState.DELIVERED
    assert await outcome(house) is Outcome.DELIVERED


async def test_a_machine_keeps_it_and_nobody_has_heard_it(house: House, phone: Handset) -> None:
    call = (await phone.screen()).call
    assert call is not None
    await sandbox.pick_up(house.centre, call.id, "machine_end_beep")
    (said,) = await phone.heard()
    assert "爆裂" in said
    assert "按1" not in said
    await phone.listen()
    assert await phone.state() is CallState.COMPLETED
    assert await outcome(house) is Outcome.DELIVERED


async def test_another_answer_becomes_a_case_with_the_announcement_on_it(house: House, phone: Handset) -> None:
    await phone.answer()
    await phone.say("我家老人需要轮椅下楼，没有电梯怎么办")
    cases = await house.centre.db.read(lambda s: s.scalars(select(Case)).all())
    assert [case.kind for case in cases] == [CaseKind.BROADCAST_REPLY]
    assert cases[0].broadcast_id is not None


async def test_what_was_withdrawn_while_it_rang_is_not_said(house: House, phone: Handset) -> None:
    await house.centre.db.write(lambda s: s.execute(update(Broadcast).values(state=BroadcastState.CANCELLED)))
    await phone.answer()
    assert await phone.heard() == []
    assert await phone.state() is CallState.COMPLETED


async def test_the_text_message_says_how_to_acknowledge(phone: Handset) -> None:
    texts = await phone.texts()
    assert [direction for direction, _ in texts] == ["out"]
    assert "回复1" in texts[0][1]
