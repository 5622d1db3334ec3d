"""kill -9 at each moment between the claim of a call and Twilio's word on it: none is lost, none is placed twice."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from bot.core.words import ChannelName, DeliveryState, Purpose
from bot.services import contacts
from bot.services.centre import Centre
from bot.services.delivery import dispatch, outbox
from bot.services.delivery.dispatch import ASK_AFTER
from bot.services.delivery.outbox import LEASE
from bot.settings import Settings
from store.tables import Delivery
from tests.conftest import SECRET
from tests.fakes.clock import ManualClock
from tests.fakes.house import House
from tests.fakes.line import drain
from tests.fakes.process import Hotline
from tests.fakes.twilio import Twilio, account

CALLEE = "+8619900000101"


@pytest.fixture
async def program(database_url: str, tmp_path: Path, models: Path, twilio: Twilio) -> AsyncIterator[Hotline]:
    folder = tmp_path / "program"
    folder.mkdir()
    (folder / "models").symlink_to(models)
    made = Hotline(
        folder,
        database_url=database_url,
        secret=SECRET,
        **account(twilio, "http://hotline.test"),
    )
    yield made
    made.kill()


@pytest.fixture
def settings(database_url: str, tmp_path: Path, twilio: Twilio) -> Settings:
    return Settings(
        _env_file=None,  # type: ignore[call-arg]
        data_dir=tmp_path / "data",
        database_url=database_url,
        secret=SECRET,
        **account(twilio, "http://hotline.test"),
    )


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
    clock.skip(LEASE * 2)
    await dispatch.sweep(centre)
    clock.advance(ASK_AFTER * 2)
    await dispatch.sweep(centre)
    await drain(centre)
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
