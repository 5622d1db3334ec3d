"""Next steps: given from the report, told, reminded, chased, closed with a result (REQ-A11, C17)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import httpx
import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from bot.core.plan import Trigger
from bot.core.words import ChannelName
from bot.services.escalation import alerts
from bot.services.plans import followups, next_steps
from bot.services.plans.planning import Occurrence
from store.tables import AuditEntry, Delivery, NextStep, Revision
from tests.fakes.house import House
from tests.fakes.people import Colleague

REPORTS = "/console/reports"
STEPS = "/console/steps"


def shanghai(day: int, hour: int, minute: int) -> datetime:
    return datetime(2026, 7, day, hour, minute, tzinfo=UTC) - timedelta(hours=8)


async def signed_in(house: House, username: str) -> Colleague:
    """Each at a browser of their own, before the same program."""
    person = Colleague("http://hotline.test")
    person.client = httpx.AsyncClient(transport=httpx.ASGITransport(house.app), base_url="http://hotline.test")
    return await person.signs_in(house.centre, username)


async def callbacks(house: House) -> list[int]:
    """Two follow-ups."""

    def work(session: Session) -> list[int]:
        now, made = house.clock.now(), []
        for n, name in enumerate(("李强", "赵敏"), start=1):
            what = Occurrence("visits", f"V{n}", Trigger.VISITED_NO_PURCHASE, f"+861390001000{n}", name, now)
            made.append(followups.record(session, house.centre, what, now).callback_id or 0)
        return made

    return await house.centre.db.write(work)


def told(house: House, staff_id: int) -> list[str]:
    return house.centre.db.read_now(lambda s: [each.body["text"] for each in reversed(alerts.unread(s, staff_id))])


def steps(house: House) -> list[NextStep]:
    return house.centre.db.read_now(lambda s: list(s.scalars(select(NextStep).order_by(NextStep.id))))


async def test_from_the_report_to_a_result(house: House) -> None:
    chosen = await callbacks(house)
    owner, agent = await signed_in(house, "reports"), await signed_in(house, "agent")
    assert "李强" in await owner.sees(REPORTS)
    given = {"owner": agent.staff_id, "what": "当面致歉", "due_on": "2026-07-02"}

    nothing = await owner.does(STEPS, on=REPORTS, **given)
    assert "said=nothing_chosen" in nothing.headers["location"]
    answer = await owner.does(STEPS, on=REPORTS, callback=[str(each) for each in chosen], **given)
    assert "said=handed_out" in answer.headers["location"]

    assert [(s.callback_id, s.owner_id, s.state) for s in steps(house)] == [(c, agent.staff_id, "open") for c in chosen]
    assert len(told(house, agent.staff_id)) == 1
    assert "当面致歉" not in told(house, agent.staff_id)[0]  # it may be read on a telephone of their own
    mine = await agent.sees(STEPS)
    assert mine.count("当面致歉") == 2
    first, second = steps(house)
    done = await agent.does(f"{STEPS}/{first.id}/finish", on=STEPS, result="已上门致歉")
    assert "said=saved" in done.headers["location"]
    assert "已上门致歉" in await owner.sees(f"{STEPS}?view=done")
    again = await agent.does(f"{STEPS}/{first.id}/finish", on=STEPS, result="别的结果")
    assert "said=step_done" in again.headers["location"]

    other = await signed_in(house, "agent2")
    assert "当面致歉" not in await other.sees(STEPS)
    assert (await other.does(f"{STEPS}/{second.id}/finish", on=STEPS, result="不是我的")).status_code == 404
    assert (await agent.does(f"{STEPS}/{second.id}/chase", on=STEPS)).status_code == 403
    written = house.centre.db.read_now(
        lambda s: s.scalars(select(AuditEntry.action).where(AuditEntry.action.startswith("next_step."))).all()
    )
    assert written == ["next_step.add", "next_step.add", "next_step.finish"]


async def test_what_is_late_is_marked_reminded_and_chased(house: House) -> None:
    chosen = await callbacks(house)
    owner, agent = await signed_in(house, "reports"), await signed_in(house, "agent")
    await owner.does(STEPS, on=REPORTS, callback=str(chosen[0]), owner=agent.staff_id, what="回电", due_on="2026-07-02")
    assert await next_steps.remind(house.centre) == 0  # not due yet

    house.clock.set(shanghai(2, 7, 59))
    assert await next_steps.remind(house.centre) == 0
    house.clock.set(shanghai(2, 8, 0))
    assert await next_steps.remind(house.centre) == 1
    assert await next_steps.remind(house.centre) == 0  # once a day
    assert (len(told(house, agent.staff_id)), told(house, owner.staff_id)) == (2, [])

    house.clock.set(shanghai(3, 9, 0))
    assert await next_steps.remind(house.centre) == 1
    assert len(told(house, agent.staff_id)) == 3
    assert len(told(house, owner.staff_id)) == 1  # now it is late, and they gave it
    assert "已超时" in await owner.sees(f"{STEPS}?view=late")

    [step] = steps(house)
    await owner.does(f"{STEPS}/{step.id}/chase", on=STEPS)
    assert len(told(house, agent.staff_id)) == 4
    other = await signed_in(house, "agent2")
    await owner.does(f"{STEPS}/{step.id}/change", on=STEPS, owner=other.staff_id, due_on="2026-07-06")
    assert len(told(house, other.staff_id)) == 1
    kept = house.centre.db.read_now(
        lambda s: [(r.field, r.old, r.new) for r in s.scalars(select(Revision).where(Revision.subject == "next_step"))]
    )
    assert kept == [
        ("owner_id", str(agent.staff_id), str(other.staff_id)),
        ("due_on", "2026-07-02", "2026-07-06"),
    ]
    assert await next_steps.remind(house.centre) == 0
    sent = house.centre.db.read_now(
        lambda s: s.scalars(select(Delivery.channel).where(Delivery.dedupe_key.startswith("alert:next_step"))).all()
    )
    assert set(sent) == {ChannelName.STAFF}


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_the_page_leads_down_to_its_rows(house: House) -> None:
    await callbacks(house)
    owner = await signed_in(house, "reports")
    page = await owner.sees(REPORTS)
    assert "of=coverage" in page
    assert "<svg" in page
    assert "李强" in await owner.sees(f"{REPORTS}?of=coverage&plan=visited_no_purchase")
    assert "李强" not in await owner.sees(f"{REPORTS}?of=connected")
    assert "李强" not in await owner.sees(f"{REPORTS}?plan=requested")
    assert "李强" not in await owner.sees(f"{REPORTS}?result=completed")
    for odd in ("of=x", "plan=x", "result=x", "day=x", "since=2026-07-05&until=2026-07-01"):
        assert await owner.sees(f"{REPORTS}?{odd}")


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_the_daily_file_is_listed_told_and_taken(house: House) -> None:
    await callbacks(house)
    owner, agent = await signed_in(house, "reports"), await signed_in(house, "agent")
    house.clock.set(shanghai(2, 8, 0))
    await house.heartbeat.run_errands()
    assert any("2026-07-01" in text for text in told(house, owner.staff_id))
    page = await owner.sees(f"{REPORTS}/daily")
    assert "follow-ups-2026-07-01.xlsx" in page
    file = await owner.client.get(f"{REPORTS}/daily/2026-07-01.xlsx")
    assert (file.status_code, file.content[:2]) == (200, b"PK")
    assert (await owner.client.get(f"{REPORTS}/daily/2026-06-30.xlsx")).status_code == 404
    assert (await agent.client.get(f"{REPORTS}/daily/2026-07-01.xlsx")).status_code == 403
    taken = house.centre.db.read_now(
        lambda s: s.scalars(select(AuditEntry.staff_id).where(AuditEntry.action == "report.download")).all()
    )
    assert taken == [owner.staff_id]
