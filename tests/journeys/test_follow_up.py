"""Story 2: a list of visits comes in, the telephone rings when it may, what is said reaches record and report."""

from __future__ import annotations

import asyncio
import io
from datetime import UTC, datetime, timedelta

import openpyxl
from sqlalchemy import select
from sqlalchemy.orm import Session

from bot.core.telephone import CallState
from bot.core.words import (
    CallbackState,
    CaseKind,
    CaseState,
    ChannelName,
    DeliveryState,
    Disposition,
    EscalationState,
    FollowUpGroup,
    Role,
)
from bot.reports import delivery
from bot.services import contacts
from bot.services.casework import cases
from bot.services.plans import followups, imports
from store.tables import Answer, CallAttempt, Callback, Case, Delivery, Escalation, Event, ImportRun, Staff
from tests.fakes.desk import Desk, columns_of
from tests.fakes.handset import Handset
from tests.fakes.house import House

NUMBER = "+8613900010001"
VISITS = """姓名,称呼,电话,到诊时间,事件,科室
王秀英,王女士,13900010001,2026-07-01 09:30,{kind},口腔科
,,12,,,
"""


def shanghai(day: int, hour: int, minute: int = 0) -> datetime:
    return datetime(2026, 7, day, hour, minute, tzinfo=UTC) - timedelta(hours=8)


async def at(house: House, moment: datetime) -> None:
    """Lets time pass until `moment`, and what is due then go out at the telephone's real rate, one call a second."""
    house.clock.set(moment)
    due = select(Delivery.id).where(Delivery.state == DeliveryState.QUEUED, Delivery.not_before <= moment).limit(1)
    await house.settle()
    while await house.centre.db.read(lambda s: s.scalar(due)) is not None:
        await asyncio.sleep(0.2)
        await house.settle()


def callback(house: House) -> Callback:
    return house.centre.db.read_now(lambda s: s.scalars(select(Callback).order_by(Callback.id.desc()).limit(1)).one())


def attempts(house: House) -> list[Disposition | None]:
    query = select(CallAttempt.disposition).order_by(CallAttempt.id)
    return house.centre.db.read_now(lambda s: list(s.scalars(query)))


def answers(house: House) -> dict[str, str]:
    return house.centre.db.read_now(lambda s: {a.question: a.answer for a in s.scalars(select(Answer))})


async def told(house: House, kind: str) -> Desk:
    """A supervisor takes in the list at the console."""
    desk = await Desk.of(house.centre, house.client, Role.SUPERVISOR)
    await desk.see("/console/callbacks/import")
    files = {"file": ("visits.csv", VISITS.format(kind=kind).encode("gb18030"), "text/csv")}
    job = await desk.do("/console/callbacks/import", files=files)
    await desk.do(f"{job}/start", column=columns_of(await desk.see(job)))
    await house.settle()
    page = await desk.see(job)
    assert "新增 1" in page
    assert "第 3 行" in page
    return desk


async def test_from_the_list_to_the_report(house: House) -> None:
    await told(house, "到诊未消费")
    phone = await Handset.of(house, NUMBER)
    await at(house, shanghai(1, 14, 29))
    assert await phone.state() is None
    await at(house, shanghai(1, 14, 30))
    assert await phone.state() is CallState.RINGING
    await phone.answer()
    await phone.listen()
    opening = " ".join(await phone.heard())
    assert "王女士" in opening
    assert "云栖综合服务中心" in opening
    await phone.say("方便，您说")
    await phone.listen()
    await phone.press("5")
    await phone.listen()
    await phone.say("前台可以再快一点")
    await phone.listen()
    assert await phone.state() is CallState.COMPLETED
    done = callback(house)
    assert (done.state, done.disposition) == (CallbackState.DONE, Disposition.COMPLETED)
    assert answers(house) == {"score_service": "5", "suggestion": "前台可以再快一点"}
    desk = await Desk.of(house.centre, house.client, Role.SUPERVISOR)
    person = await desk.see(f"/console/contacts/{done.contact_id}")
    assert "全部完成" in person
    report = await desk.client.get("/console/reports/follow-ups.xlsx")
    rows = openpyxl.load_workbook(io.BytesIO(report.content))["回访明细"].iter_rows(values_only=True)
    head, row = [str(name) for name in next(rows)], next(rows)
    cells = dict(zip(head, row, strict=True))
    assert (cells["客户"], cells["类别"], cells["结果"], cells["时段"]) == (
        "王秀英",
        "到诊未消费",
        "全部完成",
        "14:30–16:30",
    )
    assert (cells["服务满意度"], cells["意见建议"]) == ("5", "前台可以再快一点")


async def test_a_red_flag_stops_the_script_and_raises_a_case(house: House) -> None:
    await told(house, "到诊消费")
    phone = await Handset.of(house, NUMBER)
    await at(house, shanghai(1, 18, 59))
    assert await phone.state() is None
    await at(house, shanghai(1, 19))
    await phone.answer()
    await phone.listen()
    await phone.say("方便")
    await phone.listen()
    await phone.say("有，昨晚开始发烧")
    await phone.listen()
    for _ in range(2):
        if await phone.state() is CallState.IN_PROGRESS:
            await phone.say("三十九度")
            await phone.listen()
    case = house.centre.db.read_now(lambda s: s.scalars(select(Case)).one())
    assert (case.kind, case.callback_id) == (CaseKind.RED_FLAG, callback(house).id)
    assert callback(house).disposition is Disposition.ESCALATED


async def test_declined_three_times_then_one_message(house: House) -> None:
    await told(house, "到诊未消费")
    phone = await Handset.of(house, NUMBER)
    for moment in (shanghai(1, 14, 30), shanghai(1, 14, 40), shanghai(1, 14, 50)):
        await at(house, moment)
        assert await phone.state() is CallState.RINGING
        await phone.hang_up()
    await at(house, shanghai(1, 14, 51))
    assert callback(house).state is CallbackState.GIVEN_UP
    texts = await phone.texts()
    assert len(texts) == 1
    assert "王女士" in texts[0][1]
    await at(house, shanghai(2, 14, 30))
    assert attempts(house) == [Disposition.BUSY] * 3


async def test_hung_up_half_way_goes_on_where_it_stopped(house: House) -> None:
    await told(house, "到诊未消费")
    phone = await Handset.of(house, NUMBER)
    await at(house, shanghai(1, 14, 30))
    await phone.answer()
    await phone.listen()
    await phone.say("方便")
    await phone.listen()
    await phone.press("4")
    await phone.listen()
    await phone.hang_up()
    assert attempts(house) == [Disposition.PARTLY_COMPLETED]
    await at(house, shanghai(1, 15))
    await phone.answer()
    await phone.listen()
    await phone.heard()
    await phone.say("方便")
    await phone.listen()
    assert not any("打几分" in line or "1 到 5" in line for line in await phone.heard())
    await phone.say("没有了")
    await phone.listen()
    assert answers(house)["score_service"] == "4"
    assert callback(house).state is CallbackState.DONE


async def test_stop_calling_me_is_the_last_word(house: House) -> None:
    await told(house, "到诊未消费")
    phone = await Handset.of(house, NUMBER)
    await at(house, shanghai(1, 14, 30))
    await phone.answer()
    await phone.listen()
    await phone.say("以后别再给我打电话了")
    await phone.listen()
    assert (callback(house).state, callback(house).disposition) == (CallbackState.DONE, Disposition.OPTED_OUT)
    again = imports.import_file(
        house.centre,
        "more.csv",
        VISITS.format(kind="到诊未消费").replace("09:30", "09:45").encode(),
        now=house.clock.now(),
    )
    assert [problem.code for problem in again.unplanned] == ["opted_out"]


async def test_a_complaint_not_settled_after_all_is_opened_again_one_level_higher(house: House) -> None:
    centre, now = house.centre, house.clock.now()

    def complain(session: Session) -> int:
        known = contacts.meet(
            session, ChannelName.VOICE, NUMBER, language=centre.settings.language, zone="Asia/Shanghai", now=now
        )
        contacts.learn(session, known.contact_id, {"name": "王秀英", "title": "王女士"}, now=now, why="test")
        case = cases.open_case(
            session,
            kind=CaseKind.COMPLAINT,
            contact_id=known.contact_id,
            subject="维修拖了两天",
            zone=centre.settings.zone,
            now=now,
        )
        staff_id = session.scalars(select(Staff.id).limit(1)).one()
        cases.give_feedback(session, case.id, "已上门修好", staff_id=staff_id, now=now)
        cases.close(session, case.id, staff_id=None, now=now)
        return case.id

    case_id = centre.db.write_now(complain)
    await house.settle()
    owed = callback(house)
    assert (owed.follow_up_group, owed.case_id, owed.due_at) == (
        FollowUpGroup.AFTER_COMPLAINT,
        case_id,
        shanghai(4, 9),
    )
    phone = await Handset.of(house, NUMBER)
    await at(house, shanghai(4, 9))
    await phone.answer()
    await phone.listen()
    await phone.say("方便")
    await phone.listen()
    await phone.say("没有解决")
    await phone.listen()
    case = centre.db.read_now(lambda s: s.get_one(Case, case_id))
    assert (case.state, case.level) == (CaseState.OPEN, 1)
    climbing = centre.db.read_now(
        lambda s: s.scalars(select(Escalation.state).where(Escalation.case_id == case_id)).all()
    )
    assert climbing == [EscalationState.RUNNING]
    centre.db.write_now(lambda s: followups.tick(s, centre, house.clock.now()))
    assert len(centre.db.read_now(lambda s: s.scalars(select(Event)).all())) == 1


async def test_yesterdays_report_is_written_once(house: House) -> None:
    await told(house, "到诊未消费")
    await at(house, shanghai(1, 14, 30))
    await at(house, shanghai(2, 7, 59))
    assert await delivery.daily(house.centre) == 0  # the policies say when
    await at(house, shanghai(2, 8))
    assert await delivery.daily(house.centre) == 1
    path = house.centre.settings.home / "reports" / "follow-ups-2026-07-01.xlsx"
    assert openpyxl.load_workbook(path)["回访明细"].max_row == 2
    assert await delivery.daily(house.centre) == 0
    path.unlink()
    assert await delivery.daily(house.centre) == 0  # another process wrote it: the log knows
    assert len(house.centre.db.read_now(lambda s: s.scalars(select(ImportRun)).all())) == 1
