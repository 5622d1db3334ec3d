"""The desk over HTTP: canned replies with their blanks, whom a conversation can be handed to, who may join."""

from __future__ import annotations

import json
from datetime import timedelta

import httpx
import pytest
from sqlalchemy import select

from bot.core.words import ChannelName, Incoming, Language, Role, Urgency
from bot.services.conversation import inbox, media, webchat
from bot.services.conversation.conversations import hold, save
from bot.services.desk import canned, handoff
from bot.web.chat import COOKIE
from store.tables import Conversation, Delivery
from tests.fakes.desk import Desk
from tests.fakes.handset import Handset
from tests.fakes.house import House
from tests.fakes.people import OURS

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
ZH, EN = "{title}您好，我是{agent}", "This is {agent}{title} about {case}"
REPLY = {"shortcut": "稍等", "intent": "ask_identity", "zh": ZH, "en": EN}


async def queued(
    house: House,
    language: Language = Language.ZH,
    channel: ChannelName = ChannelName.REST,
    address: str = "a",
    reason: str = "asked",
) -> int:
    text = "你们是谁" if language is Language.ZH else "who are you"
    receipt = await inbox.receive(house.centre, Incoming(channel, address, "1", text, language=language))

    def ask(session):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
        held = hold(session, receipt.conversation_id)
        now = house.clock.now()
        handoff.to_people(
            session, house.centre, held, reason=reason, urgency=Urgency.ORDINARY, queue="service", now=now
        )
        save(session, held)

    house.centre.db.write_now(ask)
    return receipt.conversation_id


async def desk(house: House, role: Role) -> Desk:
    """A desk with a browser of its own."""
    client = httpx.AsyncClient(transport=httpx.ASGITransport(app=house.app), base_url="http://hotline.test")
    found = await Desk.of(house.centre, client, role)
    await found.see("/console")
    return found


async def test_canned_replies_are_kept_by_leaders_and_filled_in_for_agents(house: House) -> None:
    supervisor, agent = await desk(house, Role.SUPERVISOR), await desk(house, Role.AGENT)
    assert "said=saved" in await supervisor.do("/console/canned", **REPLY)
    assert "said=shortcut_taken" in await supervisor.do("/console/canned", **REPLY)
    for wrong, code in (
        ({"shortcut": "a b"}, "shortcut_bad"),
        ({"shortcut": "x", "en": ""}, "canned_text"),
        ({"shortcut": "x", "zh": "{password}"}, "canned_blank"),
    ):
        assert f"said={code}" in await supervisor.do("/console/canned", **{**REPLY, **wrong})
    await agent.do("/console/canned", 403, **REPLY)
    assert "/稍等" in await agent.see("/console/canned")

    conversation_id = await queued(house, Language.EN)
    at = f"/console/conversations/{conversation_id}"
    offers = json.loads((await agent.client.get(f"{at}/canned")).text)
    assert offers[0]["shortcut"] == "稍等"
    assert offers[0]["text"].startswith("This is ")
    assert "{agent}" not in offers[0]["text"]
    assert "{case}" in offers[0]["text"]  # not known: the agent sees the blank
    reply = house.centre.db.read_now(canned.everything)[0]
    assert "said=saved" in await supervisor.do(f"/console/canned/{reply.id}/drop")
    assert house.centre.db.read_now(canned.everything) == []


async def test_a_conversation_is_handed_to_people_and_queues_that_exist(house: House) -> None:
    conversation_id = await queued(house)
    at = f"/console/conversations/{conversation_id}"
    agent, supervisor = await desk(house, Role.AGENT), await desk(house, Role.SUPERVISOR)
    await agent.do(f"{at}/claim")
    for nobody in ("staff:99999", "queue:nowhere", "staff:x", "everybody"):
        await agent.do(f"{at}/transfer", 404, to=nobody)
    await agent.do(f"{at}/join", 403)
    await supervisor.do(f"{at}/join")
    await supervisor.do(f"{at}/say", text="我是主管")
    assert "我是主管" in await agent.see(at)
    await supervisor.do(f"{at}/leave")
    assert "said=not_yours" in await supervisor.do(f"{at}/say", text="还在")
    await agent.do(f"{at}/transfer", to="queue:repairs", note="要懂锅炉的")
    row = house.centre.db.read_now(lambda s: s.get_one(Conversation, conversation_id))
    assert (row.state, row.queue) == ("queued", "repairs")
    assert "要懂锅炉的" in await supervisor.see(at)


@pytest.mark.parametrize(
    ("reason", "zh", "en"),
    [
        ("no_heating", "暖气不热报修", "Heating not working"),
        ("stuck", "机器人无法继续", "The bot could not go on"),
        ("锅炉房在响", "锅炉房在响", "锅炉房在响"),
    ],
)
async def test_why_a_person_is_wanted_is_read_in_the_reader_s_language(
    house: House, reason: str, zh: str, en: str
) -> None:
    at = f"/console/conversations/{await queued(house, reason=reason)}"
    agent = await desk(house, Role.AGENT)
    for page in ("/console", at):
        assert zh in await agent.see(f"{page}?lang=zh")
        assert en in await agent.see(f"{page}?lang=en")


PNG = b"\x89PNG\r\n\x1a\n" + b"picture" * 20


async def test_a_file_and_a_quote_reach_who_asks_over_rest_and_the_line_tells_how_far_it_got(house: House) -> None:
    conversation_id = await queued(house)
    at = f"/console/conversations/{conversation_id}"
    agent, other = await desk(house, Role.AGENT), await desk(house, Role.SUPERVISOR)
    await agent.do(f"{at}/claim")
    assert "said=not_yours" in await other.do(f"{at}/files", files={"file": ("a.png", PNG, "image/png")})
    await agent.do(f"{at}/files", files={"file": ("../样 图.png", PNG, "image/png")}, quotes=1)
    await agent.do(f"{at}/say", text="请看这张图", quotes=999, typed_characters=5, typed_seconds="4.5")
    page = await agent.see(at)
    assert (page.count("✓</span> 已发出"), page.count("已送达")) == (2, 0)

    lines = (await house.client.get("/webhooks/rest/messages", params={"sender": "a"})).json()
    file, words = lines[-2:]
    assert file["quote"] == {"seq": 1, "text": lines[0]["text"]}
    assert (file["files"][0]["name"], file["files"][0]["type"]) == ("样 图.png", "image/png")
    assert words["text"] == "请看这张图"
    assert "quote" not in words  # there is no such line
    assert (await agent.see(at)).count("已送达") == 2

    path = file["files"][0]["url"].removeprefix(house.centre.settings.address)
    got = await house.client.get(path)
    assert (got.content, got.headers["content-type"]) == (PNG, "image/png")
    assert "sandbox" in got.headers["content-security-policy"]
    assert (await house.client.get(path[:-1] + ("A" if path[-1] != "A" else "B"))).status_code == 404
    house.clock.advance(media.LINK + timedelta(days=1))
    assert (await house.client.get(path)).status_code == 404


async def test_a_text_message_brings_the_link(house: House) -> None:
    conversation_id = await queued(house, channel=ChannelName.SMS, address="+8613900001234")
    at = f"/console/conversations/{conversation_id}"
    agent = await desk(house, Role.AGENT)
    await agent.do(f"{at}/claim")
    await agent.do(f"{at}/files", files={"file": ("报价.pdf", b"%PDF-1.7", "application/pdf")})
    row = house.centre.db.read_now(
        lambda s: s.scalars(
            select(Delivery).where(Delivery.conversation_id == conversation_id).order_by(Delivery.id)
        ).all()[-1]
    )
    words, link = row.body["text"].split(house.centre.settings.address)
    assert words == "给您发了文件“报价.pdf”，30天内点开："
    got = await house.client.get(link)
    assert got.content == b"%PDF-1.7"
    assert got.headers["content-disposition"].startswith("attachment")
    assert "等待发送" in await agent.see(at)


async def test_where_texts_carry_files_the_sandbox_phone_shows_the_picture(house: House) -> None:
    number = "+12025550123"
    at = f"/console/conversations/{await queued(house, channel=ChannelName.SMS, address=number)}"
    agent = await desk(house, Role.AGENT)
    await agent.do(f"{at}/claim")
    await agent.do(f"{at}/files", files={"file": ("图.png", PNG, "image/png")})
    await house.advance(seconds=5)
    text = (await (await Handset.of(house, number)).screen()).texts[-1]
    assert text.text == ""
    assert text.file is not None
    assert (text.file["name"], text.file["mime"]) == ("图.png", "image/png")
    got = await house.client.get(text.file["link"].removeprefix(house.centre.settings.address))
    assert got.content == PNG


async def test_a_visitor_s_page_has_the_file_and_tells_that_it_was_read(house: House) -> None:
    visitor = httpx.AsyncClient(transport=httpx.ASGITransport(app=house.app), base_url="http://hotline.test")
    await visitor.get("/chat")
    token = visitor.cookies[COOKIE]
    conversation_id = await queued(house, channel=ChannelName.WEBCHAT, address=token)
    at = f"/console/conversations/{conversation_id}"
    agent = await desk(house, Role.AGENT)
    await agent.do(f"{at}/claim")
    await agent.do(f"{at}/files", files={"file": ("图.png", PNG, "image/png")}, quotes=1)
    here = house.centre.db.read_now(lambda s: webchat.present(s, token))
    assert here.address_id is not None
    line = house.centre.db.read_now(lambda s: webchat.lines(s, here.address_id or 0))[-1]
    assert (line.text, line.quote and line.quote.seq) == ("", 1)
    assert (await visitor.get(line.files[0].url)).content == PNG
    assert "已读" not in await agent.see(at)
    place = f"{line.place[0]}:{line.place[1]}"
    stranger = httpx.AsyncClient(transport=httpx.ASGITransport(app=house.app), base_url="http://hotline.test")
    await stranger.get("/chat")
    for who, status in ((stranger, 204), (visitor, 204)):
        assert "已读" not in await agent.see(at)
        assert (await who.post("/chat/read", json={"place": place}, headers=OURS)).status_code == status
    assert "已读" in await agent.see(at)
    assert (await visitor.post("/chat/read", json={"place": 3}, headers=OURS)).status_code in (204, 422)


async def test_a_line_the_page_sends_again_is_one_line(house: House) -> None:
    at = f"/console/conversations/{await queued(house)}"
    agent = await desk(house, Role.AGENT)
    await agent.do(f"{at}/claim")
    for client in ("x-1", "x-1", "x-2", "no good id!"):
        await agent.do(f"{at}/say", text="稍等，我查一下", client=client)
    assert (await agent.see(at)).count('<div class="words">稍等，我查一下</div>') == 3
