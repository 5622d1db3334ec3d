"""kill -9 around a call that brings somebody of the staff an alert: it rings once, and the ladder goes on."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from bot.core.words import CaseKind, ChannelName, EscalationState, Language, Urgency
from bot.services import contacts
from bot.services.casework import cases
from bot.services.escalation import roster
from store.tables import AuditEntry, Delivery, Escalation, NumberKind, Staff
from tests.crash.conftest import outlives
from tests.fakes.house import House
from tests.fakes.process import Dies, Hotline
from tests.fakes.twilio import Callee, Twilio

PHONES = {"leader": "+8613800009001", "supervisor": "+8613800009002"}
SUPERVISOR = PHONES["supervisor"]
PLACE = "bot.channels.twilio.carrier:TwilioCarrier.place_call"


def complain(session: Session, house: House) -> None:
    """An urgent case whose ladder has begun to climb."""
    zone, now = house.centre.settings.zone, house.clock.now()
    for person in session.scalars(select(Staff).where(Staff.username.in_(PHONES))):
        number = PHONES[person.username]
        roster.set_number(session, person.id, NumberKind.MOBILE, number, zone=zone.key, now=now, by_staff_id=None)
    known = contacts.meet(session, ChannelName.REST, "lin", language=Language.ZH, zone=zone.key, now=now)
    case = cases.open_case(
        session,
        kind=CaseKind.COMPLAINT,
        contact_id=known.contact_id,
        subject="暖气不热",
        zone=zone,
        urgency=Urgency.URGENT,
        now=now,
    )
    cases.escalate(session, house.centre, case, now)


async def rungs(house: House) -> list[int]:
    """Those that were told, in order."""
    told = select(AuditEntry.details).where(AuditEntry.action == "escalation.notify").order_by(AuditEntry.id)
    return [entry["rung"] for entry in await house.centre.db.read(lambda s: s.scalars(told).all())]


TAKEN, UNHEARD = Callee(keys=("1",)), Callee("no-answer")


@pytest.mark.parametrize(
    ("dies", "callee"),
    [
        (Dies("bot.services.escalation.ladders:_tell", done=True), TAKEN),  # not committed
        (Dies("bot.services.delivery.dispatch:_take"), TAKEN),
        (Dies(PLACE), TAKEN),
        (Dies(PLACE), UNHEARD),
        (Dies(PLACE, done=True), TAKEN),
        (Dies(PLACE, done=True), UNHEARD),
        (Dies("bot.services.delivery.sending:Sender.send_all", done=True), TAKEN),
    ],
    ids=["decided", "queued", "claimed", "claimed-unheard", "placed", "placed-unheard", "ringing"],
)
async def test_an_alert_rings_once_and_the_ladder_goes_on(
    house: House, twilio: Twilio, program: Hotline, dies: Dies, callee: Callee
) -> None:
    twilio.callees[SUPERVISOR], taken = callee, callee is TAKEN
    await house.centre.db.write(lambda s: complain(s, house))
    await house.settle()
    before = await rungs(house)
    house.clock.advance(timedelta(minutes=5))
    await outlives(house, program, dies)
    assert [call["to"] for call in twilio.calls] == [SUPERVISOR]
    twilio.client, twilio.clock = house.client, house.clock.machine
    await twilio.play()
    assert twilio.refused == []
    ladder = await house.centre.db.read(lambda s: s.scalars(select(Escalation)).one())
    assert (ladder.state is EscalationState.ACKNOWLEDGED) is taken
    assert await rungs(house) == [*before, before[-1] + 1]
    await house.advance(hours=1)
    if taken:
        assert await rungs(house) == [*before, before[-1] + 1]
        assert [call["to"] for call in twilio.calls] == [SUPERVISOR]
    else:
        assert len(await rungs(house)) > len(before) + 1
    deliveries = select(Delivery).where(Delivery.channel.in_((ChannelName.VOICE, ChannelName.SMS)))
    rows = await house.centre.db.read(lambda s: s.scalars(deliveries).all())
    left = Counter(row.channel for row in rows if row.attempt)
    assert (left[ChannelName.VOICE], left[ChannelName.SMS]) == (len(twilio.calls), len(twilio.messages))
