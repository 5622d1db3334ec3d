"""kill -9 between a recording and its place in the house: it arrives once, with one line and one case."""

from __future__ import annotations

import asyncio
import contextlib

import httpx
import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from bot.core.media import MediaState
from bot.services.conversation import media
from bot.services.delivery.outbox import LEASE
from store.tables import Attachment, Case, Escalation, Message
from tests.fakes.house import House
from tests.fakes.process import Dies, Hotline
from tests.fakes.twilio import Twilio

CALLER = "+8619900000101"
WORDS = "三号楼暖气不热"
FETCH = "bot.channels.twilio.http:TwilioHttp.download"


@pytest.mark.parametrize(
    "dies",
    [
        Dies("bot.services.calls.voicemail:keep", done=True),  # not committed
        Dies("bot.services.calls.voice:render", nth=3),  # committed, and the carrier never hears of it
        Dies(FETCH),
        Dies(FETCH, done=True),
        Dies("bot.services.conversation.media:put", done=True),  # on the disk, and no row knows it
        Dies("bot.services.conversation.media:_settle", done=True),  # not committed
    ],
    ids=["told", "registered", "asked", "fetched", "written", "settled"],
)
async def test_a_recording_arrives_once(house: House, twilio: Twilio, program: Hotline, dies: Dies) -> None:
    await asyncio.to_thread(program.serve, at=house.clock.now(), dies=dies)
    async with httpx.AsyncClient(timeout=60) as twilio.client:
        with contextlib.suppress(httpx.TransportError):
            await twilio.call_in(CALLER, f"{program.address}/twilio/voice", "0", "2", WORDS)
    await asyncio.to_thread(program.died)

    house.clock.set(program.now())
    house.clock.skip(max(LEASE, media.LEASE) * 2)
    twilio.client, twilio.refused = house.client, []
    for _ in range(2):  # it tells of it twice
        await twilio.recordings_ready()
        await media.fetch_due(house.centre)
    await house.settle()
    assert twilio.refused == []

    def look(session: Session) -> None:
        file = session.scalars(select(Attachment)).one()
        assert (file.state, file.mime) == (MediaState.KEPT, "audio/mpeg")
        case = session.scalars(select(Case)).one()
        line = session.scalars(select(Message).where(Message.provider_id.startswith("recording:"))).one()
        assert (line.id, line.conversation_id) == (file.message_id, case.conversation_id)
        assert len(session.scalars(select(Escalation).where(Escalation.case_id == case.id)).all()) == 1
        path = media.path_of(house.centre, file)
        assert path is not None
        assert path.read_bytes() == f"ID3{WORDS}".encode()
        assert [each for each in media.folder(house.centre).rglob("*") if each.is_file()] == [path]

    await house.centre.db.read(look)
