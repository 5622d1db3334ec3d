"""Follow-up plans at the console: how they stand, who is in one and why not, and changes by hand."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select, update
from sqlalchemy.orm import Session

from bot.core.plan import Trigger
from bot.core.words import CallbackState, Role
from bot.services import contacts
from bot.services.plans import followups, plan_owners
from bot.services.plans.planning import Occurrence
from store.tables import AuditEntry, Callback, Delivery, Event, PlannedMessage, PlanOwner, Staff
from tests.fakes.desk import Desk
from tests.fakes.house import House

NUMBER = "+8613900040001"
AT = "/console/callbacks/plans"


def told(house: House, kind: Trigger, name: str = "王秀英", phone: str = NUMBER, **details: str) -> int:
    """Something happened to somebody now; the event."""
    now = house.clock.now()
    what = Occurrence("visits", f"{kind}{name}", kind, phone, name, now, details=details)
    return house.centre.db.write_now(lambda s: followups.record(s, house.centre, what, now)).event_id


def calls(house: House, event_id: int) -> list[Callback]:
    query = select(Callback).where(Callback.event_id == event_id).order_by(Callback.step)
    return house.centre.db.read_now(lambda s: list(s.scalars(query)))


def audited(house: House, action: str) -> list[AuditEntry]:
    query = select(AuditEntry).where(AuditEntry.action == action).order_by(AuditEntry.id)
    return house.centre.db.read_now(lambda s: list(s.scalars(query)))


async def test_every_plan_stands_on_the_page_with_how_it_stands(house: House) -> None:
    told(house, Trigger.VISITED_NO_PURCHASE)
    desk = await Desk.of(house.centre, house.client, Role.LEADER)
    page = await desk.see(AT)
    for id_, plan in house.centre.library.current.policies.plans.items():
        assert f'href="{AT}/{id_}"' in page, plan.name
    card = page.partition('id="plan-visited_no_purchase"')[2].partition("</section>")[0]
    assert "14:30–16:30、19:00–20:00" in card
    assert "最迟第 2 天" in card
    assert '<dt>待联系</dt><dd class="number">1</dd>' in card
    assert '<dt>今天到期</dt><dd class="number">1</dd>' in card
    english = await desk.client.get(f"{AT}?lang=en", headers={"accept-language": "en"})
    assert english.status_code == 200


async def test_who_is_in_a_plan_at_which_step_and_what_is_next(house: House) -> None:
    told(house, Trigger.OUTPATIENT_SURGERY)
    told(house, Trigger.OUTPATIENT_SURGERY, "李强", "+8613900040002")
    desk = await Desk.of(house.centre, house.client, Role.LEADER)
    at = f"{AT}/outpatient_surgery"
    page = await desk.see(at)
    assert ("王秀英" in page, "李强" in page, page.count(">1 / 2<")) == (True, True, 2)
    assert "7月2日 14:30" in page
    assert "下一步 7月8日 14:30" in page
    assert "李强" not in await desk.see(f"{at}?q=13900040001")
    assert "王秀英" in await desk.see(f"{at}?q=13900040001")
    assert "王秀英" not in await desk.see(f"{at}?step=1")
    assert "王秀英" not in await desk.see(f"{at}?view=stuck")
    house.centre.db.write_now(lambda s: s.execute(update(Callback).where(Callback.step == 0).values(waits="too_often")))
    stuck = await desk.see(f"{at}?view=stuck")
    assert stuck.count("最近打得太多，要隔一段时间") == 2
    await desk.see(f"{AT}/no_such_plan", status=404)


async def test_a_step_is_skipped_and_a_person_taken_out_with_a_reason(house: House) -> None:
    first = told(house, Trigger.OUTPATIENT_SURGERY)
    second = told(house, Trigger.OUTPATIENT_SURGERY, "李强", "+8613900040002")
    desk = await Desk.of(house.centre, house.client, Role.LEADER)
    at = f"{AT}/outpatient_surgery"
    await desk.see(at)
    one, two = calls(house, first)[0].id, calls(house, second)[0].id
    assert "reason_missing" in await desk.do(f"{at}/people/call/{one}/skip", text=" ")
    await desk.do(f"{AT}/visited_purchased/people/call/{one}/skip", text="不在", status=404)
    await desk.do(f"{at}/people/call/{one}/skip", text="已来院复诊")
    assert [each.state for each in calls(house, first)] == [CallbackState.CANCELLED, CallbackState.SCHEDULED]
    page = await desk.see(at)
    assert page.count(">2 / 2<") == 1
    await desk.do(f"{at}/people/call/{two}/take-out", text="转院")
    assert {each.state for each in calls(house, second)} == {CallbackState.CANCELLED}
    assert "李强" not in await desk.see(at)
    assert "李强" in await desk.see(f"{at}?view=over")
    assert [entry.note for entry in audited(house, "plan.skip")] == ["已来院复诊"]
    assert [entry.note for entry in audited(house, "plan.take_out")] == ["转院"]
    assert "callback_ended" in await desk.do(f"{at}/people/call/{two}/skip", text="再来")


async def test_what_a_plan_would_write_is_taken_out_too(house: House) -> None:
    told(house, Trigger.ORDER_UNPAID, order_no="DD1")
    message = house.centre.db.read_now(lambda s: s.scalars(select(PlannedMessage)).one())
    desk = await Desk.of(house.centre, house.client, Role.LEADER)
    assert "待发" in await desk.see(f"{AT}/order_unpaid")
    await desk.do(f"{AT}/order_unpaid/people/message/{message.id}/take-out", text="已付款")
    held = house.centre.db.read_now(lambda s: s.get_one(PlannedMessage, message.id))
    assert (held.state, held.why) == ("cancelled", "taken_out")
    assert "已移出计划" in await desk.see(f"{AT}/order_unpaid?view=over")


async def test_somebody_is_put_into_a_plan_by_hand_once(house: House) -> None:
    desk = await Desk.of(house.centre, house.client, Role.LEADER)
    at = f"{AT}/visited_no_purchase"
    await desk.see(at)
    for fields, code in (
        ({"phone": "12"}, "phone_wrong"),
        ({"phone": "13900040001"}, "enrol_name"),
        ({"phone": "13900040001", "name": "王秀英", "at": "2026-07-02T10:00"}, "enrol_future"),
        ({"phone": "13900040001", "name": "王秀英", "at": "2025-07-01T10:00"}, "enrol_too_old"),
        ({"phone": "13900040001", "name": "王秀英", "at": "soon"}, "time_bad"),
    ):
        assert code in await desk.do(f"{at}/people", **fields)
    assert house.centre.db.read_now(lambda s: s.scalars(select(Event)).all()) == []
    assert "enrol_not_here" in await desk.do(f"{AT}/requested/people", phone="13900040001", name="王秀英")
    assert "said=enrolled" in await desk.do(f"{at}/people", phone="13900040001", name="王秀英")
    owed = house.centre.db.read_now(lambda s: s.scalars(select(Callback)).one())
    assert (owed.plan, owed.due_at) == ("visited_no_purchase", datetime(2026, 7, 1, 6, 30, tzinfo=UTC))
    assert "enrol_known" in await desk.do(f"{at}/people", phone="13900040001")
    assert len(audited(house, "plan.enrol")) == 1

    def stop(session: Session) -> None:
        contacts.consent(session, owed.contact_id, "all", False, "test", house.clock.now())

    house.centre.db.write_now(stop)
    refused = await desk.do(f"{AT}/visited_purchased/people", phone="13900040001")
    assert "enrol_opted_out" in refused
    assert len(house.centre.db.read_now(lambda s: s.scalars(select(Event)).all())) == 1


async def test_a_plan_is_assigned_and_its_owner_may_pause_it(house: House) -> None:
    desk = await Desk.of(house.centre, house.client, Role.SUPERVISOR)
    at = f"{AT}/visited_no_purchase"
    await desk.see(at)
    leader = house.centre.db.read_now(lambda s: s.scalars(select(Staff).where(Staff.username == "leader")).one())
    assert "owner_unknown" in await desk.do(f"{at}/owner", owner=999_999)
    await desk.do(f"{at}/owner", owner=leader.id)
    page = await desk.see(at)
    assert f'<option value="{leader.id}" selected>' in page
    assert [(entry.details["before"], entry.details["owner"]) for entry in audited(house, "plan.assign")] == [
        (None, leader.id)
    ]
    theirs = await Desk.of(house.centre, house.client, Role.LEADER)
    await theirs.see(at)
    assert await theirs.do(f"{at}/pause", text="等新话术", here="true") == f"{at}?said=saved"
    page = await theirs.see(at)
    assert ("计划已暂停" in page, "等新话术" in page) == (True, True)
    await theirs.do(f"{at}/resume", here="true")
    assert "等新话术" not in await theirs.see(at)
    desk = await Desk.of(house.centre, house.client, Role.SUPERVISOR)
    await desk.see(at)
    await desk.do(f"{at}/owner", owner="")
    assert house.centre.db.read_now(lambda s: s.scalars(select(PlanOwner)).all()) == []


def alerted(house: House) -> list[tuple[str, str]]:
    """Who was told what about plans."""
    query = (
        select(Staff.username, Delivery.body)
        .join(Staff, Staff.address_id == Delivery.address_id)
        .where(Delivery.dedupe_key.startswith("alert:plan:"))
        .order_by(Delivery.id)
    )
    return [(who, body["text"]) for who, body in house.centre.db.read_now(lambda s: s.execute(query).tuples().all())]


@pytest.mark.parametrize("assigned", [False, True])
async def test_owners_hear_once_a_day_that_a_plan_stalls_and_when_it_is_through(house: House, assigned: bool) -> None:
    event_id = told(house, Trigger.VISITED_NO_PURCHASE)
    supervisor = house.centre.db.read_now(
        lambda s: s.scalars(select(Staff).where(Staff.username == "supervisor")).one()
    )
    who = "leader"
    if assigned:
        who = "supervisor"
        house.centre.db.write_now(
            lambda s: plan_owners.assign(
                s, "visited_no_purchase", supervisor.id, staff_id=supervisor.id, now=house.clock.now()
            )
        )
    assert await plan_owners.look(house.centre) == 0
    house.centre.db.write_now(lambda s: s.execute(update(Callback).values(waits="name_missing")))
    await plan_owners.look(house.centre)
    await plan_owners.look(house.centre)
    assert alerted(house) == [(who, "回访计划“到诊未消费回访”有 1 个联系卡住了，请看一下原因。")]
    house.clock.advance(timedelta(days=1))
    await plan_owners.look(house.centre)
    assert len(alerted(house)) == 2
    desk = await Desk.of(house.centre, house.client, Role.LEADER)
    await desk.see(f"{AT}/visited_no_purchase")
    one = calls(house, event_id)[0].id
    await desk.do(f"{AT}/visited_no_purchase/people/call/{one}/take-out", text="转院")
    await plan_owners.look(house.centre)
    await plan_owners.look(house.centre)
    assert alerted(house)[2:] == [(who, "回访计划“到诊未消费回访”里没有人在等了：今天联系上 0 个，没联系上 1 个。")]
