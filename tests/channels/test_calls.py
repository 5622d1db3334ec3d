"""Calls on the sandbox phone, from the page's requests to the rows: the whole path a real carrier takes too."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select, update

from bot.core.plan import Trigger
from bot.core.telephone import DOOR, BadCallError, CallState, door
from bot.core.twiml import Gather, Over, play
from bot.core.words import (
    Author,
    ChannelName,
    ConversationState,
    DeliveryState,
    Disposition,
    Language,
    Outgoing,
    Presence,
    Purpose,
    Rejected,
    Say,
)
from bot.services.calls import speech, voice, voicemail, waiting
from bot.services.calls.bookings import book
from bot.services.conversation import conversations
from bot.services.delivery import outbox
from bot.services.desk.wrap_up import SILENT
from bot.services.plans import followups
from bot.services.plans.planning import Occurrence
from bot.services.sandbox import sandbox, unattended
from bot.services.sandbox.callees import PATIENCE, Callees, Manner
from bot.services.sandbox.callees import play as play_callees
from store.tables import Address, CallAttempt, Callback, Contact, Conversation, Delivery, Message, Staff
from tests.fakes.handset import Handset
from tests.fakes.house import House

PATIENT = "+8619900000107"
CALLER = "+8619900000101"


@pytest.fixture
async def patient(house: House) -> Handset:
    """A patient who visited this morning, at the moment their phone rings."""
    what = Occurrence("visits", "V1", Trigger.VISITED_NO_PURCHASE, PATIENT, "郑晓霜", house.clock.now(), title="女士")
    await house.centre.db.write(lambda s: followups.record(s, house.centre, what, house.clock.now()))
    await house.advance(hours=4.5)  # 14:30, the first window
    phone = await Handset.of(house, PATIENT)
    assert await phone.state() is CallState.RINGING
    return phone


async def one(house: House, query: Any) -> Any:
    return await house.centre.db.read(lambda s: s.scalars(query).one())


async def delivery(house: House) -> Delivery:
    row: Delivery = await one(house, select(Delivery).where(Delivery.channel == ChannelName.VOICE))
    return row


# ── a call we placed ──


async def test_a_follow_up_call_is_answered_asked_and_closed(house: House, patient: Handset) -> None:
    await patient.answer()
    assert "云栖综合服务中心" in "".join(await patient.heard())
    assert (await delivery(house)).state is DeliveryState.DELIVERED
    await patient.press("1")  # it is a good moment
    assert any("满意" in line for line in await patient.heard())
    await patient.press("5")
    assert any("建议" in line for line in await patient.heard())
    await patient.say("没有")
    await patient.listen()
    assert await patient.state() is CallState.COMPLETED
    assert (await delivery(house)).state is DeliveryState.HEARD
    callback = await one(house, select(Callback))
    assert callback.disposition is Disposition.COMPLETED
    conversation = await one(house, select(Conversation).where(Conversation.channel == ChannelName.VOICE))
    assert conversation.state is ConversationState.CLOSED


async def test_hanging_up_half_way_is_partly_completed_and_tried_again(house: House, patient: Handset) -> None:
    await patient.answer()
    await patient.press("1")
    await patient.hang_up()
    attempt = await one(house, select(CallAttempt))
    assert attempt.disposition is Disposition.PARTLY_COMPLETED
    conversation = await one(house, select(Conversation).where(Conversation.channel == ChannelName.VOICE))
    assert conversation.state is ConversationState.CLOSED


async def test_declining_is_busy(house: House, patient: Handset) -> None:
    await patient.hang_up()
    assert await patient.state() is CallState.BUSY
    assert (await one(house, select(CallAttempt))).disposition is Disposition.BUSY


async def test_ringing_long_enough_is_no_answer(house: House, patient: Handset) -> None:
    house.clock.skip(timedelta(seconds=20))
    await house.settle()
    assert await patient.state() is CallState.RINGING
    house.clock.skip(timedelta(seconds=11))
    await house.settle()
    assert await patient.state() is CallState.NO_ANSWER
    assert (await one(house, select(CallAttempt))).disposition is Disposition.NO_ANSWER


async def test_a_machine_is_no_person(house: House, patient: Handset) -> None:
    call = (await patient.screen()).call
    assert call is not None
    await sandbox.pick_up(house.centre, call.id, "machine_start")
    await patient.listen()
    assert await patient.state() is CallState.COMPLETED
    assert (await one(house, select(CallAttempt))).disposition is Disposition.MACHINE
    talked = await house.centre.db.read(lambda s: s.scalars(select(Conversation)).all())
    assert talked == []


async def test_three_prompts_and_goodbye_to_a_silent_line(house: House, patient: Handset) -> None:
    await patient.answer()
    await patient.heard()
    prompts = []
    for _ in range(3):
        await patient.silence()
        prompts.append("".join(await patient.heard()))
    assert all("能听到我说话吗" in prompt for prompt in prompts)
    await patient.silence()
    assert "再见" in "".join(await patient.heard())
    await patient.listen()
    assert await patient.state() is CallState.COMPLETED
    assert (await one(house, select(CallAttempt))).disposition is Disposition.NO_ANSWER
    assert (await one(house, select(Conversation))).wrap_up == SILENT
    await house.advance(minutes=1)
    assert await patient.texts() == []  # we called: the call is tried again, nobody writes


async def test_a_callee_who_hangs_up_without_a_word_has_not_answered(house: House, patient: Handset) -> None:
    await patient.answer()
    await patient.silence()
    await patient.hang_up()
    assert (await one(house, select(CallAttempt))).disposition is Disposition.NO_ANSWER
    assert (await one(house, select(Conversation))).wrap_up == SILENT


async def test_who_spoke_and_then_falls_silent_is_put_through(house: House, patient: Handset) -> None:
    await patient.answer()
    await patient.press("1")
    for _ in range(2):
        await patient.silence()
    await patient.heard()
    await patient.silence()
    assert "请同事来接" in "".join(await patient.heard())
    assert (await one(house, select(Conversation))).state is ConversationState.QUEUED
    await patient.silence()
    assert "请按1，我们给您回电" in "".join(await patient.heard())  # nobody is online
    await patient.press("1")
    await patient.listen()
    assert await patient.state() is CallState.COMPLETED
    assert (await one(house, select(Conversation))).wrap_up is None


async def test_a_page_that_is_gone_ends_its_call(house: House, patient: Handset) -> None:
    await patient.answer()
    house.clock.skip(unattended.GONE_AFTER + timedelta(seconds=1))
    await house.settle()
    assert await patient.state() is CallState.COMPLETED
    assert (await one(house, select(CallAttempt))).disposition is Disposition.PARTLY_COMPLETED


@pytest.mark.usefixtures("patient")
async def test_the_same_request_gets_the_same_words_and_does_nothing_twice(house: House) -> None:
    call = await delivery(house)
    address = door(delivery=call.id)
    first = await voice.ask(house.centre, address, {"AnsweredBy": "human"})
    assert await voice.ask(house.centre, address, {"AnsweredBy": "human"}) == first
    ear = play(first).then
    assert isinstance(ear, Gather)
    answered = await voice.ask(house.centre, ear.url, {"Digits": "1"})
    again = await voice.ask(house.centre, ear.url, {"Digits": "1"})
    assert again == answered
    quiet = f"{play(answered).then.url}&silent=0"  # type: ignore[union-attr]  # it listens, or the line above fails
    prompt = await voice.ask(house.centre, quiet, {})
    assert await voice.ask(house.centre, quiet, {}) == prompt
    said = await house.centre.db.read(
        lambda s: s.scalars(select(Message.text).where(Message.author == Author.CUSTOMER).order_by(Message.id)).all()
    )
    assert said == ["1"]


async def test_a_step_taken_twice_by_the_page_is_taken_once(house: House, patient: Handset) -> None:
    await patient.answer()
    call = (await patient.screen()).call
    assert call is not None
    for digits in ("1", "2", "1"):
        await house.client.post(f"{patient.url}/calls/{call.id}/next", json={"step": call.sequence, "digits": digits})
    said = await house.centre.db.read(
        lambda s: s.scalars(select(Message.text).where(Message.author == Author.CUSTOMER).order_by(Message.id)).all()
    )
    assert said == ["1"]


# ── somebody calls us ──


async def test_a_caller_is_greeted_and_served(house: House) -> None:
    phone = await Handset.of(house, CALLER)
    await phone.dial()
    assert "机器人" in "".join(await phone.heard())
    await phone.say("暖气两天不热了，也没人来修")
    assert await phone.heard()
    await phone.hang_up()
    conversation = await one(house, select(Conversation))
    assert (conversation.channel, conversation.state) == (ChannelName.VOICE, ConversationState.CLOSED)
    notes = await house.centre.db.read(
        lambda s: s.scalars(select(Message.text).where(Message.author == Author.SYSTEM).order_by(Message.seq)).all()
    )
    assert notes == ["客户来电", "客户已挂断电话"]


async def ring_and_say_nothing(phone: Handset) -> None:
    await phone.dial()
    for _ in range(4):
        await phone.silence()
    await phone.listen()
    assert await phone.state() is CallState.COMPLETED


async def test_a_silent_caller_hears_goodbye_and_is_asked_by_text_whether_we_should_call(house: House) -> None:
    phone = await Handset.of(house, CALLER)
    await ring_and_say_nothing(phone)
    call = await one(house, select(Conversation).where(Conversation.channel == ChannelName.VOICE))
    assert (call.state, call.wrap_up) == (ConversationState.CLOSED, SILENT)
    await house.settle()
    ((_, asked),) = await phone.texts()
    assert "我们没有听到声音。需要我们给您回电吗？" in asked
    await ring_and_say_nothing(phone)  # a pocket that calls again
    await house.settle()
    assert len(await phone.texts()) == 1
    await phone.text("1")
    await house.advance(seconds=5)  # a moment, in which more may be written
    said = select(Message.key).where(Message.channel == ChannelName.SMS, Message.author == Author.BOT)
    keys = await house.centre.db.read(lambda s: s.scalars(said.order_by(Message.id)).all())
    assert keys == ["utter_ask_silent_call", "utter_ask_callback_topic"]


async def test_a_silent_caller_at_night_or_who_wants_no_texts_is_not_written_to(house: House) -> None:
    await house.advance(hours=13)  # 23:00
    night = await Handset.of(house, CALLER)
    await ring_and_say_nothing(night)
    await house.advance(hours=12)
    assert await night.texts() == []
    assert (await one(house, select(Delivery.state))) in (DeliveryState.EXPIRED, DeliveryState.CANCELLED)
    phone = await Handset.of(house, "+8619900000102")
    await phone.text("退订")
    await ring_and_say_nothing(phone)
    written = select(Message.key).where(Message.channel == ChannelName.SMS, Message.author == Author.BOT)
    keys = await house.centre.db.read(lambda s: s.scalars(written).all())
    assert keys.count("utter_ask_silent_call") == 1  # the night's, which was never sent


async def test_a_caller_who_falls_silent_is_put_through(house: House) -> None:
    phone = await Handset.of(house, CALLER)
    await phone.dial()
    await phone.say("暖气不热")
    for _ in range(3):
        await phone.silence()
    held = await one(house, select(Conversation))
    assert (held.state, held.wrap_up) == (ConversationState.QUEUED, None)
    await phone.hang_up()
    assert await phone.texts() == []


async def test_the_star_repeats_and_english_speakers_hear_english(house: House) -> None:
    phone = await Handset.of(house, "+8619900000110")
    await phone.dial()
    (greeting,) = await phone.heard()
    assert "automated assistant" in greeting
    await phone.press("*")
    assert greeting in await phone.heard()


async def test_a_phone_in_a_call_is_busy_to_everybody_else(house: House) -> None:
    phone = await Handset.of(house, CALLER)
    await phone.dial()
    assert (await house.client.post(f"{phone.url}/dial", json={})).status_code == 409
    out = Outgoing(99, ChannelName.VOICE, CALLER, "…", Language.ZH)
    with pytest.raises(Rejected, match="busy"):
        await house.centre.channels[ChannelName.VOICE].send(out)


async def test_the_caller_talks_with_an_agent_who_writes(house: House) -> None:
    phone = await Handset.of(house, CALLER)
    await phone.dial()
    await phone.press("0")
    await phone.heard()
    held = await one(house, select(Conversation))
    if held.state is ConversationState.BOT:  # out of hours the bot asks whether we may call back
        pytest.fail("the clock stands in business hours")
    assert held.state is ConversationState.QUEUED

    def agent_writes(session: Any) -> None:
        staff_id = session.scalars(select(Staff.id).where(Staff.username == "agent")).one()
        session.execute(
            update(Conversation)
            .where(Conversation.id == held.id)
            .values(state=ConversationState.AGENT, staff_id=staff_id, claimed_at=house.clock.now())
        )
        row = conversations.hold(session, held.id)
        conversations.add_lines(
            session, row, Author.AGENT, [Say("您好，我是小满，请讲。")], house.clock.now(), staff_id=staff_id
        )
        conversations.add_lines(
            session, row, Author.AGENT, [Say("只给同事看")], house.clock.now(), staff_id=staff_id, private=True
        )
        conversations.save(session, row)

    await house.centre.db.write(agent_writes)
    await phone.silence()
    assert await phone.heard() == ["您好，我是小满，请讲。"]
    await phone.say("我家在3-1-201")
    assert await phone.heard() == []
    said = await house.centre.db.read(
        lambda s: s.scalars(select(Message.text).where(Message.author == Author.CUSTOMER).order_by(Message.id)).all()
    )
    assert said[-1] == "我家在3-1-201"
    await phone.hang_up()
    assert (await one(house, select(Conversation))).state is ConversationState.AGENT

    await phone.dial()  # rings again: the same conversation goes on
    await phone.silence()
    assert len(await house.centre.db.read(lambda s: s.scalars(select(Conversation)).all())) == 1


async def test_nobody_waits_for_ever(house: House) -> None:
    phone = await Handset.of(house, CALLER)
    await phone.dial()
    await phone.press("0")
    conversation = await one(house, select(Conversation))
    url = door(conversation=conversation.id, turn=conversation.seq, silent=speech.WAITS)
    passage = play(await voice.ask(house.centre, url, {}))
    assert (passage.then, "给您回电" in passage.heard[0].text) == (Over(), True)
    assert (await one(house, select(Conversation))).state is ConversationState.QUEUED
    assert (await one(house, select(Callback))).due_at == house.clock.now() + waiting.SOON


async def test_press_1_and_we_call_back_and_the_place_is_kept(house: House) -> None:
    phone = await Handset.of(house, CALLER)
    await phone.dial()
    await phone.press("0")
    waited = await one(house, select(Conversation))
    still = door(conversation=waited.id, turn=waited.seq, silent=speech.PATIENCE - 1)
    document = await voice.ask(house.centre, still, {})
    assert [h.text for h in play(document).heard] == [waiting.NOBODY]
    ear = play(document).then
    assert isinstance(ear, Gather)
    goodbye = await voice.ask(house.centre, ear.url, {"Digits": "1"})
    assert play(goodbye).then == Over()
    assert await voice.ask(house.centre, ear.url, {"Digits": "1"}) == goodbye
    await phone.hang_up()
    assert (await one(house, select(Conversation))).state is ConversationState.QUEUED
    assert (await one(house, select(Callback))).dedupe_key == f"waited:{waited.id}"
    await house.advance(minutes=11)
    assert await phone.state() is CallState.RINGING
    await phone.answer()
    await phone.press("1")  # it is a good moment
    await phone.listen()
    query = select(Conversation).where(Conversation.state == ConversationState.QUEUED)
    again = await one(house, query)
    assert (again.id != waited.id, again.queued_at) == (True, waited.queued_at)


async def test_who_waits_hears_their_place(house: House) -> None:
    for number in (PATIENT, CALLER):
        phone = await Handset.of(house, number)
        await phone.dial()
        await phone.press("0")
        house.clock.advance(timedelta(seconds=1))
    await house.centre.db.write(
        lambda s: s.execute(update(Staff).where(Staff.username == "agent").values(presence=Presence.ONLINE))
    )
    waiting_now = await house.centre.db.read(lambda s: s.scalars(select(Conversation).order_by(Conversation.id)).all())
    for each, place in zip(waiting_now, ("下一位就是您。", "您前面还有1位。"), strict=True):
        still = door(conversation=each.id, turn=each.seq, silent=speech.PATIENCE - 1)
        (heard,) = play(await voice.ask(house.centre, still, {})).heard
        assert heard.text == f"{place} {waiting.OFFER}"


async def test_a_hidden_number_that_waits_is_offered_no_call(house: House) -> None:
    document = await voice.ask(house.centre, DOOR, {"From": "anonymous", "CallSid": "CA1"})
    ear = play(document).then
    assert isinstance(ear, Gather)
    await voice.ask(house.centre, ear.url, {"Digits": "0"})
    held = await one(house, select(Conversation))
    for waited, said in ((speech.PATIENCE - 1, speech.STILL_THERE), (speech.WAITS, voicemail.SPEAK)):
        url = door(conversation=held.id, turn=held.seq, silent=waited)
        assert [h.text for h in play(await voice.ask(house.centre, url, {})).heard] == [said]
    await voice.ask(house.centre, door(conversation=held.id, turn=held.seq), {"Digits": "1"})
    assert await house.centre.db.read(lambda s: s.scalars(select(Callback)).all()) == []


async def test_a_hidden_number_is_served(house: House) -> None:
    document = await voice.ask(house.centre, DOOR, {"From": "anonymous", "CallSid": "CA1"})
    assert isinstance(play(document).then, Gather)
    assert await voice.ask(house.centre, DOOR, {"From": "anonymous", "CallSid": "CA1"}) == document


@pytest.mark.parametrize(
    "url",
    [
        DOOR,
        door(conversation=999999, turn=1),
        door(conversation=999999, turn=1, silent=0),
        DOOR + "?conversation=x",
        DOOR + "?delivery=-1",
        DOOR + "?delivery=" + "9" * 40,
    ],
)
async def test_addresses_this_door_never_gave_out_are_refused(house: House, url: str) -> None:
    with pytest.raises(BadCallError):
        await voice.ask(house.centre, url, {"Digits": "1"})


async def test_a_delivery_nobody_knows_hangs_up(house: House) -> None:
    assert play(await voice.ask(house.centre, door(delivery=999999), {})).then == Over()


# ── texts ──


async def test_texts_arrive_once_and_are_answered_once(house: House) -> None:
    phone = await Handset.of(house, CALLER)
    await phone.text("你们几点上班", client_id="a1")
    await phone.text("你们几点上班", client_id="a1")
    for _ in range(3):  # one text a second
        await house.advance(seconds=1)
        await asyncio.sleep(1.05)
    texts = await phone.texts()
    assert [direction for direction, _ in texts].count("in") == 1
    assert any("09:00" in text for direction, text in texts if direction == "out")
    states = await house.centre.db.read(
        lambda s: s.scalars(select(Delivery.state).where(Delivery.channel == ChannelName.SMS)).all()
    )
    assert set(states) == {DeliveryState.DELIVERED}


async def test_a_text_that_says_stop_ends_marketing(house: House) -> None:
    phone = await Handset.of(house, CALLER)
    await phone.text("退订")
    await house.advance(seconds=1)
    assert [direction for direction, _ in await phone.texts()][-1] == "out"


async def test_a_delivery_sent_twice_arrives_once(house: House) -> None:
    channel = house.centre.channels[ChannelName.SMS]
    out = Outgoing(77, ChannelName.SMS, CALLER, "停暖通知", Language.ZH)
    assert await channel.send(out) == await channel.send(out)
    assert await (await Handset.of(house, CALLER)).texts() == [("out", "停暖通知")]


# ── what a crash leaves ──


async def test_a_call_whose_answer_was_lost_is_found(house: House, patient: Handset) -> None:
    """The worker died between ringing and writing it down: the exchange knows."""
    row = await delivery(house)

    def lost(session: Any) -> None:
        session.execute(
            update(Delivery)
            .where(Delivery.id == row.id)
            .values(state=DeliveryState.UNKNOWN, provider_id=None, changed_at=house.clock.now() - timedelta(minutes=2))
        )

    await house.centre.db.write(lost)
    await house.heartbeat._sweep()
    assert (await delivery(house)).state is DeliveryState.ACCEPTED
    await patient.answer()
    assert await patient.heard()


async def test_what_never_rang_is_known_not_to_have(house: House) -> None:
    def put(session: Any) -> None:
        contact = session.scalars(select(Contact).limit(1)).one()
        address = session.scalars(
            select(Address).where(Address.contact_id == contact.id, Address.channel == ChannelName.SMS)
        ).one()
        delivery_id = outbox.put(
            session,
            dedupe_key="lost",
            purpose=Purpose.SERVICE_NOTICE,
            channel=ChannelName.SMS,
            address_id=address.id,
            contact_id=contact.id,
            text="…",
            language=Language.ZH,
            now=house.clock.now(),
        )
        session.execute(
            update(Delivery)
            .where(Delivery.id == delivery_id)
            .values(state=DeliveryState.UNKNOWN, attempt=1, changed_at=house.clock.now() - timedelta(minutes=2))
        )

    await house.centre.db.write(put)
    await house.heartbeat._sweep()
    row = await one(house, select(Delivery))
    assert (row.state, row.error) == (DeliveryState.FAILED, "not sent")


# ── callees ──


@pytest.mark.parametrize(
    ("manner", "disposition"),
    [
        (Manner.ANSWERS, Disposition.COMPLETED),
        (Manner.SILENT, Disposition.NO_ANSWER),
        (Manner.BUSY, Disposition.BUSY),
        (Manner.AWAY, Disposition.NO_ANSWER),
        (Manner.MACHINE, Disposition.MACHINE),
    ],
)
async def test_callees_take_calls_as_they_are_told(
    house: House, patient: Handset, manner: Manner, disposition: Disposition
) -> None:
    callees = Callees({manner: 1}, keys=("1", "5", "2"))
    for _ in range(20):
        if not await play_callees(house.centre, callees):
            break
    assert await patient.state() not in (CallState.RINGING, CallState.IN_PROGRESS)
    assert (await one(house, select(CallAttempt))).disposition is disposition


def test_callees_are_the_same_for_the_same_seed_and_mixed_as_weighed() -> None:
    callees = Callees(seed=7)
    manners = [callees.manner(f"phone-{n}", 0) for n in range(2000)]
    assert manners == [Callees(seed=7).manner(f"phone-{n}", 0) for n in range(2000)]
    assert manners != [Callees(seed=8).manner(f"phone-{n}", 0) for n in range(2000)]
    for manner, weight in callees.mix.items():
        assert abs(manners.count(manner) / 20 - weight) < 4


async def test_callees_do_not_wait_on_hold_for_ever(house: House) -> None:
    contact_id = await house.centre.db.read(
        lambda s: s.scalars(select(Contact.id).where(Contact.name == "赵春生")).one()
    )

    def wish(session: Any) -> None:
        book(session, house.centre, contact_id, dedupe_key="wish", wish=None, topic="发票", now=house.clock.now())

    await house.centre.db.write(wish)
    await house.advance(minutes=1)
    phone = await Handset.of(house, CALLER)
    callees = Callees({Manner.ANSWERS: 1}, keys=("1",))
    for _ in range(PATIENCE + 5):
        await play_callees(house.centre, callees)
    assert await phone.state() is CallState.COMPLETED
    assert (await one(house, select(CallAttempt))).disposition is Disposition.ESCALATED
