"""A caller leaves a message: over Twilio with its recording, on the sandbox phone with typed words."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import httpx
import pytest
from sqlalchemy import select

from bot.core.media import MediaState
from bot.core.telephone import CallState
from bot.core.words import Author, ChannelName, ConversationState, EscalationState
from bot.services.conversation import chat_links, media
from bot.settings import Settings
from bot.web.chat import OURS as HEADER
from store.tables import Attachment, Callback, Case, Conversation, Escalation, Message
from tests.channels.conftest import WithAccount
from tests.fakes.handset import Handset
from tests.fakes.house import House
from tests.fakes.twilio import Twilio

PUBLIC = "https://hotline.example"
VOICE = f"{PUBLIC}/twilio/voice"
CALLER = "+8619900000101"
OURS = {HEADER: "1"}


async def all_of(house: House, query: Any) -> list[Any]:
    return await house.centre.db.read(lambda s: list(s.scalars(query)))


async def one(house: House, query: Any) -> Any:
    (found,) = await all_of(house, query)
    return found


class TestSandbox:
    async def test_what_was_typed_after_the_beep_is_kept_and_followed_up(self, house: House) -> None:
        phone = await Handset.of(house, CALLER)
        await phone.dial()
        await phone.press("0")
        await phone.heard()
        await phone.silence()  # nobody is online: what else there is, at once
        assert any("留言请按2" in line for line in await phone.heard())
        await phone.press("2")
        assert any("会被录音" in line for line in await phone.heard())
        await phone.say("三号楼暖气不热，请回电")
        assert any("收到" in line for line in await phone.heard())
        await phone.listen()
        assert await phone.state() is CallState.COMPLETED
        conversation = await one(house, select(Conversation))
        assert (conversation.state, conversation.queue) == (ConversationState.CLOSED, None)
        case = await one(house, select(Case))
        assert (case.conversation_id, "暖气不热" in case.subject) == (conversation.id, True)
        ladders = await all_of(house, select(Escalation).order_by(Escalation.id))
        assert [(e.case_id, e.state) for e in ladders if e.case_id] == [(case.id, EscalationState.RUNNING)]
        assert all(e.state is EscalationState.CLOSED for e in ladders if e.conversation_id)
        assert await all_of(house, select(Callback)) == []

    async def test_whoever_says_nothing_waits_on(self, house: House) -> None:
        phone = await Handset.of(house, CALLER)
        await phone.dial()
        for key in ("0", "2"):
            await phone.press(key)
        await phone.silence()
        assert await phone.state() is CallState.IN_PROGRESS
        assert (await one(house, select(Conversation))).state is ConversationState.QUEUED
        assert await all_of(house, select(Case)) == []

    async def test_three_goes_on_by_text_in_the_same_place(self, house: House) -> None:
        phone = await Handset.of(house, CALLER)
        await phone.dial()
        await phone.press("0")
        waited = await one(house, select(Conversation))
        await phone.press("3")
        await phone.listen()
        assert await phone.state() is CallState.COMPLETED
        await house.advance(seconds=1)
        assert "短信" in (await phone.texts())[-1][1]
        text = await one(house, select(Conversation).where(Conversation.channel == ChannelName.SMS))
        assert (text.state, text.queued_at) == (ConversationState.QUEUED, waited.queued_at)
        assert text.contact_id == waited.contact_id
        over = await one(house, select(Conversation).where(Conversation.channel == ChannelName.VOICE))
        assert over.state is ConversationState.CLOSED
        await phone.text("三号楼 201")
        last = await all_of(house, select(Message).where(Message.conversation_id == text.id).order_by(Message.seq))
        assert (last[-1].author, last[-1].text) == (Author.CUSTOMER, "三号楼 201")

    async def test_the_link_in_the_text_takes_the_conversation_to_the_web_for_one_person(self, house: House) -> None:
        phone = await Handset.of(house, CALLER)
        await phone.dial()
        for key in ("0", "3"):
            await phone.press(key)
        await phone.listen()
        text = await one(house, select(Conversation).where(Conversation.channel == ChannelName.SMS))
        (line,) = await all_of(house, select(Message.text).where(Message.text.contains("/chat?go=")))
        go = line.partition("/chat?go=")[2].split()[0]
        app, base = httpx.ASGITransport(house.app), house.client.base_url
        async with (
            httpx.AsyncClient(transport=app, base_url=base) as mine,
            httpx.AsyncClient(transport=app, base_url=base) as other,
        ):

            async def join(visitor: httpx.AsyncClient, link: str) -> int:
                await visitor.get(f"/chat?go={link}")
                return (await visitor.post("/chat/join", json={"go": link}, headers=OURS)).status_code

            assert await join(other, f"{go[:-1]}{'A' if go[-1] != 'A' else 'B'}") == 404
            assert await join(mine, go) == 200
            assert await join(other, go) == 410  # it is one person's
            assert await join(mine, go) == 200  # who opens it again goes on where they were
            said = {"client_id": "a1", "text": "我在网页上了"}
            assert (await mine.post("/chat/messages", json=said, headers=OURS)).status_code == 200
            assert (await other.post("/chat/join", json={}, headers=OURS)).status_code == 422
        moved = await house.centre.db.read(lambda s: s.get_one(Conversation, text.id))
        assert (moved.channel, moved.state, moved.queued_at) == (ChannelName.WEBCHAT, text.state, text.queued_at)
        assert moved.contact_id == text.contact_id
        last = await all_of(house, select(Message).where(Message.conversation_id == text.id).order_by(Message.seq))
        assert last[-1].text == "我在网页上了"

    async def test_a_link_is_good_for_two_hours(self, house: House) -> None:
        phone = await Handset.of(house, CALLER)
        await phone.dial()
        for key in ("0", "3"):
            await phone.press(key)
        await phone.listen()
        (line,) = await all_of(house, select(Message.text).where(Message.text.contains("/chat?go=")))
        house.clock.skip(chat_links.LIFE + timedelta(seconds=1))
        await house.client.get("/chat")
        go = line.partition("/chat?go=")[2].split()[0]
        answer = await house.client.post("/chat/join", json={"go": go}, headers=OURS)
        assert (answer.status_code, answer.json()["code"]) == (410, "link_over")


class TestTwilio:
    @pytest.fixture
    def settings(self, with_account: WithAccount) -> Settings:
        return with_account(PUBLIC)

    @pytest.mark.parametrize("chaos", [False, True])
    async def test_the_recording_is_fetched_kept_and_registered_once(
        self, house: House, twilio: Twilio, chaos: bool
    ) -> None:
        """Whether Twilio tells of it before or after the call does, once or twice."""
        twilio.client, twilio.clock, twilio.chaos = house.client, house.centre.clock.machine, chaos
        await twilio.call_in(CALLER, VOICE, "0", "2", "三号楼暖气不热")
        await twilio.recordings_ready()
        assert twilio.refused == []
        await media.fetch_due(house.centre)
        file = await one(house, select(Attachment))
        path = media.path_of(house.centre, file)
        assert (file.state, file.mime, path is not None) == (MediaState.KEPT, "audio/mpeg", True)
        case = await one(house, select(Case))
        assert "9 秒" in case.subject
        line = await one(house, select(Message).where(Message.provider_id.startswith("recording:")))
        assert (line.id, line.conversation_id) == (file.message_id, case.conversation_id)
        await house.advance(minutes=1)
        assert twilio.calls == []

    async def test_a_recording_that_is_not_ready_yet_is_waited_for(self, house: House, twilio: Twilio) -> None:
        twilio.client = house.client
        await twilio.call_in(CALLER, VOICE, "0", "2", "喂")
        (path,) = [name for name in twilio.files if name.startswith("Recordings")]
        content = twilio.files.pop(path)
        await media.fetch_due(house.centre)
        assert (await one(house, select(Attachment))).state is MediaState.WAITING
        twilio.files[path] = content
        await twilio.recordings_ready()
        await media.fetch_due(house.centre)
        assert (await one(house, select(Attachment))).state is MediaState.KEPT
