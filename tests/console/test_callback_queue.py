"""The callback queue as a page to work at: why a call waits, several at once, plans, days, diaries, recovery lists."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta

import pytest
from sqlalchemy import select, update
from sqlalchemy.orm import Session

from bot.core.plan import Rings
from bot.core.words import (
    CallbackSource,
    CallbackState,
    ChannelName,
    FollowUpGroup,
    IncidentState,
    Purpose,
    Role,
)
from bot.services import contacts, days
from bot.services.calls import recovery_calls
from bot.services.incidents import detection
from bot.services.plans import followups
from bot.services.plans.planning import Occurrence
from store.tables import (
    AuditEntry,
    BlockedDay,
    Callback,
    Contact,
    Delivery,
    Incident,
    NotifyMe,
    PausedPlan,
    Revision,
    Staff,
)
from tests.fakes.desk import Desk
from tests.fakes.house import House

TICK = re.compile(r'name="chosen" value="(\d+:\d+)"')


def visit(house: House, n: int, kind: FollowUpGroup = FollowUpGroup.VISITED_NO_PURCHASE) -> int:
    """Patient number `n` visited this morning; their callback."""

    def work(session: Session) -> int:
        now = house.clock.now()
        what = Occurrence("visits", f"Q{n}", kind, f"+8613900030{n:03}", f"顾客{n}", now)
        recorded = followups.record(session, house.centre, what, now)
        assert recorded.callback_id is not None
        return recorded.callback_id

    return house.centre.db.write_now(work)


def stored(house: House, callback_id: int) -> Callback:
    return house.centre.db.read_now(lambda s: s.get_one(Callback, callback_id))


async def test_filters_narrow_what_is_shown(house: House) -> None:
    visit(house, 1)
    visit(house, 2, FollowUpGroup.VISITED_PURCHASED)
    desk = await Desk.of(house.centre, house.client, Role.SUPERVISOR)
    at = "/console/callbacks"
    for query, seen in (
        ("", {1, 2}),
        ("?plan=visited_purchased", {2}),
        ("?plan=no_such_plan", set()),
        ("?source=plan", {1, 2}),
        ("?source=diary", set()),
        ("?state=dialling", set()),
        ("?q=顾客1", {1}),
        ("?q=13900030002", {2}),
        ("?q=13900030999", set()),
        ("?day=2026-07-01", {1, 2}),
        ("?day=2026-07-02", set()),
        ("?view=week", {1, 2}),
        ("?view=later", set()),
        ("?view=mine", set()),
        ("?source=nonsense&state=nonsense&day=nonsense", {1, 2}),
    ):
        page = await desk.see(at + query)
        assert {n for n in (1, 2) if f">顾客{n}" in page} == seen, query


async def test_an_agent_sees_their_own_alone(house: House) -> None:
    theirs, others = visit(house, 1), visit(house, 2)
    desk = await Desk.of(house.centre, house.client, Role.AGENT)
    house.centre.db.write_now(
        lambda s: s.execute(update(Callback).where(Callback.id == theirs).values(staff_id=desk.staff_id))
    )
    page = await desk.see("/console/callbacks?view=mine")
    assert ("顾客1" in page, "顾客2" in page) == (True, False)
    revision = stored(house, theirs).revision
    await desk.do(f"/console/callbacks/{theirs}/reorder", revision=revision, priority=-1)
    assert stored(house, theirs).priority == -1
    for action in ("reorder", "cancel", "call-now", "postpone", "edit"):
        fields = {"revision": 0, "priority": 1, "text": "x", "at": "2026-07-02T15:00"}
        await desk.do(f"/console/callbacks/{others}/{action}", status=403, **fields)
    where = await desk.do("/console/callbacks/several", action="forward", chosen=f"{others}:0")
    assert "not=not_yours" in where
    for path in ("plans/visited_no_purchase/pause", "calendar/block", "recovery/1", "replan"):
        await desk.do(f"/console/callbacks/{path}", status=403, text="x", day="2026-07-03")


async def test_several_are_changed_at_once_and_each_refusal_is_told(house: House) -> None:
    ids = [visit(house, n) for n in (1, 2, 3)]
    desk = await Desk.of(house.centre, house.client, Role.SUPERVISOR)
    ticks = TICK.findall(await desk.see("/console/callbacks"))
    assert sorted(int(tick.split(":")[0]) for tick in ticks) == sorted(ids)
    assert "none_ticked" in await desk.do("/console/callbacks/several", action="forward")
    assert "reason_missing" in await desk.do("/console/callbacks/several", action="cancel", chosen=ticks[0])
    assert "time_bad" in await desk.do("/console/callbacks/several", action="move", chosen=ticks[0], at="soon")
    where = await desk.do("/console/callbacks/several", action="call_now", chosen=ticks[0])
    page = await desk.see(where)
    assert "现在不在允许拨打的时段" in page
    assert stored(house, ids[0]).due_at == datetime(2026, 7, 1, 6, 30, tzinfo=UTC)
    where = await desk.do("/console/callbacks/several", action="move", chosen=ticks[0], at="2026-07-02T15:00")
    assert "did=1" in where
    where = await desk.do("/console/callbacks/several", action="cancel", chosen=ticks[0], text="患者已到院")
    assert "did=0" in where  # it was changed meanwhile
    assert "not=callback_changed" in where
    where = await desk.do("/console/callbacks/several", action="cancel", chosen=ticks[1], text="患者已到院")
    assert "did=1" in where
    states = [stored(house, callback_id).state for callback_id in ids]
    assert sorted(states) == ["cancelled", "scheduled", "scheduled"]


async def test_call_now_passes_the_gate_and_says_what_stands_against_it(house: House) -> None:
    callback_id = visit(house, 1)
    at = f"/console/callbacks/{callback_id}"
    desk = await Desk.of(house.centre, house.client, Role.SUPERVISOR)
    assert "最早 7月1日 14:30" in await desk.see(at)
    refused = await desk.do(f"{at}/call-now", revision=stored(house, callback_id).revision)
    assert "call.window" in refused
    house.clock.set(datetime(2026, 7, 1, 7, 0, tzinfo=UTC))
    house.centre.db.write_now(
        lambda s: days.block(s, date(2026, 7, 1), "检修", staff_id=desk.staff_id, now=house.clock.now())
    )
    await desk.do(f"{at}/call-now", revision=stored(house, callback_id).revision)
    assert stored(house, callback_id).state is CallbackState.SCHEDULED
    house.centre.db.write_now(
        lambda s: days.unblock(s, date(2026, 7, 1), staff_id=desk.staff_id, now=house.clock.now())
    )
    assert "saved" in await desk.do(f"{at}/call-now", revision=stored(house, callback_id).revision)
    await house.settle()
    assert stored(house, callback_id).state is CallbackState.DIALLING
    page = await desk.see("/console/callbacks")
    assert '拨打中 <b class="number">1</b>' in page


async def test_how_a_call_is_made_is_chosen_for_it_and_shown(house: House) -> None:
    callback_id = visit(house, 1)
    desk = await Desk.of(house.centre, house.client, Role.AGENT)
    contact_id = stored(house, callback_id).contact_id
    page = await desk.see(f"/console/callbacks/new?contact={contact_id}")
    assert "照计划（机器人打）" in page
    where = await desk.do(
        "/console/callbacks/new", contact=contact_id, at="2026-07-01T16:00", topic="账单", rings="agent_first"
    )
    booked = stored(house, int(where.partition("?")[0].rpartition("/")[2]))
    assert "agent_first" in booked.flags
    assert '<span class="badge info">先响坐席</span>' in await desk.see("/console/callbacks?view=mine")
    at = f"/console/callbacks/{booked.id}"
    await desk.do(f"{at}/edit", revision=booked.revision, topic="账单", owner=desk.staff_id, rings="bot")
    assert [flag for flag in stored(house, booked.id).flags if flag in set(Rings)] == ["bot"]
    revised = select(Revision.old, Revision.new).where(Revision.subject == "callback", Revision.field == "rings")
    assert house.centre.db.read_now(lambda s: s.execute(revised).tuples().all()) == [("agent_first", "bot")]
    await desk.do(f"{at}/edit", revision=booked.revision + 1, topic="账单", owner=desk.staff_id)
    assert not set(stored(house, booked.id).flags) & set(Rings)


async def test_a_plan_is_paused_with_a_reason_and_goes_on(house: House) -> None:
    callback_id = visit(house, 1)
    desk = await Desk.of(house.centre, house.client, Role.SUPERVISOR)
    await desk.see("/console/callbacks")
    at = "/console/callbacks/plans/visited_no_purchase"
    assert "reason_missing" in await desk.do(f"{at}/pause", text=" ")
    await desk.do(f"{at}/pause", text="等新话术")
    assert "等新话术" in await desk.see("/console/callbacks")
    house.clock.set(datetime(2026, 7, 1, 6, 30, tzinfo=UTC))
    await house.settle()
    assert (stored(house, callback_id).state, stored(house, callback_id).waits) == ("scheduled", "paused")
    assert "这个回访计划已暂停" in await desk.see("/console/callbacks")
    await desk.do(f"{at}/resume")
    await house.settle()
    assert stored(house, callback_id).state is CallbackState.DIALLING
    assert house.centre.db.read_now(lambda s: s.scalars(select(PausedPlan)).all()) == []


async def test_the_calendar_draws_windows_holidays_and_days_without_calls(house: House) -> None:
    visit(house, 1)
    desk = await Desk.of(house.centre, house.client, Role.SUPERVISOR)
    page = await desk.see("/console/callbacks/calendar")
    assert "14:30–16:30、19:00–20:00" in page
    assert '<b class="number">1</b> 待打' in page
    october = await desk.see("/console/callbacks/calendar?month=2026-10")
    assert october.count("国庆节") >= 7
    assert "调休上班" in october
    assert "14:00–16:30、19:00–20:00" in october  # winter begins on the fifteenth
    assert "National Day" in await desk.see("/console/callbacks/calendar?month=2026-10&lang=en")
    assert "假期待公布" in await desk.see("/console/callbacks/calendar?month=2027-10&lang=zh")
    assert "reason_missing" in await desk.do("/console/callbacks/calendar/block", day="2026-07-02", text="")
    await desk.do("/console/callbacks/calendar/block", day="2026-07-02", text="系统检修")
    assert "系统检修" in await desk.see("/console/callbacks/calendar")
    await desk.do("/console/callbacks/calendar/unblock", day="2026-07-02")
    assert house.centre.db.read_now(lambda s: s.scalars(select(BlockedDay)).all()) == []
    assert "2026" in await desk.see("/console/callbacks/calendar?month=nonsense&plan=nonsense")


async def test_an_agent_books_a_call_in_their_diary_and_hears_when_it_is_time(house: House) -> None:
    desk = await Desk.of(house.centre, house.client, Role.AGENT)
    who = house.centre.db.read_now(lambda s: s.scalars(select(Contact.id).where(Contact.name == "赵春生")).one())
    page = await desk.see(f"/console/callbacks/new?contact={who}")
    slots = re.findall(r'name="slot" value="([^"]+)"', page)
    assert len(slots) == 4
    fields = {"contact": who, "topic": "说明检查结果", "whose": "me"}
    assert "outside_window" in await desk.do("/console/callbacks/new", at="2026-07-01T23:30", **fields)
    assert "time_bad" in await desk.do("/console/callbacks/new", **fields)
    where = await desk.do("/console/callbacks/new", slot=slots[0], **fields)
    callback = house.centre.db.read_now(lambda s: s.scalars(select(Callback)).one())
    assert (callback.source, callback.staff_id, callback.topic) == (CallbackSource.DIARY, desk.staff_id, "说明检查结果")
    assert "说明检查结果" in await desk.see(where)
    assert "说明检查结果" in await desk.see("/console/callbacks?view=mine")
    await desk.do("/console/callbacks/new", slot=slots[0], **fields)  # sent twice
    assert len(house.centre.db.read_now(lambda s: s.scalars(select(Callback)).all())) == 1
    assert callback.due_at is not None
    house.clock.set(callback.due_at)
    await house.settle()
    told = select(Delivery.body).where(Delivery.channel == ChannelName.STAFF)
    texts = [body["text"] for body in house.centre.db.read_now(lambda s: s.scalars(told).all())]
    assert [text for text in texts if "说明检查结果" in text] == ["您约的回电到时间了，正在拨打：先生 说明检查结果"]


async def test_a_colleagues_diary_is_not_moved_by_another_promise(house: House) -> None:
    desk = await Desk.of(house.centre, house.client, Role.SUPERVISOR)
    who = house.centre.db.read_now(lambda s: s.scalars(select(Contact.id).where(Contact.name == "赵春生")).one())
    await desk.see(f"/console/callbacks/new?contact={who}")
    for at, whose in (("2026-07-02T10:00", "me"), ("2026-07-03T10:00", "team")):
        await desk.do("/console/callbacks/new", contact=who, topic="x", at=at, whose=whose)
    found = house.centre.db.read_now(lambda s: s.scalars(select(Callback).order_by(Callback.id)).all())
    assert [callback.staff_id for callback in found] == [desk.staff_id, None]


async def test_topic_number_and_owner_are_edited_and_audited(house: House) -> None:
    callback_id = visit(house, 1)
    desk = await Desk.of(house.centre, house.client, Role.LEADER)
    agent = house.centre.db.read_now(lambda s: s.scalars(select(Staff.id).where(Staff.username == "agent")).one())
    at = f"/console/callbacks/{callback_id}"
    await desk.see(at)
    revision = stored(house, callback_id).revision
    assert "number_unknown" in await desk.do(f"{at}/edit", revision=revision, topic="x", number=1)
    await desk.do(f"{at}/edit", revision=revision, topic="复查结果", owner=agent)
    edited = stored(house, callback_id)
    assert (edited.topic, edited.staff_id) == ("复查结果", agent)
    actions = house.centre.db.read_now(lambda s: s.scalars(select(AuditEntry.action)).all())
    assert "callback.edit" in actions


@pytest.fixture
def outage(house: House) -> int:
    """An outage that is over; two people asked to be told, one of them without a telephone."""

    def work(session: Session) -> int:
        now = house.clock.now()
        staff_id = session.scalars(select(Staff.id).where(Staff.username == "supervisor")).one()
        incident = detection.report(
            session, house.centre, code="INC-01", title="三号楼停暖", buildings=["3"], staff_id=staff_id, now=now
        )
        incident.state = IncidentState.RECOVERED
        person = session.scalars(select(Contact.id).where(Contact.name == "赵春生")).one()
        guest = contacts.meet(
            session,
            ChannelName.WEBCHAT,
            "guest-1",
            language=house.centre.settings.language,
            zone="Asia/Shanghai",
            now=now,
        )
        for contact_id in (person, guest.contact_id):
            session.add(NotifyMe(incident_id=incident.id, contact_id=contact_id, at=now))
        return incident.id

    return house.centre.db.write_now(work)


async def test_whoever_asked_is_called_once_the_outage_is_over(house: House, outage: int) -> None:
    desk = await Desk.of(house.centre, house.client, Role.SUPERVISOR)
    assert "三号楼停暖" in await desk.see("/console/callbacks")
    where = await desk.do(f"/console/callbacks/recovery/{outage}")
    assert ("did=1" in where, "no_number*1" in where or "no_number%2A1" in where) == (True, True)
    await desk.do(f"/console/callbacks/recovery/{outage}")
    (callback,) = house.centre.db.read_now(lambda s: s.scalars(select(Callback)).all())
    assert (callback.source, callback.purpose, callback.topic) == (
        CallbackSource.RECOVERY,
        Purpose.SERVICE_NOTICE,
        "三号楼停暖",
    )
    assert callback.due_at is not None
    assert callback.due_at <= house.clock.now() + timedelta(hours=1)
    await desk.do("/console/callbacks/recovery/999999", status=404)
    house.centre.db.write_now(
        lambda s: s.execute(update(Incident).where(Incident.id == outage).values(state=IncidentState.CONFIRMED))
    )
    await desk.do(f"/console/callbacks/recovery/{outage}", status=404)


async def test_after_a_drill_the_button_calls_nobody(house: House, outage: int) -> None:
    house.centre.db.write_now(lambda s: s.execute(update(Incident).where(Incident.id == outage).values(drill=True)))
    desk = await Desk.of(house.centre, house.client, Role.SUPERVISOR)
    assert "三号楼停暖" not in await desk.see("/console/callbacks")
    await desk.do(f"/console/callbacks/recovery/{outage}", status=404)
    assert house.centre.db.read_now(lambda s: s.scalars(select(Callback)).all()) == []


async def test_the_button_and_the_end_of_the_incident_owe_one_call(house: House, outage: int) -> None:
    """Both go the same way: whoever comes first books it, the other finds it there."""
    desk = await Desk.of(house.centre, house.client, Role.SUPERVISOR)
    await desk.see("/console/callbacks")
    await desk.do(f"/console/callbacks/recovery/{outage}")
    house.centre.db.write_now(
        lambda s: s.execute(update(Incident).where(Incident.id == outage).values(state=IncidentState.CLOSED))
    )
    house.centre.db.write_now(lambda s: recovery_calls.tick(s, house.centre, house.clock.now()))
    (callback,) = house.centre.db.read_now(lambda s: s.scalars(select(Callback)).all())
    assert callback.source is CallbackSource.RECOVERY
