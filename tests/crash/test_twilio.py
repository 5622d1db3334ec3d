"""kill -9 at each moment between the claim of a call and Twilio's word on it: none is lost, none is placed twice."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

import httpx
import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from bot.core.words import ChannelName, DeliveryState, Purpose
from bot.services import contacts
from bot.services.centre import Centre
from bot.services.delivery import outbox
from store.tables import Delivery
from tests.fakes.clock import ManualClock
from tests.fakes.house import House
from tests.fakes.process import Hotline
from tests.fakes.twilio import Twilio

CALLEE = "+8619900000101"


def owe(session: Session, centre: Centre) -> None:
    """A call that may be placed at any hour."""
    now = centre.clock.now()
    language, zone = centre.settings.language, centre.settings.timezone
    known = contacts.meet(session, ChannelName.VOICE, CALLEE, language=language, zone=zone, now=now)
    outbox.put(
        session,
        dedupe_key="a call",
        purpose=Purpose.REPLY,
        channel=ChannelName.VOICE,
        address_id=known.address_id,
        contact_id=known.contact_id,
        text="您好",
        language=language,
        now=now,
    )


@pytest.mark.parametrize("moment", ["asked", "acted", "answered"])
async def test_a_call_being_placed(
    house: House, twilio: Twilio, program: Hotline, clock: ManualClock, moment: str
) -> None:
    centre, reached = house.centre, asyncio.Event()
    clock.set(datetime.now(UTC))

    async def stop(at: str) -> None:
        """The program dies at this moment; one that had only asked is never acted for."""
        if at == moment:
            await asyncio.to_thread(program.kill)
            reached.set()
            if at == "asked":
                raise httpx.ConnectError("gone")

    twilio.at = stop
    await centre.db.write(lambda s: owe(s, centre))
    await asyncio.to_thread(program.serve)
    await asyncio.wait_for(reached.wait(), 120)

    async def row() -> Delivery:
        return await centre.db.read(lambda s: s.scalars(select(Delivery)).one())

    twilio.at = Twilio.at
    clock.set(datetime.now(UTC))
    await house.recover()
    placed = 0 if moment == "asked" else 1
    assert len(twilio.calls) == placed
    found = await row()
    assert found.state is (DeliveryState.ACCEPTED if placed else DeliveryState.UNKNOWN)  # nobody says it was called
    if placed:
        assert found.provider_id == twilio.calls[0]["sid"]
        twilio.client, twilio.clock = house.client, clock.machine
        await twilio.play()
        assert (await row()).state is DeliveryState.HEARD
    assert len(twilio.calls) == placed
