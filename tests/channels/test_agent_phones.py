"""Calls to agents' own telephones: a caller is connected, or a callback rings the agent before the customer."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from sqlalchemy import select, update

from bot.core.plan import Rings
from bot.core.telephone import CallState
from bot.core.words import (
    Author,
    CallbackState,
    ChannelName,
    ConversationState,
    DeliveryState,
    Disposition,
    FollowUpGroup,
    Presence,
    Purpose,
)
from bot.services import contacts
from bot.services.escalation import roster
from bot.services.plans import followups
from bot.services.plans.planning import Occurrence
from bot.settings import Settings
from store.tables import CallAttempt, Callback, Conversation, Delivery, Message, NumberKind, Staff
from tests.channels.conftest import WithAccount
from tests.fakes.handset import Handset
from tests.fakes.house import House
from tests.fakes.twilio import Callee, Twilio

PUBLIC = "https://hotline.example"
VOICE = f"{PUBLIC}/twilio/voice"
CALLER, PATIENT = "+8619900000101", "+8619900000107"
FIRST, SECOND = "+8613900008001", "+8613900008002"


async def all_of(house: House, query: Any) -> list[Any]:
    return await house.centre.db.read(lambda s: list(s.scalars(query)))


async def one(house: House, query: Any) -> Any:
    (found,) = await all_of(house, query)
    return found


def come(house: House, session: Any, username: str, number: str) -> int:
    """A colleague comes online with a telephone."""
    person = session.scalars(select(Staff).where(Staff.username == username)).one()
    person.presence = Presence.ONLINE
    zone, now = house.centre.settings.timezone, house.clock.now()
    roster.set_number(session, person.id, NumberKind.MOBILE, number, zone=zone, now=now, by_staff_id=None)
    return int(person.id)


async def online(house: House, **phones: str) -> list[int]:
    return [
        await house.centre.db.write(lambda s, u=username, n=number: come(house, s, u, n))
        for username, number in phones.items()
    ]


async def owed(house: House, rings: Rings = Rings.AGENT_FIRST, diary: int | None = None) -> None:
    """A callback that rings an agent first, or the customer for one, in its first window."""
    now = house.clock.now()
    what = Occurrence("visits", "V1", FollowUpGroup.VISITED_NO_PURCHASE, PATIENT, "郑晓霜", now, title="女士")
    await house.centre.db.write(lambda s: followups.record(s, house.centre, what, now))
    await house.centre.db.write(lambda s: s.execute(update(Callback).values(flags=[rings.value], staff_id=diary)))
    await house.advance(hours=4.5)


async def legs(house: House) -> list[tuple[DeliveryState, str | None]]:
    rows = await all_of(
        house,
        select(Delivery)
        .where(Delivery.purpose == Purpose.STAFF_ALERT, Delivery.channel == ChannelName.VOICE)
        .order_by(Delivery.id),
    )
    return [(row.state, row.error) for row in rows]


class TestSandbox:
    async def test_a_caller_is_connected_once_the_agent_presses_1(self, house: House) -> None:
        (agent_id,) = await online(house, agent=FIRST)
        caller, agent = await Handset.of(house, CALLER), await Handset.of(house, FIRST)
        await caller.dial()
        await caller.say("暖气不热")
        await caller.press("0")
        await caller.heard()
        await caller.silence()
        assert "正在为您接通客服" in "".join(await caller.heard())
        await caller.silence()  # heard out: the agent's telephone rings
        assert await agent.state() is CallState.RINGING
        await agent.answer()
        told = "".join(await agent.heard())
        assert "按1" in told
        assert "暖气不热" in told
        await agent.press("1")
        conversation = await one(house, select(Conversation))
        assert (conversation.state, conversation.staff_id) == (ConversationState.AGENT, agent_id)
        await agent.say("您好，我是小满")
        await caller.say("您好")
        lines = (await caller.screen()).call
        assert lines is not None
        assert lines.script["lines"][-2:] == [
            {"who": "peer", "text": "您好，我是小满"},
            {"who": "you", "text": "您好"},
        ]
        await agent.hang_up()
        assert any("感谢您的来电" in line for line in await caller.heard())
        await caller.listen()
        assert await caller.state() is CallState.COMPLETED
        assert await legs(house) == [(DeliveryState.HEARD, None)]
        notes = await all_of(house, select(Message.text).where(Message.author == Author.SYSTEM).order_by(Message.seq))
        assert notes[-2:] == ["客服已挂断电话", "客户已挂断电话"]
        assert (await one(house, select(Conversation))).state is ConversationState.AGENT  # to be wrapped up

    async def test_one_who_declines_passes_it_to_the_next_and_then_the_caller_chooses(self, house: House) -> None:
        await online(house, agent=FIRST, leader=SECOND)
        caller = await Handset.of(house, CALLER)
        await caller.dial()
        await caller.press("0")
        await caller.silence()
        await caller.silence()
        first = await Handset.of(house, FIRST)
        await first.hang_up()  # declines while it rings
        await caller.silence()
        second = await Handset.of(house, SECOND)
        assert await second.state() is CallState.RINGING
        await second.answer()
        await second.press("2")
        await second.listen()
        await caller.listen()
        assert "请按1，我们给您回电" in "".join(await caller.heard())
        assert await legs(house) == [(DeliveryState.FAILED, "busy"), (DeliveryState.HEARD, None)]
        await caller.press("1")
        await caller.listen()
        assert (await one(house, select(Conversation))).state is ConversationState.QUEUED
        assert (await one(house, select(Callback))).state is CallbackState.SCHEDULED

    async def test_a_caller_who_hangs_up_stops_the_ringing(self, house: House) -> None:
        await online(house, agent=FIRST)
        caller, agent = await Handset.of(house, CALLER), await Handset.of(house, FIRST)
        await caller.dial()
        await caller.press("0")
        await caller.silence()
        await caller.silence()
        await caller.hang_up()
        assert await agent.state() is CallState.CANCELED
        assert await legs(house) == [(DeliveryState.FAILED, "canceled")]
        assert (await one(house, select(Conversation))).state is ConversationState.QUEUED

    async def test_the_agent_first_then_the_customer(self, house: House) -> None:
        await online(house, agent=FIRST)
        await owed(house)
        agent, patient = await Handset.of(house, FIRST), await Handset.of(house, PATIENT)
        assert (await agent.state(), await patient.state()) == (CallState.RINGING, None)
        await agent.answer()
        assert "郑女士" in "".join(await agent.heard())
        await agent.press("1")
        await agent.silence()
        assert await patient.state() is CallState.RINGING
        await patient.answer()
        conversation = await one(house, select(Conversation))
        assert (conversation.state, conversation.callback_id is not None) == (ConversationState.AGENT, True)
        await agent.say("您好，这里是云栖")
        await patient.hang_up()
        assert any("通话结束" in line for line in await agent.heard())
        callback = await one(house, select(Callback))
        assert (callback.state, callback.disposition) == (CallbackState.DONE, Disposition.COMPLETED)
        assert (await one(house, select(CallAttempt))).rang

    async def test_whoever_has_it_in_their_diary_is_rung_before_others(self, house: House) -> None:
        _, second = await online(house, agent=FIRST, agent2=SECOND)
        await owed(house, diary=second)
        others, theirs = await Handset.of(house, FIRST), await Handset.of(house, SECOND)
        assert (await others.state(), await theirs.state()) == (None, CallState.RINGING)

    async def test_the_customer_first_is_put_through_at_once(self, house: House) -> None:
        await online(house, agent=FIRST)
        await owed(house, Rings.CUSTOMER_FIRST)
        agent, patient = await Handset.of(house, FIRST), await Handset.of(house, PATIENT)
        assert (await agent.state(), await patient.state()) == (None, CallState.RINGING)
        await patient.answer()
        assert "给您回电" in "".join(await patient.heard())
        await patient.silence()
        await patient.silence()
        assert await agent.state() is CallState.RINGING
        await agent.answer()
        await agent.say("接听")
        assert (await one(house, select(Conversation))).state is ConversationState.AGENT
        await patient.hang_up()
        assert await agent.state() is CallState.COMPLETED
        assert (await one(house, select(CallAttempt))).disposition is Disposition.ESCALATED


class TestTwilio:
    @pytest.fixture
    def settings(self, with_account: WithAccount) -> Settings:
        return with_account(PUBLIC)

    @pytest.fixture
    async def phone(self, house: House, twilio: Twilio) -> House:
        twilio.client, twilio.clock = house.client, house.centre.clock.machine
        return house

    @pytest.mark.parametrize("chaos", [False, True])
    async def test_a_caller_goes_from_agent_to_agent_until_one_takes_it(
        self, phone: House, twilio: Twilio, chaos: bool
    ) -> None:
        twilio.chaos = chaos
        ids = await online(phone, agent=FIRST, leader=SECOND)
        twilio.callees |= {FIRST: Callee("no-answer"), SECOND: Callee(keys=("1",))}
        await twilio.call_in(CALLER, VOICE, "0", "")
        assert twilio.refused == []
        assert (twilio.dialled, twilio.bridged) == ([FIRST, SECOND], [SECOND])
        assert await legs(phone) == [(DeliveryState.FAILED, "no_answer"), (DeliveryState.HEARD, None)]
        conversation = await one(phone, select(Conversation))
        assert (conversation.state, conversation.staff_id) == (ConversationState.AGENT, ids[1])
        await phone.advance(minutes=1)
        assert (twilio.calls, twilio.messages) == ([], [])

    async def test_a_silent_whisper_connects_nobody(self, phone: House, twilio: Twilio) -> None:
        await online(phone, agent=FIRST)
        twilio.callees[FIRST] = Callee(keys=("", "", ""))
        await twilio.call_in(CALLER, VOICE, "0", "")
        assert twilio.bridged == []
        assert (await one(phone, select(Conversation))).state is ConversationState.QUEUED
        assert "请按1，我们给您回电" in "".join(twilio.heard[CALLER])

    @pytest.mark.parametrize("chaos", [False, True])
    @pytest.mark.parametrize(
        ("callee", "ends"),
        [
            (Callee(), Disposition.COMPLETED),
            (Callee("busy"), Disposition.BUSY),
            (Callee("no-answer"), Disposition.NO_ANSWER),
            (Callee("failed", sip="404"), Disposition.INVALID_NUMBER),
        ],
        ids=["answers", "busy", "no-answer", "invalid"],
    )
    async def test_what_becomes_of_a_customer_an_agent_calls(
        self, phone: House, twilio: Twilio, callee: Callee, ends: Disposition, chaos: bool
    ) -> None:
        twilio.chaos = chaos
        await online(phone, agent=FIRST)
        twilio.callees |= {FIRST: Callee(keys=("1",)), PATIENT: callee}
        await owed(phone)
        assert [call["to"] for call in twilio.calls] == [FIRST]
        await twilio.play()
        assert twilio.refused == []
        assert twilio.dialled == [PATIENT]
        attempt = await one(phone, select(CallAttempt))
        assert attempt.disposition is ends
        if ends is Disposition.COMPLETED:
            assert (await one(phone, select(Callback))).state is CallbackState.DONE
            await phone.advance(hours=1)
            assert len(twilio.calls) == 1

    async def test_an_agent_who_does_not_come_is_passed_over(self, phone: House, twilio: Twilio) -> None:
        await online(phone, agent=FIRST, leader=SECOND)
        twilio.callees |= {FIRST: Callee("no-answer"), SECOND: Callee(keys=("2",))}
        await owed(phone)
        for _ in range(3):
            await twilio.play()
            await asyncio.sleep(1.1)  # one call a second leaves
            await phone.advance(seconds=1)
        assert [call["to"] for call in twilio.calls] == [FIRST, SECOND]
        assert twilio.dialled == []
        assert (await one(phone, select(Callback))).state is CallbackState.SCHEDULED
        assert await all_of(phone, select(CallAttempt)) == []

    async def test_the_gate_is_asked_again_before_the_customer_is_dialled(self, phone: House, twilio: Twilio) -> None:
        await online(phone, agent=FIRST)
        twilio.callees[FIRST] = Callee(keys=("1",))
        await owed(phone)
        callback = await one(phone, select(Callback))
        now = phone.clock.now()
        await phone.centre.db.write(
            lambda s: contacts.consent(s, callback.contact_id, contacts.EVERYTHING, False, "test", now)
        )
        await twilio.play()
        assert twilio.dialled == []
        await phone.advance(seconds=1)
        assert (await one(phone, select(Callback))).disposition is Disposition.OPTED_OUT

    async def test_an_agent_who_answers_before_we_know_that_it_rang_is_put_through(
        self, phone: House, twilio: Twilio
    ) -> None:
        """Twilio's answer was lost, its call was not."""
        await online(phone, agent=FIRST)
        twilio.callees |= {FIRST: Callee(keys=("1",)), PATIENT: Callee()}
        twilio.faults = ["lost"]
        await owed(phone)
        await twilio.play()
        await phone.advance(minutes=10)
        assert twilio.refused == []
        assert [call["to"] for call in twilio.calls] == [FIRST]
        assert twilio.dialled == [PATIENT]
        assert (await one(phone, select(Callback))).disposition is Disposition.COMPLETED

    @pytest.mark.parametrize("fault", ["429", "500", "lost-before"])
    async def test_a_carrier_in_trouble_keeps_the_leg_and_rings_once(
        self, phone: House, twilio: Twilio, fault: str
    ) -> None:
        """Nothing rang: the agent is rung as soon as the carrier takes calls again, and once."""
        await online(phone, agent=FIRST)
        twilio.callees |= {FIRST: Callee(keys=("1",)), PATIENT: Callee()}
        twilio.faults = [fault]
        await owed(phone)
        for _ in range(12):
            if twilio.calls:
                break
            await asyncio.sleep(1.1)  # one call a second leaves
            await phone.advance(minutes=1)
        await twilio.play()
        await phone.advance(minutes=10)
        assert twilio.refused == []
        assert [call["to"] for call in twilio.calls] == [FIRST]
        assert twilio.dialled == [PATIENT]
        assert (await one(phone, select(Callback))).disposition is Disposition.COMPLETED

    async def test_nobody_free_means_later_not_never(self, phone: House, twilio: Twilio) -> None:
        await owed(phone)
        assert twilio.calls == []
        await online(phone, agent=FIRST)
        await phone.advance(minutes=3)
        assert [call["to"] for call in twilio.calls] == [FIRST]


class TestAnsweringMachines:
    """Found out while the call is up: a person hears the first word at once."""

    settings = TestTwilio.settings
    phone = TestTwilio.phone

    @pytest.fixture
    async def called(self, phone: House) -> None:
        now = phone.clock.now()
        what = Occurrence("visits", "V1", FollowUpGroup.VISITED_NO_PURCHASE, PATIENT, "郑晓霜", now, title="女士")
        await phone.centre.db.write(lambda s: followups.record(s, phone.centre, what, now))
        await phone.advance(hours=4.5)

    @pytest.mark.usefixtures("called")
    @pytest.mark.parametrize("chaos", [False, True])
    async def test_a_machine_ends_the_talk(self, phone: House, twilio: Twilio, chaos: bool) -> None:
        twilio.chaos = chaos
        twilio.callees[PATIENT] = Callee("machine")
        (call,) = twilio.calls
        assert call["_given"]["AsyncAmd"] == "true"
        await twilio.play()
        assert twilio.refused == []
        assert (await one(phone, select(CallAttempt))).disposition is Disposition.MACHINE
        assert (await one(phone, select(Conversation))).state is ConversationState.CLOSED

    @pytest.mark.usefixtures("called")
    async def test_somebody_who_presses_a_key_is_a_person_whatever_is_found(self, phone: House, twilio: Twilio) -> None:
        twilio.callees[PATIENT] = Callee(keys=("1", "5", "没有"), taken_for="machine_start")
        await twilio.play()
        attempt = await one(phone, select(CallAttempt))
        assert (attempt.disposition, attempt.answered_by) == (Disposition.COMPLETED, "human")

    @pytest.mark.usefixtures("called")
    async def test_a_verdict_after_the_call_changes_nothing(self, phone: House, twilio: Twilio) -> None:
        twilio.callees[PATIENT] = Callee(keys=("1", "5", "没有"))
        await twilio.play()
        (call,) = twilio.calls
        late = {"CallSid": call["sid"], "AnsweredBy": "machine_start"}
        await twilio.post(call["_given"]["AsyncAmdStatusCallback"], late)
        assert (await one(phone, select(CallAttempt))).disposition is Disposition.COMPLETED
        assert "_turned" not in call
