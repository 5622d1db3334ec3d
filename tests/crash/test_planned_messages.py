"""kill -9 between a planned message falling due and the carrier's word on it: the person reads it once."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from bot.core.plan import Trigger
from bot.core.words import Author, ChannelName, DeliveryState, Language
from bot.services import contacts
from bot.services.plans import followups, happenings
from bot.services.plans.planning import Occurrence
from store.tables import Delivery, Message, PlannedMessage, PlannedState
from tests.crash.conftest import outlives
from tests.fakes.house import House
from tests.fakes.process import Dies, Hotline
from tests.fakes.twilio import Twilio

NUMBER = "+8619900000101"
SEND = "bot.channels.twilio.carrier:TwilioCarrier.send_sms"
CLAIMED = Dies(SEND)
MOMENTS = {
    "decided": Dies("bot.services.plans.planned_messages:end", done=True),  # not committed
    "queued": Dies("bot.services.delivery.dispatch:_take"),
    "claimed": CLAIMED,
    "sent": Dies(SEND, done=True),
    "accepted": Dies("bot.services.delivery.sending:Sender.send_all", done=True),
}


async def said_once(house: House, twilio: Twilio, program: Hotline, dies: Dies, word: str) -> None:
    """The program dies while it says what is due now; the house goes on."""
    await outlives(house, program, dies)
    twilio.client = house.client
    await twilio.play()
    await house.advance(hours=1)
    texts = [message["body"] for message in twilio.messages if message["to"] == NUMBER]
    # Twilio, asked, knows of none: a notice that may have been read all the same is not repeated (DESIGN §4).
    left = 0 if dies is CLAIMED else 1
    assert [word in text for text in texts] == [True] * left

    def look(session: Session) -> None:
        told = session.scalars(select(PlannedMessage).where(PlannedMessage.state == PlannedState.SAID)).one()
        delivery = session.scalars(select(Delivery).where(Delivery.channel == ChannelName.SMS)).one()
        assert delivery.conversation_id == told.conversation_id
        assert delivery.state is (DeliveryState.DELIVERED if left else DeliveryState.UNKNOWN)
        assert len(session.scalars(select(Message).where(Message.author == Author.BOT)).all()) == 1

    await house.centre.db.read(look)


@pytest.mark.parametrize("dies", MOMENTS.values(), ids=MOMENTS)
async def test_upkeep_is_reminded_of_once_and_comes_again_once(
    house: House, twilio: Twilio, program: Hotline, dies: Dies
) -> None:
    now = house.clock.now()
    bought = Occurrence("shop", "P1", Trigger.PRODUCT_BOUGHT, NUMBER, "王秀英", now, details={"product": "净水器"})
    await house.centre.db.write(lambda s: followups.record(s, house.centre, bought, now))
    house.clock.advance(timedelta(days=180, hours=5))
    await said_once(house, twilio, program, dies, "净水器")
    states = select(PlannedMessage.state).order_by(PlannedMessage.id)
    planned = await house.centre.db.read(lambda s: s.scalars(states).all())
    assert planned == [PlannedState.SAID, PlannedState.SCHEDULED]


@pytest.mark.parametrize("moment", ["decided", "sent"])
async def test_a_birthday_is_wished_once(house: House, twilio: Twilio, program: Hotline, moment: str) -> None:
    def agreed(session: Session) -> None:
        now = house.clock.now()
        known = contacts.meet(session, ChannelName.SMS, NUMBER, language=Language.ZH, zone="Asia/Shanghai", now=now)
        told = {"name": "王秀英", "title": "王女士", "birthday": f"{now:%m-%d}"}
        contacts.learn(session, known.contact_id, told, now=now, why="test")
        contacts.consent(session, known.contact_id, "marketing", True, "test", now)

    await house.centre.db.write(agreed)
    await happenings.look(house.centre)
    house.clock.advance(timedelta(hours=5))
    await said_once(house, twilio, program, MOMENTS[moment], "生日")
