"""A complaint's life at the console: opened by hand, climbing, taken once, split, answered, closed, opened again; and
the floor's proposals and the roster, as each role may use them."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator

import pytest
from sqlalchemy import select, update

from bot.core.words import Presence
from bot.services.escalation import alerts
from store.tables import Case, Incident, Proposal, Staff
from tests.fakes.house import House
from tests.fakes.people import Colleague
from tests.services.test_escalations import staff_id, waiting

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
NEW = "/console/cases/new"


@pytest.fixture
async def manager(address: str, house: House) -> AsyncIterator[Colleague]:
    somebody = await Colleague(address).signs_in(house.centre, "manager")
    yield somebody
    await somebody.leaves()


async def told(house: House, username: str) -> int:
    person = await staff_id(house.centre, username)
    rows = await house.centre.db.read(lambda s: alerts.unread(s, person, 200))
    return len([row for row in rows if row.escalation_id is not None])


async def test_a_complaints_life(
    house: House, agent: Colleague, second_agent: Colleague, supervisor: Colleague
) -> None:
    form = {"kind": "complaint", "phone": "13800001111", "subject": "3-2-501漏水没人管", "urgent_why": "天花板要塌"}
    answer = await agent.does(NEW, on=NEW, **form, words="我都打了五次电话")
    page = answer.headers["location"].partition("?")[0]
    shown = await agent.sees(page)
    assert "***漏水没人管" in shown
    assert "我都打了五次电话" in shown
    assert "天花板要塌" in shown
    await house.settle()
    assert (await told(house, "leader"), await told(house, "supervisor")) == (1, 0)
    await house.advance(minutes=5)
    assert await told(house, "supervisor") == 1

    floor = await supervisor.sees("/console")
    alert = re.search(r'id="take-(\d+)"', floor)
    assert alert
    taken = await supervisor.does(f"/console/alerts/{alert[1]}", on="/console", reply="take")
    assert "said=alert_yours" in taken.headers["location"]
    late = await agent.does(f"/console/alerts/{alert[1]}", on="/console", reply="take")
    assert "said=alert_taken" in late.headers["location"]
    assert "接手。" in await agent.sees("/console")
    before = [await told(house, who) for who in ("leader", "supervisor", "manager")]
    await house.advance(minutes=90)
    assert [await told(house, who) for who in ("leader", "supervisor", "manager")] == before  # nothing more was sent

    to = await staff_id(house.centre, "agent2")
    await supervisor.does(f"{page}/tasks", on=page, department="维修部", what="堵漏", to=str(to))
    blocked = await supervisor.does(f"{page}/feedback", on=page, text="已堵漏，明天复查")
    assert "said=feedback_given" in blocked.headers["location"]
    refused = await supervisor.does(f"{page}/close", on=page, wrap_up="confirmed")
    assert "said=tasks_open" in refused.headers["location"]
    task = re.search(rf'action="{page}/tasks/(\d+)"', await second_agent.sees(page))
    assert task
    await second_agent.does(f"{page}/tasks/{task[1]}", on=page, result="已堵好")
    refused = await supervisor.does(f"{page}/close", on=page)
    assert "said=wrap_up_missing" in refused.headers["location"]
    await supervisor.does(f"{page}/close", on=page, wrap_up="confirmed")
    assert "客户确认已解决" in await supervisor.sees(page)
    again = await supervisor.does(f"{page}/reopen", on=page, text="又漏了")
    assert "said=saved" in again.headers["location"]
    case = await house.centre.db.read(lambda s: s.scalars(select(Case)).one())
    assert (case.level, case.reopened) == (3, 1)
    await house.settle()
    assert await told(house, "manager") == before[2] + 1


async def test_the_media_are_none_of_an_agents_business(agent: Colleague, manager: Colleague) -> None:
    answer = await agent.does(NEW, on=NEW, kind="media", phone="13800002222", subject="记者想采访停暖")
    page = answer.headers["location"].partition("?")[0]
    assert (await agent.client.get(page)).status_code == 404
    assert "记者" not in await agent.sees("/console/cases")
    assert (await agent.does(f"{page}/note", on="/console", text="x")).status_code == 404
    assert "记者" in await manager.sees(page)
    assert "记者" in await manager.sees("/console/cases")


async def test_full_lines_are_decided_by_a_supervisor_on_the_floor(
    house: House, agent: Colleague, supervisor: Colleague
) -> None:
    await house.centre.db.write(
        lambda s: (
            s.execute(update(Staff).where(Staff.username != "agent").values(presence=Presence.OFFLINE))
            and s.execute(update(Staff).values(capacity=0))
        )
    )
    await waiting(house.centre)
    await house.settle()
    await house.advance(minutes=15)
    proposal = await house.centre.db.read(lambda s: s.scalars(select(Proposal.id)).one())
    assert f'id="confirm-{proposal}"' in await supervisor.sees("/console")
    assert f"proposal-{proposal}" not in await agent.sees("/console")
    theirs = await agent.does(f"/console/proposals/{proposal}", on="/console", decision="confirm")
    assert theirs.status_code == 403
    await supervisor.does(f"/console/proposals/{proposal}", on="/console", decision="confirm")
    assert (await house.centre.db.read(lambda s: s.scalars(select(Incident)).one())).plan == "general"
    await house.advance(seconds=30)
    assert f"proposal-{proposal}" not in await supervisor.sees("/console")


async def test_the_roster_is_read_by_all_and_written_by_supervisors(
    house: House, agent: Colleague, supervisor: Colleague
) -> None:
    person = str(await staff_id(house.centre, "agent"))
    shift = {"person": person, "kind": "on_call", "day": "2026-07-01", "start": "20:00", "end": "08:00"}
    assert (await agent.does("/console/roster/shifts", on="/console", **shift)).status_code == 403
    await supervisor.does("/console/roster/shifts", on="/console/roster", **shift)
    await supervisor.does("/console/roster/numbers", on="/console/roster", person=person, kind="mobile",
                          number="13800003333")  # fmt: skip
    theirs = await agent.sees("/console/roster")
    assert "20:00–08:00" in theirs
    assert "空岗" in theirs
    assert "13800003333" not in theirs
    assert "****3333" in theirs
    assert "13800003333" in await supervisor.sees("/console/roster/print")
    bad = await supervisor.does("/console/roster/numbers", on="/console/roster", person=person, kind="mobile",
                                number="12")  # fmt: skip
    assert "said=phone_bad" in bad.headers["location"]
