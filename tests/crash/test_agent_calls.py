"""kill -9 around an agent's telephone: it rings once, nobody is called twice, and nobody is forgotten in the queue."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import httpx
import pytest
from sqlalchemy import select, update
from sqlalchemy.orm import Session

from bot.core.plan import Rings
from bot.core.words import (
    CallbackState,
    ChannelName,
    ConversationState,
    DeliveryState,
    FollowUpGroup,
    Presence,
    Purpose,
)
from bot.services.calls import unreported
from bot.services.calls.agent_phones import OVER
from bot.services.escalation import roster
from bot.services.plans import followups
from bot.services.plans.planning import Occurrence
from store.tables import CallAttempt, Callback, Conversation, Delivery, NumberKind, Staff
from tests.crash.conftest import outlives
from tests.fakes.house import House
from tests.fakes.process import Dies, Hotline
from tests.fakes.twilio import Callee, Twilio

CALLER, OTHER, PATIENT = "+8619900000101", "+8619900000102", "+8619900000107"
AGENT = "+8613900008001"
AFTERNOON = timedelta(hours=4.5)  # the first window
PLACE = "bot.channels.twilio.carrier:TwilioCarrier.place_call"
LEGS = select(Delivery).where(Delivery.purpose == Purpose.STAFF_ALERT, Delivery.channel == ChannelName.VOICE)


def online(session: Session, house: House) -> int:
    """An agent comes, with a telephone."""
    agent = session.scalars(select(Staff).where(Staff.username == "agent")).one()
    agent.presence = Presence.ONLINE
    zone, now = house.centre.settings.timezone, house.clock.now()
    roster.set_number(session, agent.id, NumberKind.MOBILE, AGENT, zone=zone, now=now, by_staff_id=None)
    return agent.id


def owe(session: Session, house: House) -> None:
    """A callback that rings an agent first, and falls due this afternoon."""
    now = house.clock.now()
    what = Occurrence("visits", "V1", FollowUpGroup.VISITED_NO_PURCHASE, PATIENT, "郑晓霜", now, title="女士")
    followups.record(session, house.centre, what, now)
    session.execute(update(Callback).values(flags=[Rings.AGENT_FIRST.value]))


async def legs(house: House) -> list[tuple[DeliveryState, str | None]]:
    rows = await house.centre.db.read(lambda s: s.scalars(LEGS.order_by(Delivery.id)).all())
    return [(row.state, row.error) for row in rows]


@pytest.mark.parametrize(
    "dies",
    [
        Dies("bot.services.calls.agent_first:ring", done=True),  # written down, not committed
        Dies("bot.services.delivery.dispatch:_take"),
        Dies(PLACE),
        Dies(PLACE, done=True),
        Dies("bot.services.delivery.sending:Sender.send_all", done=True),
    ],
    ids=["decided", "queued", "claimed", "placed", "ringing"],
)
async def test_an_agent_is_rung_for_a_callback(house: House, twilio: Twilio, program: Hotline, dies: Dies) -> None:
    twilio.callees |= {AGENT: Callee(keys=("1",)), PATIENT: Callee()}
    await house.centre.db.write(lambda s: [online(s, house), owe(s, house)])
    house.clock.advance(AFTERNOON)
    await outlives(house, program, dies)
    assert [call["to"] for call in twilio.calls] == [AGENT]
    twilio.client, twilio.clock = house.client, house.clock.machine
    await twilio.play()
    await house.advance(hours=1)
    assert twilio.refused == []
    assert [call["to"] for call in twilio.calls] == [AGENT]
    assert twilio.dialled == [PATIENT]
    assert await legs(house) == [(DeliveryState.HEARD, None)]
    attempts = await house.centre.db.read(lambda s: s.scalars(select(CallAttempt)).all())
    assert len(attempts) == 1
    assert (await house.centre.db.read(lambda s: s.scalars(select(Callback)).one())).state is CallbackState.DONE


async def test_an_agent_who_was_rung_while_we_were_gone_is_rung_again(
    house: House, twilio: Twilio, program: Hotline
) -> None:
    """They answered and heard nothing, and nobody told us: the callback waits for nobody."""
    twilio.callees |= {AGENT: Callee(keys=("1",)), PATIENT: Callee()}
    await house.centre.db.write(lambda s: [online(s, house), owe(s, house)])
    house.clock.advance(AFTERNOON)
    rings = Dies("bot.services.delivery.sending:Sender.send_all", done=True)
    await asyncio.to_thread(program.serve, at=house.clock.now(), dies=rings)
    await asyncio.to_thread(program.died)
    twilio.calls[0]["status"] = "completed"
    house.clock.set(program.now())
    await house.recover()
    await house.advance(minutes=4)
    assert await unreported.look(house.centre) == 1
    assert await legs(house) == [(DeliveryState.HEARD, None)]
    await house.settle()
    twilio.client, twilio.clock = house.client, house.clock.machine
    await twilio.play()
    assert [call["to"] for call in twilio.calls] == [AGENT, AGENT]
    assert twilio.dialled == [PATIENT]
    assert (await house.centre.db.read(lambda s: s.scalars(select(Callback)).one())).state is CallbackState.DONE


PUT = Dies("bot.services.calls.voice:render", nth=2)  # committed, and the caller's call never hears of it
RINGING = Dies("bot.services.calls.switchboard:Desk.call", done=True)
TAKEN = Dies("bot.services.calls.agent_legs:pressed", done=True)  # not committed


@pytest.mark.parametrize(
    ("dies", "told"),
    [(PUT, ""), (RINGING, "late"), (RINGING, ""), (TAKEN, "late"), (TAKEN, "when asked"), (TAKEN, "")],
    ids=["put", "ringing-told", "ringing", "taken-told", "taken-asked", "taken"],
)
async def test_an_agent_is_rung_for_a_caller(
    house: House, twilio: Twilio, program: Hotline, dies: Dies, told: str
) -> None:
    """The carrier ends a call whose next step it cannot ask for; it may be unable to tell us that, or to be asked."""
    twilio.callees[AGENT] = Callee(keys=("1",))
    await house.centre.db.write(lambda s: online(s, house))
    await asyncio.to_thread(program.serve, at=house.clock.now(), dies=dies)
    voice = f"{program.address}/twilio/voice"
    async with httpx.AsyncClient(timeout=60) as twilio.client:
        with pytest.raises(httpx.TransportError):
            await twilio.call_in(CALLER, voice, "0", "", "")
    await asyncio.to_thread(program.died)
    house.clock.set(program.now())
    twilio.client = house.client
    if told == "late":
        over = {"CallSid": "CA" + "f" * 32, "CallStatus": "completed", "From": CALLER, "SequenceNumber": "0"}
        await twilio.post(f"{program.address}/twilio/status", over)
    await house.recover()
    await house.advance(minutes=4)
    if told == "when asked":
        assert await unreported.look(house.centre) == 2
        assert await unreported.look(house.centre) == 0
    assert twilio.bridged == []
    assert not told or all(state in OVER for state, _ in await legs(house))

    await twilio.call_in(OTHER, voice, "0", "", "", sid="CA" + "e" * 32)  # the line is free for whoever calls next
    assert twilio.refused == []
    assert twilio.bridged == [AGENT]
    await house.advance(minutes=4)
    await twilio.call_in(CALLER, voice, "", "", sid="CA" + "d" * 32)  # and whoever waited has their place still
    assert twilio.bridged == [AGENT, AGENT]
    held = await house.centre.db.read(lambda s: s.scalars(select(Conversation).order_by(Conversation.id)).all())
    assert [each.state for each in held] == [ConversationState.AGENT] * 2
    assert twilio.calls == []
