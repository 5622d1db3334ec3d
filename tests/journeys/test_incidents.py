"""Story 4: two drills by the clock, from detection to the filed report, and that no customer hears of either."""

from __future__ import annotations

import io
import re
from datetime import timedelta

import docx
import openpyxl
import pytest
from sqlalchemy import func, select

from bot.core.words import ChannelName, IncidentState, StepState
from bot.services.escalation import alerts
from bot.services.incidents import incident_steps
from store.tables import Broadcast, Delivery, Incident, IncidentStep, Message
from tests.fakes.house import House
from tests.fakes.people import Colleague

PAGE = "/console/incidents"


@pytest.fixture
async def people(address: str, house: House) -> dict[str, Colleague]:
    """Somebody of each role, signed in."""
    names = ("agent", "leader", "supervisor", "manager", "ops")
    found = {name: await Colleague(address).signs_in(house.centre, name) for name in names}
    yield found  # type: ignore[misc]
    for each in found.values():
        await each.leaves()


def number(location: str) -> int:
    found = re.search(r"/(\d+)", location)
    assert found, location
    return int(found[1])


class Story:
    """One incident at the console."""

    def __init__(self, house: House, people: dict[str, Colleague], incident: int) -> None:
        self.house, self.people, self.incident = house, people, incident
        self.at = f"{PAGE}/{incident}"

    def row(self, key: str) -> IncidentStep:
        query = select(IncidentStep).where(IncidentStep.incident_id == self.incident, IncidentStep.key == key)
        return self.house.centre.db.read_now(lambda s: s.scalars(query.order_by(IncidentStep.id)).first())

    def state(self) -> IncidentState:
        return self.house.centre.db.read_now(lambda s: s.get_one(Incident, self.incident).state)

    async def does(self, who: str, what: str, /, **form: str) -> str:
        answer = await self.people[who].does(f"{self.at}/{what}", on=self.at, **form)
        assert answer.status_code == 303, answer.text[:400]
        return str(answer.headers["location"])

    async def step(self, who: str, key: str, text: str = "", how: str = "done") -> str:
        return await self.does(who, f"steps/{self.row(key).id}/{how}", text=text)

    def alerts(self, who: str) -> list[str]:
        staff_id = self.people[who].staff_id
        return [each.body["text"] for each in self.house.centre.db.read_now(lambda s: alerts.unread(s, staff_id, 100))]

    async def all_steps(self, who: str) -> None:
        """Ticks off whatever is still to do."""
        for _ in range(60):
            rows = self.house.centre.db.read_now(lambda s: incident_steps.steps_of(s, self.incident))
            left = [r for r in rows if r.state is StepState.OPEN and r.plan != incident_steps.AFTERWARDS]
            if not left:
                return
            await self.step(who, left[0].key, "已办")
        raise AssertionError("steps without end")


async def open_drill(house: House, people: dict[str, Colleague], code: str, title: str, **more: str) -> Story:
    answer = await people["leader"].does(PAGE, on=PAGE, code=code, title=title, drill="true", **more)
    await house.settle()
    return Story(house, people, number(answer.headers["location"]))


def no_customer_heard(house: House) -> None:
    """Nothing went to anybody but staff: no row of the outbox, no line in a conversation."""

    def look(session):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
        outside = select(func.count()).select_from(Delivery).where(Delivery.channel != ChannelName.STAFF)
        return session.scalar(outside), session.scalar(select(func.count()).select_from(Message))

    assert house.centre.db.read_now(look) == (0, 0)


async def test_a_heating_failure_drill(house: House, people: dict[str, Colleague]) -> None:
    story = await open_drill(house, people, "INC-30", "演练：二号炉停炉", buildings="3")
    assert any("【演练】" in text and "二号炉停炉" in text for text in story.alerts("leader"))
    assert "需要有人处理" not in " ".join(story.alerts("agent"))

    # relayed to three, each acknowledges; the agent was not told and cannot
    relay = story.row("relay")
    for who in ("supervisor", "manager"):
        assert "acknowledged" in await story.step(who, "relay", how="ack")
    assert story.row("relay").state is StepState.OPEN
    assert "not_told" in await story.step("leader", "relay", how="ack")
    await story.step("ops", "relay", how="ack")
    assert story.row("relay").state is StepState.DONE
    assert relay.due_at == relay.started_at + timedelta(minutes=15)

    # with the company informed the hour of the authorities begins (REQ-B31)
    report = story.row("authorities")
    assert report.state is StepState.OPEN
    assert report.due_at == story.row("relay").done_at + timedelta(hours=1)

    # figures, a suggestion, a manager where they leave it open
    await story.does("leader", "confirm")
    await story.does("leader", "facts", load_drop="55")
    page = await people["leader"].sees(story.at)
    assert "还不知道影响多久" in page
    assert "manager_wanted" in await story.does("leader", "grade", grade="I")
    await story.does("leader", "facts", load_drop="55", affected="121")
    assert "saved" in await story.does("leader", "grade", grade="I")
    assert story.row("command").plan == "grade_I"

    # the crew is late: those above hear of it
    await house.advance(minutes=31)
    assert any("已超时" in text and "到场" in text for text in story.alerts("supervisor"))
    await story.step("ops", "crew", "抢修一组到场")
    assert "result_missing" in await story.step("manager", "authorities")
    await story.step("manager", "authorities", "10:35 电话报市安监，接报人值班员")

    # an announcement of the drill reaches staff alone
    draft = {"text_zh": "演练：停暖", "text_en": "Drill: heating off", "buildings": "3", "channels": ["sms", "voice"]}
    answer = await people["ops"].does("/console/broadcasts", on=story.at, incident=story.incident, **draft)
    notice = number(answer.headers["location"])
    here = f"/console/broadcasts/{notice}"
    await people["supervisor"].does(f"{here}/approve", on=here, revision="1", launch="true")
    await house.advance(hours=2)
    assert house.centre.db.read_now(lambda s: s.get_one(Broadcast, notice)).drill
    no_customer_heard(house)

    # recovered: what was for while it lasted is moot, and whoever had been alerted is told
    await story.does("supervisor", "eta", at="2026-07-01T18:00")
    await story.does("supervisor", "recover", text="二号炉点火成功")
    assert any("已恢复" in text for text in story.alerts("manager"))
    assert story.row("temperatures").state is StepState.OPEN
    assert "all_clear_missing" in await story.does("supervisor", "close", text="好")
    answer = await people["ops"].does(f"{here}/follow", on=story.at, kind="all_clear")
    over = f"/console/broadcasts/{number(answer.headers['location'])}"
    await people["supervisor"].does(f"{over}/approve", on=over, revision="1", launch="true")
    assert story.state() is IncidentState.ALL_CLEAR

    # closing waits for the record
    assert "record_incomplete" in await story.does("supervisor", "close", text="好")
    await story.all_steps("leader")
    for kind in ("action", "cause"):
        await story.does("leader", "note", kind=kind, text="如实记录")
    await story.does("manager", "actions", what="换掉老化的给水泵", owner=str(people["ops"].staff_id), due="2026-07-20")
    await story.does("supervisor", "review", text="到场晚了十六分钟")
    assert "关闭之前还缺" not in await people["supervisor"].sees(story.at)
    assert "incident_closed" in await story.does("supervisor", "close", text="流程走通，到场要更快")
    assert story.state() is IncidentState.CLOSED

    # filed: a document with the timeline, the score and everybody who took part
    answer = await people["manager"].client.get(f"{story.at}/file.docx")
    words = "\n".join(
        cell.text
        for table in docx.Document(io.BytesIO(answer.content)).tables
        for row in table.rows
        for cell in row.cells
    )
    for expected in ("演练：二号炉停炉", "沈若云", "到场晚了十六分钟", "换掉老化的给水泵", "REQ-B31", "二号炉点火成功"):
        assert expected in words, expected
    answer = await people["manager"].client.get(f"{story.at}/file.xlsx")
    sheets = openpyxl.load_workbook(io.BytesIO(answer.content))
    assert any("经过" in name for name in sheets.sheetnames)
    assert "二号炉停炉" in await people["agent"].sees(f"{PAGE}/drills")

    # the corrective action is reminded of after the end, and nobody outside ever heard
    await house.advance(days=20)
    assert any("给水泵" in text for text in story.alerts("ops"))
    no_customer_heard(house)


async def test_a_system_fault_drill(house: House, people: dict[str, Colleague]) -> None:
    story = await open_drill(house, people, "INC-11", "演练：全席查询超时")

    # five minutes to the supervisor, ten to the manager whatever anybody does, sixty to a decision (REQ-B18..B20)
    assert any("全席" in text for text in story.alerts("supervisor"))
    assert not story.alerts("manager")
    await story.step("supervisor", "supervisor", how="ack")
    assert story.row("supervisor").state is StepState.DONE
    await story.does("supervisor", "confirm", plan="general")
    await house.advance(minutes=11)
    assert story.row("managers").state is StepState.DONE
    assert any("十分钟未恢复" in text for text in story.alerts("manager"))

    # the plan grows (REQ-F08); an agent may not start it, a leader only proposes
    assert (
        (await people["agent"].does(f"{story.at}/plan", on=story.at, plan="major"))
        .headers["location"]
        .endswith("not_allowed")
    )
    await story.does("supervisor", "plan", plan="major")
    assert story.row("on_site").plan == "major"
    wall = await people["agent"].sees(f"{PAGE}/wall")
    assert "演练：全席查询超时" in wall
    assert "重大预案" in wall

    # a drill keeps nobody at their seat
    answer = await people["agent"].does("/sign-out", on=PAGE)
    assert "leave_asked" not in answer.headers["location"]

    await house.advance(minutes=50)
    assert any("已超时" in text and "供应商" in text for text in story.alerts("manager"))
    assert "result_missing" in await story.step("manager", "vendor")
    await story.step("manager", "vendor", "请供应商远程支持")

    # back: the manual records are followed up, but in a drill nobody is called
    await story.does("ops", "recover", text="重启网关")
    form = {"taken_at": "2026-07-01T10:20", "matter": "查询进度", "number": "13800001234", "callback": "true"}
    answer = await people["leader"].does("/console/manual", on="/console/manual", incident=str(story.incident), **form)
    assert "added=1&known=0&calls=0" in answer.headers["location"]
    await story.does("supervisor", "waive", text="演练没有对外通知")
    await story.all_steps("leader")
    for kind in ("action", "cause", "measure"):
        await story.does("leader", "note", kind=kind, text="如实记录")
    await story.does("supervisor", "review", text="五分钟内报到主管")
    await story.does("manager", "close", text="合格")
    assert story.state() is IncidentState.CLOSED
    await house.advance(days=1)
    no_customer_heard(house)
