"""A broken washing machine: registered, a visit booked, reminded, moved, done, settled, and nothing more. Over HTTP."""

from __future__ import annotations

import re

import pytest
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from bot.core.words import CaseKind, Purpose, RepairStage, VisitState
from store.tables import Case, Delivery, Message, RepairOrder, Visit
from tests.fakes.house import House
from tests.fakes.people import Colleague, Customer

STORIES = {
    "zh": {
        "report": ["洗衣机坏了，不脱水", "海风牌X200", "从昨天开始不脱水", "跳过", "师傅上门", "李敏", "13800001234"],
        "where": "3号楼2单元501",
        "when": "明天下午",
        "booked": "约好了：明天7月2日（周四）14:00–16:00",
        "reminder": "提醒您：明天7月2日（周四）14:00–16:00师傅上门",
        "move": ["换个时间", "后天上午十点"],
        "moved": "改好了：后天7月3日（周五）10:00–12:00师傅上门",
        "state": "已约好上门",
        "ask": "我的维修到哪一步了",
    },
    "en": {
        "report": [
            "My washing machine is broken, it won't spin", "Haifeng X200", "it stopped spinning yesterday", "skip",
            "At my home", "Ann Lee", "+86 138 0000 1234",
        ],
        "where": "Building 3, unit 2, room 501",
        "when": "tomorrow afternoon",
        "booked": "Booked: tomorrow, Thu 2 Jul, 14:00–16:00",
        "reminder": "A reminder: our engineer comes tomorrow, Thu 2 Jul, 14:00–16:00",
        "move": ["Another time", "Friday at 10 am"],
        "moved": "The engineer will come the day after tomorrow, Fri 3 Jul, 10:00–12:00",
        "state": "a visit is booked",
        "ask": "Is my repair ready yet?",
    },
}  # fmt: skip


@pytest.mark.parametrize("language", ["zh", "en"])
async def test_a_washing_machine(
    house: House, customer: Customer, english_customer: Customer, agent: Colleague, supervisor: Colleague, language: str
) -> None:
    who, story = (customer if language == "zh" else english_customer), STORIES[language]
    await who.comes()
    for line in (*story["report"], story["where"]):
        await who.writes(line)
    case = await house.centre.db.read(lambda s: s.scalars(select(Case)).one())
    assert (case.kind, case.queue) == (CaseKind.REPAIR, "repairs")
    await who.writes(str(story["when"]))
    said = " ".join(await who.texts())
    assert story["booked"] in said
    assert case.number in said
    await who.writes(str(story["ask"]))
    assert story["state"] in " ".join((await who.texts())[-3:])

    await house.advance(hours=3)
    assert story["reminder"] not in " ".join(await who.texts())
    await house.advance(hours=1)
    await house.advance(minutes=10)
    lines = await who.lines()
    assert sum(str(story["reminder"]) in line["text"] for line in lines) == 1
    assert len(lines[-1]["buttons"]) == 3
    for line in story["move"]:
        await who.writes(line)
    assert story["moved"] in (await who.texts())[-1]
    if language == "en":
        assert not re.search(r"[\u4e00-\u9fff]", " ".join(await who.texts()))

    await house.advance(days=1)  # the reminder of the new time, and the customer's yes
    await who.writes("1")
    await house.advance(days=1)
    visits = await house.centre.db.read(lambda s: s.scalars(select(Visit).order_by(Visit.id)).all())
    assert [visit.state for visit in visits] == [VisitState.MOVED, VisitState.BOOKED]
    assert visits[-1].confirmed_at is not None

    page = f"/console/cases/{case.id}"
    told = await count(house)
    await agent.does(f"/console/repairs/{case.id}/charge", on=page, charged="false")
    await agent.does(f"/console/visits/{visits[-1].id}/done", on=page)
    for stage in ("repairing", "quality_check"):
        await agent.does(f"/console/repairs/{case.id}/stage", on=page, to=stage)
    order = await house.centre.db.read(lambda s: s.get_one(RepairOrder, case.id))
    assert order.stage is RepairStage.QUALITY_CHECK
    await supervisor.does(f"/console/repairs/{case.id}/stage", on=page, to="settled")
    assert (await house.centre.db.read(lambda s: s.get_one(RepairOrder, case.id))).stage is RepairStage.SETTLED
    await house.advance(days=3)
    assert await count(house) == told


async def count(house: House) -> tuple[int, int]:
    """Lines in transcripts, and notices that left."""

    def work(session: Session) -> tuple[int, int]:
        notices = select(func.count()).select_from(Delivery).where(Delivery.purpose == Purpose.SERVICE_NOTICE)
        lines = session.scalar(select(func.count()).select_from(Message))
        return lines or 0, session.scalar(notices) or 0

    return await house.centre.db.read(work)
