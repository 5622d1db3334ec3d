"""Story 1: a cold radiator, an ignored report, a case, an agent, a wrap-up, a rating. In both languages."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

from sqlalchemy import func, select

from bot.core.words import CaseKind, ConversationState
from bot.services.centre import Centre
from bot.services.conversation import media
from store.tables import Attachment, AuditEntry, Case, Conversation, Message
from tests.fakes.house import House
from tests.fakes.people import Colleague, Customer

PNG = b"\x89PNG\r\n\x1a\n" + b"picture" * 20


async def test_a_cold_radiator_in_chinese(
    house: House, customer: Customer, agent: Colleague, second_agent: Colleague
) -> None:
    await customer.comes()
    greeting = " ".join(await customer.texts())
    assert "机器人" in greeting

    await customer.writes("暖气凉了两天了，报修了也没人来")
    await customer.writes("3号楼2单元501")
    await tells(customer, "13800001234")
    state = await customer.state()
    assert state["state"] == ConversationState.QUEUED
    case = await only_case(house.centre)
    assert case.kind in (CaseKind.REPAIR, CaseKind.COMPLAINT)
    assert case.facts["unit"] == "3-2-501"
    assert case.facts["phone"] == "+8613800001234"
    said = " ".join(await customer.texts())
    assert case.number in said
    assert "抱歉" in said

    floor = await agent.sees("/console")
    conversation = int(re.search(r"/console/conversations/(\d+)/claim", floor)[1])  # type: ignore[index]
    page = await agent.sees(f"/console/conversations/{conversation}")
    assert "报修了也没人来" in page

    answers = await asyncio.gather(
        *(each.does(f"/console/conversations/{conversation}/claim", on="/console") for each in (agent, second_agent))
    )
    assert {answer.status_code for answer in answers} <= {303, 409}
    holder = await house.centre.db.read(lambda s: s.get_one(Conversation, conversation).staff_id)
    winner = agent if holder == agent.staff_id else second_agent

    here = f"/console/conversations/{conversation}"
    await winner.does(f"{here}/say", on=here, text="赵先生您好，师傅今天下午四点到")
    assert (await customer.texts())[-1] == "赵先生您好，师傅今天下午四点到"
    before = len(await customer.lines())
    await customer.writes("好的，那我等着")
    assert len(await customer.lines()) == before + 1  # the bot is silent

    await winner.does(f"{here}/close", on=here, wrap_up="case_follows", wrap_up_note="约了四点上门")
    assert len(await customer.lines()) > before + 1  # asked for a rating
    await customer.writes("5")
    row = await house.centre.db.read(lambda s: s.get_one(Conversation, conversation))
    assert (row.rating, row.wrap_up) == (5, "case_follows")

    whole = await customer.lines()
    again = await customer.lines(after=whole[3]["id"])
    assert [line["id"] for line in again] == [line["id"] for line in whole[4:]]

    quiet = await count(house.centre, Message)
    await house.advance(hours=8)
    assert await count(house.centre, Message) - quiet <= 2  # a reminder and a goodbye at the most
    audited = await house.centre.db.read(lambda s: set(s.scalars(select(AuditEntry.action))))
    assert {"conversation.claim", "conversation.close"} <= audited


async def test_a_cold_radiator_in_english(house: House, english_customer: Customer, agent: Colleague) -> None:
    customer = english_customer
    await customer.comes()
    assert re.search(r"\bbot\b", " ".join(await customer.texts()))

    await customer.writes("My radiator has been cold for two days and nobody came")
    await customer.writes("Building 3, unit 2, room 501")
    await tells(customer, "+86 138 0000 1234")
    case = await only_case(house.centre)
    assert case.facts["unit"] == "3-2-501"
    said = await customer.texts()
    assert case.number in " ".join(said)
    assert not any(re.search(r"[\u4e00-\u9fff]", text) for text in said)

    conversation = case.conversation_id
    here = f"/console/conversations/{conversation}"
    await agent.does(f"{here}/claim", on="/console")
    await agent.does(f"{here}/say", on=here, text="Good afternoon, the engineer will be there at four.")
    await agent.does(f"{here}/close", on=here, wrap_up="case_follows")
    await customer.writes("4")
    assert await house.centre.db.read(lambda s: s.get_one(Conversation, conversation).rating) == 4


async def test_a_photo_of_a_leak(
    house: House, customer: Customer, english_customer: Customer, agent: Colleague
) -> None:
    await customer.comes()
    await customer.writes("家里暖气不热")
    asked = (await customer.lines())[-1]
    for _ in range(2):  # the answer to the first was lost
        await customer.sends(PNG, "漏水.png", client_id="photo")
    photo, answer = await customer.lines(after=asked["id"])
    assert (photo["text"], photo["client"], photo["aside"]) == ("", "photo", True)
    assert "看不了图片" in answer["text"]
    (file,) = photo["files"]
    assert (file["name"], file["kind"], file["size"]) == ("漏水.png", "image", len(PNG))
    assert (await customer.opens(file["url"])).content == PNG
    await english_customer.comes()
    assert (await english_customer.opens(file["url"])).status_code == 404
    conversation = int(photo["id"].partition(":")[0])
    held = await house.centre.db.read(lambda s: s.get_one(Conversation, conversation))
    assert held.flow["question"]  # the open question stays open

    await customer.writes("转人工")
    here = f"/console/conversations/{conversation}"
    await agent.does(f"{here}/claim", on="/console")
    page = await agent.sees(here)
    (picture,) = set(re.findall(rf'<img src="({here}/files/\d+)"', page))
    assert (await agent.client.get(picture)).content == PNG
    await agent.does(f"{here}/say", on=here, text="请再拍一张阀门")

    said = len(await customer.lines())
    await customer.sends(PNG, "阀门.png", "就是这个阀门")
    await customer.sends(b"%PDF-1.7", "合同.pdf")
    valve, contract = (await customer.lines())[said:]  # the bot is silent
    assert (valve["text"], len(valve["files"])) == ("就是这个阀门", 1)
    assert (contract["text"], contract["files"][0]["kind"]) == ("", "")  # to be saved
    held = await house.centre.db.read(lambda s: s.get_one(Conversation, conversation))
    assert held.unanswered_since == house.clock.now()
    page = await agent.sees(here)
    assert "就是这个阀门" in page
    assert "合同.pdf" in page
    assert await count(house.centre, Attachment) == len(kept(house)) == 3


def kept(house: House) -> list[Path]:
    return [path for path in media.folder(house.centre).rglob("*") if path.is_file()]


async def tells(customer: Customer, phone: str) -> None:
    """Gives the number when asked for it; whatever else is asked first may be skipped."""
    for _ in range(4):
        last = (await customer.texts())[-1]
        if re.search(r"电话|手机|号码|phone|number", last):
            break
        await customer.writes("没有" if re.search(r"[\u4e00-\u9fff]", last) else "no")
    await customer.writes(phone)


async def only_case(centre: Centre) -> Case:
    return await centre.db.read(lambda s: s.scalars(select(Case)).one())


async def count(centre: Centre, table: type) -> int:
    return await centre.db.read(lambda s: s.scalar(select(func.count()).select_from(table)) or 0)
