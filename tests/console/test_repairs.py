"""Repairs and visits at the console: who may take which step, the quotation, the visit, the day's list."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from bot.core.words import CaseKind, ChannelName, Language, RepairStage, Role, VisitState
from bot.services import contacts
from bot.services.casework import cases
from store.tables import AuditEntry, RepairOrder, Visit
from tests.fakes.desk import Desk
from tests.fakes.house import House

SLOT = re.compile(r'<option value="(2026-07-02T06:00:00\+00:00)"')


@pytest.fixture
def case_id(house: House) -> int:
    """A washing machine in the queue for visits, of somebody with an address."""

    def work(session: Session) -> int:
        now = house.clock.now()
        known = contacts.meet(
            session, ChannelName.SMS, "+8619900000042", language=Language.ZH, zone="Asia/Shanghai", now=now
        )
        contacts.learn(session, known.contact_id, {"name": "李敏", "unit": "3-2-501"}, now=now, why="test")
        zone = house.centre.settings.zone
        contact_id = known.contact_id
        return cases.open_case(
            session, kind=CaseKind.REPAIR, contact_id=contact_id, subject="洗衣机", zone=zone, now=now, queue="visits"
        ).id

    return house.centre.db.write_now(work)


def order(house: House, case_id: int) -> RepairOrder:
    return house.centre.db.read_now(lambda s: s.get_one(RepairOrder, case_id))


def visit(house: House) -> Visit:
    """The latest."""
    return house.centre.db.read_now(lambda s: s.scalars(select(Visit).order_by(Visit.id.desc()).limit(1)).one())


async def test_from_quotation_to_handing_over(house: House, case_id: int) -> None:
    desk = await Desk.of(house.centre, house.client, Role.AGENT)
    at, to = f"/console/cases/{case_id}", f"/console/repairs/{case_id}"
    assert 'aria-current="step">已登记' in await desk.see(at)
    assert "stage_changed" in await desk.do(f"{to}/stage", to="judged")
    assert "charge_undecided" in await desk.do(f"{to}/stage", to="repairing")
    assert "amount_bad" in await desk.do(f"{to}/quote", parts="many")
    assert "quoted" in await desk.do(f"{to}/quote", parts="120", labour="50.5", travel="30")
    page = await desk.see(at)
    assert "200.50" in page
    assert "等客户同意" in page
    assert "stage_not_next" in await desk.do(f"{to}/stage", to="repairing")
    assert "stage_recorded" in await desk.do(f"{to}/stage", to="consented")
    assert "consent_how_missing" in await desk.do(f"{to}/consent", how=" ")
    assert "consented" in await desk.do(f"{to}/consent", how="电话里同意")
    for stage in ("repairing", "settled", "handed_over"):
        assert "stage_changed" in await desk.do(f"{to}/stage", to=stage)
    assert order(house, case_id).stage is RepairStage.HANDED_OVER
    assert "Handed over" in await desk.see(f"{at}?lang=en")


async def test_a_visit_is_agreed_moved_and_marked(house: House, case_id: int) -> None:
    desk = await Desk.of(house.centre, house.client, Role.LEADER)
    at = f"/console/cases/{case_id}"
    slot = SLOT.search(await desk.see(at))
    assert slot is not None
    assert "visit_agreed" in await desk.do(f"/console/repairs/{case_id}/visit", at=slot[1])
    assert order(house, case_id).stage is RepairStage.BOOKED
    booked = visit(house)
    assert booked.starts_at == datetime(2026, 7, 2, 6, tzinfo=UTC)
    assert "assigned" in await desk.do(f"/console/visits/{booked.id}/assign", to=desk.staff_id)
    assert "visit_not_begun" in await desk.do(f"/console/visits/{booked.id}/done")
    later = booked.starts_at + timedelta(days=1)
    assert "visit_moved" in await desk.do(f"/console/visits/{booked.id}/move", at=later.isoformat())
    assert "visit_over" in await desk.do(f"/console/visits/{booked.id}/move", at=later.isoformat())
    assert "slot_taken" in await desk.do(f"/console/visits/{visit(house).id}/move", at="2026-07-02T03:00:00+08:00")
    house.clock.advance(timedelta(days=2, hours=7))
    await desk.do(f"/console/repairs/{case_id}/charge", charged="false")
    where = await desk.do(f"/console/visits/{visit(house).id}/done", day="2026-07-03")
    assert where.startswith("/console/visits?day=2026-07-03")
    assert visit(house).state is VisitState.DONE
    assert order(house, case_id).stage is RepairStage.REPAIRING


async def test_the_days_visits_show_places_by_role(house: House, case_id: int) -> None:
    leader = await Desk.of(house.centre, house.client, Role.LEADER)
    await leader.see(f"/console/cases/{case_id}")
    await leader.do(f"/console/repairs/{case_id}/visit", at="2026-07-02T06:00:00+00:00")
    page = await leader.see("/console/visits?day=2026-07-02")
    assert "14:00–16:00" in page
    assert "3-2-501" in page
    assert "这一天没有上门" in await leader.see("/console/visits")
    assert "No visits" in await leader.see("/console/visits?day=1&lang=en")
    agent = await Desk.of(house.centre, house.client, Role.AGENT)
    page = await agent.see("/console/visits?day=2026-07-02&lang=zh")
    assert "李敏" in page
    assert "3-2-501" not in page
    seen = await house.centre.db.read(
        lambda s: s.scalars(select(AuditEntry.staff_id).where(AuditEntry.action == "visit.seen")).all()
    )
    assert list(seen) == [leader.staff_id]
    archivist = await Desk.of(house.centre, house.client, Role.ARCHIVIST)
    await archivist.see("/console/visits", status=403)


async def test_cancelling_the_repair_calls_the_visit_off(house: House, case_id: int) -> None:
    desk = await Desk.of(house.centre, house.client, Role.AGENT)
    await desk.see(f"/console/cases/{case_id}")
    await desk.do(f"/console/repairs/{case_id}/visit", at="2026-07-02T06:00:00+00:00")
    assert "stage_changed" in await desk.do(f"/console/repairs/{case_id}/stage", to="cancelled")
    assert visit(house).state is VisitState.CANCELLED
    assert "stage_not_next" in await desk.do(f"/console/repairs/{case_id}/stage", to="judged")


async def test_bad_input(house: House, case_id: int) -> None:
    desk = await Desk.of(house.centre, house.client, Role.AGENT)
    await desk.see(f"/console/cases/{case_id}")
    await desk.do(f"/console/repairs/{case_id}/visit", status=422, at="tomorrow")
    await desk.do(f"/console/repairs/{case_id}/stage", status=422, to="finished")
    await desk.do("/console/repairs/999999/stage", status=404, to="judged")
    await desk.do("/console/visits/999999/done", status=404)
