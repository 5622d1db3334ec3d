"""The callback queue, lists taken in, and reports at the console: who sees what, and what a change does."""

from __future__ import annotations

import io
import re
from datetime import UTC, datetime

import openpyxl
import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from bot.core.plan import Trigger
from bot.core.words import CallbackState, Role
from bot.services.plans import followups
from bot.services.plans.planning import Occurrence
from store.tables import Answer, AuditEntry, Callback, Event, NextStep
from tests.fakes.desk import Desk, columns_of
from tests.fakes.house import House

PHONE = "+8613900010001"
LIST = "姓名,称呼,电话,到诊时间,事件\n王秀英,王女士,13900010001,2026-07-01 09:30,到诊未消费\n,,12,,\n"
REVISION = re.compile(r'name="revision" value="(\d+)"')


@pytest.fixture
def callback_id(house: House) -> int:
    """A patient who visited this morning, with a health answer and a score already given."""

    def work(session: Session) -> int:
        now = house.clock.now()
        what = Occurrence("visits", "V1", Trigger.VISITED_NO_PURCHASE, PHONE, "王秀英", now, title="王女士")
        recorded = followups.record(session, house.centre, what, now)
        assert recorded.callback_id is not None
        for question, answer, score in (("discomfort", "伤口有点红", None), ("score_service", "2", 2)):
            session.add(Answer(callback_id=recorded.callback_id, question=question, answer=answer, score=score, at=now))
        return recorded.callback_id

    return house.centre.db.write_now(work)


def stored(house: House, callback_id: int) -> Callback:
    return house.centre.db.read_now(lambda s: s.get_one(Callback, callback_id))


@pytest.mark.usefixtures("callback_id")
async def test_the_queue_says_what_is_due_when(house: House) -> None:
    desk = await Desk.of(house.centre, house.client, Role.SUPERVISOR)
    page = await desk.see("/console/callbacks")
    assert "王女士" in page
    assert "14:30" in page
    assert "到诊未消费" in page
    assert "王女士" not in await desk.see("/console/callbacks?view=later")
    assert "Callbacks" in await desk.see("/console/callbacks?lang=en")


async def test_a_supervisor_moves_and_cancels_a_call(house: House, callback_id: int) -> None:
    desk = await Desk.of(house.centre, house.client, Role.SUPERVISOR)
    at = f"/console/callbacks/{callback_id}"
    revision = REVISION.findall(await desk.see(at))[0]
    where = await desk.do(f"{at}/postpone", revision=revision, at="2026-07-02T15:00")
    assert "saved" in where
    assert stored(house, callback_id).due_at == datetime(2026, 7, 2, 7, 0, tzinfo=UTC)
    assert "callback_changed" in await desk.do(f"{at}/postpone", revision=revision, at="2026-07-02T15:30")
    revision = REVISION.findall(await desk.see(at))[0]
    assert "outside_window" in await desk.do(f"{at}/postpone", revision=revision, at="2026-07-03T03:00")
    assert "time_bad" in await desk.do(f"{at}/postpone", revision=revision, at="tomorrow")
    await desk.do(f"{at}/cancel", revision=revision, text="患者来电取消")
    assert stored(house, callback_id).state is CallbackState.CANCELLED
    assert "王女士" in await desk.see("/console/callbacks?view=done")


async def test_an_agent_looks_but_does_not_change(house: House, callback_id: int) -> None:
    desk = await Desk.of(house.centre, house.client, Role.AGENT)
    page = await desk.see(f"/console/callbacks/{callback_id}")
    assert "13900010001" not in page
    assert "伤口有点红" not in page
    await desk.do(f"/console/callbacks/{callback_id}/cancel", status=403, revision=0)
    await desk.see("/console/callbacks/import", status=403)
    await desk.see("/console/reports", status=403)


async def test_health_answers_are_for_those_who_may_see_them(house: House, callback_id: int) -> None:
    supervisor = await Desk.of(house.centre, house.client, Role.SUPERVISOR)
    assert "伤口有点红" not in await supervisor.see(f"/console/callbacks/{callback_id}")
    owner = await Desk.of(house.centre, house.client, Role.REPORT_OWNER)
    assert "伤口有点红" in await owner.see(f"/console/callbacks/{callback_id}")


async def test_a_report_owner_assigns_a_next_step_and_its_owner_says_what_came_of_it(
    house: House, callback_id: int
) -> None:
    agent = (await Desk.of(house.centre, house.client, Role.AGENT)).staff_id
    desk = await Desk.of(house.centre, house.client, Role.REPORT_OWNER)
    at = f"/console/callbacks/{callback_id}"
    await desk.see(at)
    await desk.do(f"{at}/steps", owner=agent, due_on="2026-07-03", what="请护士长回电")
    step = house.centre.db.read_now(lambda s: s.scalars(select(NextStep)).one())
    assert (step.owner_id, step.what, step.state) == (agent, "请护士长回电", "open")
    other = await Desk.of(house.centre, house.client, Role.AGENT)
    await other.see(at)
    await other.do(f"{at}/steps/{step.id}", result="已回电，伤口正常")
    step = house.centre.db.read_now(lambda s: s.scalars(select(NextStep)).one())
    assert (step.state, step.result) == ("done", "已回电，伤口正常")


@pytest.mark.parametrize("data", [b"", b"\x00\x01\x02", b"PK\x03\x04broken"])
async def test_a_file_that_is_no_list_is_refused_kindly(house: House, data: bytes) -> None:
    desk = await Desk.of(house.centre, house.client, Role.SUPERVISOR)
    await desk.see("/console/callbacks/import")
    page = await desk.do("/console/callbacks/import", status=422, files={"file": ("x.csv", data, "text/csv")})
    assert 'role="alert"' in page


async def test_what_strangers_wrote_is_never_markup(house: House) -> None:
    desk = await Desk.of(house.centre, house.client, Role.SUPERVISOR)
    await desk.see("/console/callbacks/import")
    nasty = LIST.replace("王女士", "<script>alert(1)</script>")
    job = await desk.do("/console/callbacks/import", files={"file": ("<b>.csv", nasty.encode(), "text/csv")})
    assert "<script>alert" not in await desk.see(job)
    await desk.do(f"{job}/start", column=columns_of(await desk.see(job)))
    await house.settle()
    for path in (job, "/console/callbacks", "/console/callbacks/import", "/console/reports"):
        assert "<script>alert" not in await desk.see(path)


@pytest.mark.usefixtures("callback_id")
async def test_the_report_is_had_as_a_page_and_as_a_spreadsheet_and_that_is_logged(house: House) -> None:
    desk = await Desk.of(house.centre, house.client, Role.REPORT_OWNER)
    assert "王秀英" in await desk.see("/console/reports")
    answer = await desk.client.get("/console/reports/follow-ups.xlsx")
    book = openpyxl.load_workbook(io.BytesIO(answer.content))
    cells = [str(cell.value) for row in book["回访明细"].iter_rows() for cell in row]
    assert "王秀英" in cells
    assert "伤口有点红" not in cells, "health answers leave only with a second person's approval"
    csv = await desk.client.get("/console/reports/follow-ups.csv?lang=en")
    assert csv.content.decode("utf-8-sig").startswith("No.,")
    logged = house.centre.db.read_now(
        lambda s: s.scalars(select(AuditEntry).where(AuditEntry.action == "report.follow_ups")).all()
    )
    assert [(entry.staff_id, entry.details["rows"]) for entry in logged] == [(desk.staff_id, 1)] * 2


async def test_events_that_wait_for_a_setting_are_shown_and_planned_when_it_is_there(house: House) -> None:
    def work(session: Session) -> None:
        now = house.clock.now()
        what = Occurrence("visits", "V9", Trigger.VISITED_NO_PURCHASE, PHONE, "王秀英", now)
        recorded = followups.record(session, house.centre, what, now)
        session.delete(session.get_one(Callback, recorded.callback_id))
        session.get_one(Event, recorded.event_id).unplanned = "seasons_unset"

    house.centre.db.write_now(work)
    desk = await Desk.of(house.centre, house.client, Role.SUPERVISOR)
    assert "换季日期" in await desk.see("/console/callbacks")
    await desk.do("/console/callbacks/replan")
    assert "换季日期" not in await desk.see("/console/callbacks")
    assert len(house.centre.db.read_now(lambda s: s.scalars(select(Callback)).all())) == 1
