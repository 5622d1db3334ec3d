"""Story 3: a heating outage in building 3, announced at the console, heard on web chat, SMS and the telephone."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from datetime import datetime

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from bot.core.words import BroadcastState, ChannelName, DeliveryState, IncidentState, Outcome
from bot.services import contacts
from bot.services.announcements import broadcasts
from bot.services.centre import Centre
from store.tables import Address, AuditEntry, Broadcast, Case, Contact, Delivery, Incident, Staff
from tests.fakes.handset import Handset
from tests.fakes.house import House
from tests.fakes.people import Colleague, Customer

SUN, LI, ZHAO = "+8619900000103", "+8619900000104", "+8619900000101"


@pytest.fixture
async def ops(address: str, house: House) -> AsyncIterator[Colleague]:
    somebody = await Colleague(address).signs_in(house.centre, "ops")
    yield somebody
    await somebody.leaves()


async def counts(centre: Centre, broadcast_id: int) -> dict[Outcome, int]:
    """Who stands where; they sum to the audience at every moment."""
    tally = await centre.db.read(lambda s: broadcasts.counts(s, broadcast_id))
    size = await centre.db.read(lambda s: s.get_one(Broadcast, broadcast_id).audience_size)
    assert sum(tally.values()) == size
    return {outcome: count for outcome, count in tally.items() if count}


async def settle(house: House) -> None:
    """Beats until the slowest channel, at one a second of the machine's time, has let everybody through."""
    now = house.clock.now()
    due = select(Delivery.id).where(Delivery.state == DeliveryState.QUEUED, Delivery.not_before <= now).limit(1)
    await house.settle()
    while await house.centre.db.read(lambda s: s.scalar(due)) is not None:
        await asyncio.sleep(0.3)
        await house.settle()


def number(path: str) -> int:
    return int(re.search(r"/(\d+)(\?|$)", path)[1])  # type: ignore[index]


async def test_an_outage_is_announced_answered_and_cleared(
    house: House, customer: Customer, supervisor: Colleague, ops: Colleague
) -> None:
    centre = house.centre
    await customer.comes()  # 钱雪梅 has the chat page open
    await centre.db.write(lambda s: _at_the_chat_page(s, "钱雪梅", house.clock.now()))

    # reported, confirmed, drafted from the template
    page = "/console/incidents"
    answer = await ops.does(page, on=page, code="INC-29", title="三号楼供热管道爆裂", buildings="3", source="住户来电")
    incident = number(answer.headers["location"])
    at = f"{page}/{incident}"
    assert (await supervisor.does(f"{at}/confirm", on=at, plan="general")).status_code == 303
    form = await ops.sees(f"/console/broadcasts/new/{incident}")
    assert "供热管道爆裂，暂停供热" in form
    assert re.search(r'<b class="number">5</b>', form)
    assert "发完需要" in form
    text = re.search(r'name="text_zh"[^>]*>([^<]+)<', form)[1]  # type: ignore[index]
    english = re.search(r'name="text_en"[^>]*>([^<]+)<', form)[1]  # type: ignore[index]
    draft = {"text_zh": text, "text_en": english, "buildings": "3", "whom": "chosen", "purpose": "emergency"}
    channels = ["webchat", "telegram", "sms", "voice"]
    preview = await ops.does("/console/broadcasts/preview", on=at, incident=incident, channels=channels, **draft)
    assert preview.status_code == 200
    assert "Telegram" in preview.text  # not connected here, and said so
    answer = await ops.does("/console/broadcasts", on=at, incident=incident, channels=channels, **draft)
    notice = number(answer.headers["location"])
    here = f"/console/broadcasts/{notice}"

    # the author cannot, a second person can; pressed twice it happens once
    assert "要由另一位同事批准" in await ops.sees(here)
    revision = re.search(r'name="revision" value="(\d+)"', await supervisor.sees(here))[1]  # type: ignore[index]
    refused = await ops.does(f"{here}/approve", on=here, revision=revision)
    assert "approver_is_author" in refused.headers["location"]
    for _ in range(2):
        await supervisor.does(f"{here}/approve", on=here, revision=revision, launch="true")
    await supervisor.does(f"{here}/launch", on=here)
    assert await counts(centre, notice) == {Outcome.PENDING: 5}

    # on the chat page at once, by SMS to the others
    sun, li, zhao = [await Handset.of(house, phone) for phone in (SUN, LI, ZHAO)]
    await settle(house)
    lines = await customer.lines()
    assert "暂停供热" in lines[-1]["text"]
    assert lines[-1]["buttons"][0]["title"] == "收到"
    received = [text for _, text in await sun.texts()]
    assert len(received) == 1
    assert "暂停供热" in received[0]
    assert len(await centre.db.read(lambda s: s.scalars(select(Delivery).where(Delivery.recipient_id > 0)).all())) == 5

    # a button, a "1", and a text that wants a person
    await customer.writes("收到", payload=lines[-1]["buttons"][0]["payload"])
    await sun.text("1")
    await li.text("收到了，但是我家有病人在吸氧")
    await house.advance(seconds=1)
    await settle(house)
    assert (await counts(centre, notice))[Outcome.ACKNOWLEDGED] == 3
    (case,) = await centre.db.read(lambda s: s.scalars(select(Case).where(Case.broadcast_id == notice)).all())
    assert case.number in " ".join(text for _, text in await li.texts())
    assert "需要人工联系" not in await supervisor.sees(here)

    # the silent are called; a digit acknowledges
    await house.advance(minutes=16)
    await settle(house)
    assert await sun.state() is None
    await zhao.answer()
    await zhao.listen()
    assert "暂停供热" in " ".join(await zhao.heard())
    await zhao.press("1")
    tally = await counts(centre, notice)
    assert tally[Outcome.ACKNOWLEDGED] == 4
    after = await centre.db.read(lambda s: _states(s, "孙立夏"))
    assert after == [(ChannelName.SMS, DeliveryState.DELIVERED)]

    # over: the all-clear goes to the same people
    assert "all_clear_missing" in (await supervisor.does(f"{at}/close", on=at, text="好")).headers["location"]
    await supervisor.does(f"{at}/recover", on=at, text="换了一段管道")
    answer = await ops.does(f"{here}/follow", on=at, kind="all_clear")
    over = number(answer.headers["location"])
    there = f"/console/broadcasts/{over}"
    revision = re.search(r'name="revision" value="(\d+)"', await supervisor.sees(there))[1]  # type: ignore[index]
    await supervisor.does(f"{there}/approve", on=there, revision=revision, launch="true")
    await settle(house)
    assert sum((await counts(centre, over)).values()) == 5
    assert "已恢复" in [text for _, text in await sun.texts()][-1]
    assert "已恢复" in (await customer.texts())[-1]
    row = await centre.db.read(lambda s: s.get_one(Incident, incident))
    assert row.state is IncidentState.ALL_CLEAR
    assert "record_incomplete" in (await supervisor.does(f"{at}/close", on=at, text="处置及时。")).headers["location"]
    audited = await centre.db.read(lambda s: set(s.scalars(select(AuditEntry.action))))
    assert {"broadcast.draft", "broadcast.approve", "broadcast.launch", "incident.all_clear"} <= audited


async def test_stopped_and_cancelled_at_the_console(house: House, supervisor: Colleague, ops: Colleague) -> None:
    page = "/console/incidents"
    answer = await ops.does(page, on=page, code="INC-30", title="停炉", buildings="3")
    at = f"{page}/{number(answer.headers['location'])}"
    draft = {"text_zh": "停炉。", "text_en": "Boiler stopped.", "buildings": "3", "channels": ["sms"]}
    answer = await ops.does("/console/broadcasts", on=at, incident=number(at), **draft)
    here = answer.headers["location"].split("?")[0]
    await supervisor.does(f"{here}/approve", on=here, revision="1", launch="true")
    await supervisor.does(f"{here}/stop", on=here)
    await settle(house)
    assert await counts(house.centre, number(here)) == {Outcome.PENDING: 5}
    await supervisor.does(f"{here}/resume", on=here)
    await house.settle()
    await supervisor.does(f"{here}/cancel", on=here, why="写错了楼")
    await settle(house)
    tally = await counts(house.centre, number(here))
    assert tally[Outcome.CANCELLED] >= 1
    broadcast = await house.centre.db.read(lambda s: s.get_one(Broadcast, number(here)))
    assert broadcast.state is BroadcastState.CANCELLED
    assert "已取消" in await supervisor.sees(here)


async def test_tagged_at_the_card_found_and_announced_to(house: House, supervisor: Colleague, ops: Colleague) -> None:
    outage, page = "三号楼停水", "/console/incidents"
    sun = await house.centre.db.read(lambda s: s.scalars(select(Contact.id).where(Contact.name == "孙立夏")).one())
    card = f"/console/contacts/{sun}"
    assert "还没有标签" in await supervisor.sees(card)
    await supervisor.does(f"{card}/tags", on=card, tags="独居，志愿者")
    refused = await supervisor.does(f"{card}/tags", on=card, tags="、".join(map(str, range(30))))
    assert "tags_many" in refused.headers["location"]
    await supervisor.does(f"{card}/tags/remove", on=card, tag="志愿者")
    assert '<span class="badge">独居</span>' in await supervisor.sees(card)
    assert "孙立夏" in (await supervisor.client.get("/console/search", params={"q": "独居"})).text

    answer = await ops.does(page, on=page, code="INC-29", title=outage, buildings="3")
    at = f"{page}/{number(answer.headers['location'])}"
    form = await ops.sees(f"/console/broadcasts/new/{number(at)}")
    assert re.search(r'name="tags" value="独居">独居 <span class="muted number">1</span>', form)
    text = {"text_zh": outage, "text_en": "No water.", "channels": ["sms"], "incident": number(at)}
    for whom in ({"tags": "独居"}, {"whom": "query", "q_tags": "独居"}):
        preview = await ops.does("/console/broadcasts/preview", on=at, **text, **whom)
        assert re.search(r'<b class="number">1</b>', preview.text)
    without = {"buildings": "3", "without_tags": "独居"}
    preview = await ops.does("/console/broadcasts/preview", on=at, **text, **without)
    assert re.search(r'<b class="number">4</b>', preview.text)
    answer = await ops.does("/console/broadcasts", on=at, **text, tags="独居")
    kept = await ops.sees(answer.headers["location"].split("?")[0])
    assert re.search(r'name="tags" value="独居" checked', kept)


async def announced(ops: Colleague, supervisor: Colleague, code: str, words: str) -> int:
    """A notice to building 3, by chat, text message and telephone."""
    page = "/console/incidents"
    answer = await ops.does(page, on=page, code=code, title=words, buildings="3")
    at = f"{page}/{number(answer.headers['location'])}"
    draft = {"text_zh": words, "text_en": words, "buildings": "3", "channels": ["webchat", "sms", "voice"]}
    answer = await ops.does("/console/broadcasts", on=at, incident=number(at), **draft)
    here = answer.headers["location"].split("?")[0]
    await supervisor.does(f"{here}/approve", on=here, revision="1", launch="true")
    return number(here)


async def test_two_announcements_at_once_and_what_each_answer_is_for(
    house: House, customer: Customer, supervisor: Colleague, ops: Colleague
) -> None:
    centre = house.centre
    await customer.comes()
    await centre.db.write(lambda s: _at_the_chat_page(s, "钱雪梅", house.clock.now()))
    pipe = await announced(ops, supervisor, "INC-29", "三号楼供热管道爆裂。")
    await settle(house)
    boiler = await announced(ops, supervisor, "INC-30", "锅炉停了。")
    await settle(house)
    sun, zhao = [await Handset.of(house, phone) for phone in (SUN, ZHAO)]

    # a word is for both, and says so
    await sun.text("收到")
    await house.advance(seconds=1)
    await settle(house)
    assert "2条通知" in [text for _, text in await sun.texts()][-1]
    for each in (pipe, boiler):
        assert (await counts(centre, each))[Outcome.ACKNOWLEDGED] == 1

    # the older line's button is for its own, the next word for the rest
    (older,) = [line for line in await customer.lines() if "管道爆裂" in line["text"]]
    await customer.writes("收到", payload=older["buttons"][0]["payload"])
    assert (await counts(centre, pipe))[Outcome.ACKNOWLEDGED] == 2
    assert (await counts(centre, boiler))[Outcome.ACKNOWLEDGED] == 1
    assert "还有1条通知" in " ".join(await customer.texts())
    await customer.writes("1")
    assert (await counts(centre, boiler))[Outcome.ACKNOWLEDGED] == 2

    # a key is for what the call said
    await house.advance(minutes=16)
    await settle(house)
    await zhao.answer()
    await zhao.listen()
    said = " ".join(await zhao.heard())
    await zhao.press("1")
    tallies = {each: (await counts(centre, each))[Outcome.ACKNOWLEDGED] for each in (pipe, boiler)}
    assert tallies == ({pipe: 3, boiler: 2} if "管道爆裂" in said else {pipe: 2, boiler: 3})


def _at_the_chat_page(session: Session, name: str, now: datetime) -> None:
    """Staff have found out that the visitor at the chat page is this person, and merge the two."""
    visitor = session.scalars(select(Address.contact_id).where(Address.channel == ChannelName.WEBCHAT)).one()
    known = session.scalars(select(Contact.id).where(Contact.name == name)).one()
    somebody = session.scalars(select(Staff.id).order_by(Staff.id)).first()
    assert somebody is not None
    contacts.merge(session, visitor, known, staff_id=somebody, why="told us", now=now)


def _states(session: Session, name: str) -> list[tuple[ChannelName, DeliveryState]]:
    contact = session.scalars(select(Contact.id).where(Contact.name == name)).one()
    rows = session.scalars(
        select(Delivery).where(Delivery.contact_id == contact, Delivery.recipient_id.is_not(None)).order_by(Delivery.id)
    )
    return [(d.channel, d.state) for d in rows]
