"""An agent's file to somebody who writes text messages: with the message where carriers bring it, else as a link."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import httpx
import pytest
from sqlalchemy import select

from bot.core.words import DeliveryState, Role
from bot.services.conversation import media
from bot.services.delivery import dispatch
from bot.services.delivery.dispatch import ASK_AFTER
from bot.services.library import Library
from bot.settings import Settings
from store.tables import Attachment, Conversation, Delivery
from tests.channels.conftest import WithAccount
from tests.fakes.clock import ManualClock
from tests.fakes.desk import Desk
from tests.fakes.house import House
from tests.fakes.twilio import Twilio

PUBLIC = "https://hotline.example"
SMS = f"{PUBLIC}/twilio/sms"
AMERICAN, CHINESE = "+12025550123", "+8619900000101"
PNG = b"\x89PNG\r\n\x1a\n" + b"picture" * 20
PDF = b"%PDF-1.7"
HERE = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


@pytest.fixture
def settings(with_account: WithAccount) -> Settings:
    return with_account(PUBLIC)


@pytest.fixture
def shipped(brisk: tuple[Library, list[ManualClock]]) -> tuple[Library, list[ManualClock]]:
    return brisk


@pytest.fixture
async def phone(house: House, twilio: Twilio) -> House:
    await house.centre.db.write(lambda s: house.centre.library.keep(s, house.clock.now()))
    twilio.client, twilio.clock = house.client, house.centre.clock.machine
    return house


async def sends(house: House, name: str, content: bytes, mime: str) -> None:
    """The customer has asked for a person; an agent sends them a file."""
    await house.advance(seconds=5)
    client = httpx.AsyncClient(transport=httpx.ASGITransport(app=house.app), base_url=PUBLIC)
    agent = await Desk.of(house.centre, client, Role.AGENT)
    conversation = await house.centre.db.read(lambda s: s.scalars(select(Conversation.id)).one())
    at = f"/console/conversations/{conversation}"
    await agent.see("/console")
    await agent.do(f"{at}/claim")
    assert "said=" not in await agent.do(f"{at}/files", files={"file": (name, content, mime)})
    await house.advance(seconds=5)


async def latest(house: House) -> list[tuple[DeliveryState, str, bool]]:
    """What went out for the file: how far it got, its words, and whether the file is with it."""

    def read(session: Any) -> list[tuple[DeliveryState, str, bool]]:
        line = session.scalars(select(Attachment.message_id)).one()
        rows = session.scalars(select(Delivery).where(Delivery.message_id == line).order_by(Delivery.id)).all()
        return [(row.state, row.body["text"], "enclosure" in row.body) for row in rows]

    return await house.centre.db.read(read)


async def test_a_picture_goes_with_the_message_and_twilio_fetches_it(phone: House, twilio: Twilio) -> None:
    await twilio.text_in(AMERICAN, "agent please", SMS)
    await sends(phone, "valve.png", PNG, "image/png")
    message = twilio.messages[-1]
    assert (message["to"], message["body"], message["num_media"]) == (AMERICAN, "", "1")
    assert twilio.carried == {}
    await twilio.play()
    assert twilio.carried == {AMERICAN: [("image/png", PNG)]}
    assert await latest(phone) == [(DeliveryState.DELIVERED, "", True)]


@HERE
@pytest.mark.parametrize(
    ("who", "asks", "file", "says"),
    [
        (CHINESE, "转人工", ("阀门.png", PNG, "image/png"), "给您发了文件“阀门.png”，30天内点开："),
        (AMERICAN, "agent please", ("offer.pdf", PDF + b"0" * 600_000, "application/pdf"), "sent you “offer.pdf”"),
        (AMERICAN, "agent please", ("a.txt", b"hello", "text/plain"), "sent you “a.txt”"),
    ],
)
async def test_what_no_carrier_brings_goes_out_as_a_link_in_their_language(
    phone: House, twilio: Twilio, who: str, asks: str, file: tuple[str, bytes, str], says: str
) -> None:
    await twilio.text_in(who, asks, SMS)
    await sends(phone, *file)
    message = twilio.messages[-1]
    assert says in message["body"]
    assert message["num_media"] == "0"
    link = message["body"][message["body"].index(PUBLIC) :]
    assert (await phone.client.get(link)).content == file[1]
    assert (await phone.client.head(link)).status_code == 200
    assert (await phone.client.get(link[:-1] + ("A" if link[-1] != "A" else "B"))).status_code == 404
    phone.clock.advance(media.LINK + timedelta(days=1))
    assert (await phone.client.get(link)).status_code == 404


@HERE
async def test_a_file_that_could_not_be_fetched_goes_out_as_a_link_once(phone: House, twilio: Twilio) -> None:
    await twilio.text_in(AMERICAN, "agent please", SMS)
    await sends(phone, "valve.png", PNG, "image/png")
    for _ in range(2):  # Twilio says so twice
        await twilio.carry(twilio.messages[-1], "failed", code=11200)
    await phone.advance(seconds=5)
    (failed, words, with_file), (_, linked, alone) = await latest(phone)
    assert (failed, words, with_file, alone) == (DeliveryState.FAILED, "", True, False)
    assert "sent you “valve.png”" in linked
    assert [message["num_media"] for message in twilio.messages[-2:]] == ["1", "0"]


@HERE
async def test_a_number_that_takes_no_files_gets_the_link(phone: House, twilio: Twilio) -> None:
    """Twilio knows better than the numbering plan."""
    await twilio.text_in(AMERICAN, "agent please", SMS)
    twilio.no_files.add(AMERICAN)
    await sends(phone, "valve.png", PNG, "image/png")
    assert [state for state, _, _ in await latest(phone)] == [DeliveryState.FAILED, DeliveryState.ACCEPTED]
    assert "valve.png" in twilio.messages[-1]["body"]


@HERE
async def test_an_answer_that_was_lost_is_looked_up_and_the_picture_comes_once(phone: House, twilio: Twilio) -> None:
    await twilio.text_in(AMERICAN, "agent please", SMS)
    await phone.advance(seconds=5)
    before = len(twilio.messages)
    twilio.faults = ["lost"]
    await sends(phone, "valve.png", PNG, "image/png")
    assert [state for state, _, _ in await latest(phone)] == [DeliveryState.UNKNOWN]
    phone.clock.advance(ASK_AFTER)
    await dispatch.sweep(phone.centre)
    await phone.settle()
    assert [state for state, _, _ in await latest(phone)] == [DeliveryState.ACCEPTED]
    assert [message["num_media"] for message in twilio.messages[before:]] == ["1"]
