"""A plan under way survives a restart, tells each person once, and customers' reports become one suspected incident."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest
from sqlalchemy import func, select

from bot.core.words import (
    CallbackState,
    ChannelName,
    DeliveryState,
    IncidentSource,
    IncidentState,
    Incoming,
    Language,
    Purpose,
    StepState,
)
from bot.services import contacts, gate
from bot.services.calls import recovery_calls
from bot.services.centre import Centre
from bot.services.conversation import inbox
from bot.services.delivery import outbox
from bot.services.incidents import detection, drills, incident_steps, incidents, manual_records, seats
from bot.services.incidents.incident_file import IncidentRefusedError
from store.tables import (
    Address,
    Callback,
    Contact,
    CustomerReport,
    Delivery,
    Incident,
    IncidentStep,
    IncidentTold,
    NotifyMe,
    Staff,
)
from tests.fakes.announcing import Outage
from tests.fakes.clock import ManualClock


@pytest.fixture
def outage(centre: Centre) -> Outage:
    return Outage(centre)


def report(outage: Outage, code: str = "INC-29", title: str = "三号楼爆管", *, drill: bool = False) -> int:
    who = outage.staff("leader")
    return outage.write(
        lambda s: (
            detection.report(
                s,
                outage.centre,
                code=code,
                title=title,
                buildings=["3"],
                staff_id=who,
                now=outage.now,
                drill=drill,
            ).id
        )
    )


def step(outage: Outage, incident: int, key: str) -> IncidentStep:
    return outage.write(
        lambda s: s.scalars(
            select(IncidentStep).where(IncidentStep.incident_id == incident, IncidentStep.key == key)
        ).one()
    )


def tick(outage: Outage, rounds: int = 3) -> None:
    for _ in range(rounds):
        outage.write(lambda s: incident_steps.tick(s, outage.centre, outage.now))


def alerts_about(outage: Outage, words: str) -> int:
    rows = outage.write(lambda s: s.scalars(select(Delivery.body).where(Delivery.channel == ChannelName.STAFF)).all())
    return sum(words in row["text"] for row in rows)


def test_each_beat_tells_once_and_a_missed_hour_is_made_up(outage: Outage, clock: ManualClock) -> None:
    incident = report(outage)
    tick(outage)
    first = alerts_about(outage, "三号楼爆管")
    tick(outage)
    assert alerts_about(outage, "三号楼爆管") == first
    crew = step(outage, incident, "crew")
    assert crew.due_at == outage.now + timedelta(minutes=15)
    clock.advance(timedelta(hours=3))  # nobody was running
    tick(outage, 12)
    lapsed = step(outage, incident, "crew")
    assert lapsed.remind_at is None or lapsed.remind_at > outage.now
    assert alerts_about(outage, "已超时") > 0
    before = alerts_about(outage, "已超时")
    tick(outage, 12)
    assert alerts_about(outage, "已超时") == before


def test_recovery_makes_moot_what_was_for_while_it_lasted(outage: Outage, clock: ManualClock) -> None:
    incident = report(outage)
    ops = outage.staff("ops")
    outage.write(lambda s: incidents.confirm(s, outage.centre, incident, staff_id=ops, now=outage.now))
    clock.advance(timedelta(minutes=4))
    tick(outage)
    outage.write(lambda s: incidents.recover(s, outage.centre, incident, staff_id=ops, text="补好了", now=outage.now))
    assert step(outage, incident, "crew").state is StepState.DROPPED
    assert step(outage, incident, "authorities").state is StepState.OPEN  # owed all the same
    assert step(outage, incident, "refill").state is StepState.OPEN
    assert step(outage, incident, "review").due_at == outage.now + timedelta(days=7)
    told = outage.write(lambda s: s.scalars(select(IncidentTold)).all())
    assert told
    assert all(row.over_at == outage.now for row in told)
    assert alerts_about(outage, "已恢复") >= 2


def test_a_monitor_opens_once_and_the_general_plan_grows_by_itself(outage: Outage, clock: ManualClock) -> None:
    def says(minutes: int) -> Incident:
        return outage.write(
            lambda s: detection.open_from_monitor(
                s,
                outage.centre,
                code="INC-09",
                title="线路占满",
                key="lines",
                now=outage.now,
                lines_full=timedelta(minutes=minutes),
            )
        )

    first = says(15)
    assert (first.source, first.state, first.proposed_plan) == (
        IncidentSource.MONITOR,
        IncidentState.SUSPECTED,
        "general",
    )
    supervisor = outage.staff("supervisor")
    outage.write(
        lambda s: incidents.confirm(s, outage.centre, first.id, staff_id=supervisor, now=outage.now, plan="general")
    )
    clock.advance(timedelta(minutes=15))
    second = says(30)
    assert (second.id, second.plan) == (first.id, "major")
    assert step(outage, first.id, "everybody").plan == "major"
    assert says(45).id == first.id


async def ask(outage: Outage, who: str, text: str, unit: str | None = None) -> str:
    person = f"visitor-{who}"
    await inbox.receive(outage.centre, Incoming(ChannelName.REST, person, f"{who}-{text}", text, language=Language.ZH))
    if unit is None:
        return ""
    answer = await inbox.receive(outage.centre, Incoming(ChannelName.REST, person, f"{who}-unit", unit))
    return " ".join(say.text for say in answer.answers)


async def test_similar_reports_suspect_one_incident_and_the_next_join_it(outage: Outage) -> None:
    for who in range(3):
        await ask(outage, str(who), "没暖气", "7号楼2单元501")
    await ask(outage, "2", "没暖气")  # the same person again
    await ask(outage, "elsewhere", "没暖气", "8号楼1单元101")
    assert not outage.write(lambda s: s.scalars(select(Incident)).all())
    await ask(outage, "3", "没暖气", "7号楼1单元302")
    (found,) = outage.write(lambda s: s.scalars(select(Incident)).all())
    assert (found.source, found.state, found.buildings, found.code) == (
        IncidentSource.CUSTOMERS,
        IncidentState.SUSPECTED,
        ["7"],
        "INC-29",
    )
    assert "三号楼" not in await ask(outage, "4", "没暖气", "7号楼1单元303")
    supervisor = outage.staff("supervisor")
    outage.write(lambda s: incidents.confirm(s, outage.centre, found.id, staff_id=supervisor, now=outage.now))
    said = await ask(outage, "5", "没暖气", "7号楼1单元304")
    assert "7号楼" in said
    count = select(func.count(func.distinct(CustomerReport.contact_id))).where(CustomerReport.incident_id == found.id)
    assert outage.write(lambda s: s.scalar(count)) == 6


async def test_reports_far_apart_suspect_nothing(outage: Outage, clock: ManualClock) -> None:
    for who in range(6):
        await ask(outage, str(who), "没暖气", "7号楼2单元501")
        clock.advance(timedelta(minutes=6))
    assert not outage.write(lambda s: s.scalars(select(Incident)).all())


def test_an_agent_leaves_only_with_leave(outage: Outage, clock: ManualClock) -> None:
    agent, leader, supervisor = outage.staff("agent"), outage.staff("leader"), outage.staff("supervisor")
    may = lambda who: outage.write(lambda s: seats.may_leave(s, who, outage.now))  # noqa: E731
    assert may(agent)
    incident = report(outage)
    assert may(agent)  # nobody has confirmed it
    outage.write(lambda s: incidents.confirm(s, outage.centre, incident, staff_id=supervisor, now=outage.now))
    assert not may(agent)
    assert may(leader)
    for _ in range(2):
        outage.write(lambda s: seats.ask(s, agent, outage.now))
    ((leave, _),) = outage.write(seats.waiting)
    with pytest.raises(IncidentRefusedError, match="not_allowed"):
        outage.write(lambda s: seats.decide(s, leave.id, True, staff_id=agent, now=outage.now))
    outage.write(lambda s: seats.decide(s, leave.id, True, staff_id=leader, now=outage.now))
    assert may(agent)
    clock.advance(seats.GOOD_FOR)
    assert not may(agent)


# ── calls written by hand ──


def saved(**changed: object) -> bytes:
    record = {
        "key": "a1",
        "taken_at": "2026-07-01T09:30:00+08:00",
        "agent": "林小满",
        "number": "13800001234",
        "name": "陈远",
        "matter": "查询不到订单",
        "promise": "今天回电",
        "callback": True,
    }
    return json.dumps({"kind": manual_records.KIND, "records": [{**record, **changed}]}).encode()


def bring(outage: Outage, content: bytes, incident: int | None = None) -> manual_records.BroughtIn:
    good, bad = manual_records.read(content, outage.now)
    who = outage.staff("agent")
    return outage.write(
        lambda s: manual_records.bring_in(
            s, outage.centre, good, incident_id=incident, staff_id=who, now=outage.now, wrong=bad
        )
    )


def test_a_file_brought_in_twice_counts_once_and_owes_one_call(outage: Outage) -> None:
    first, again = bring(outage, saved()), bring(outage, saved())
    retyped = bring(outage, saved(key="typed-from-paper"))
    assert (first.added, first.callbacks) == (1, 1)
    assert (again.added, again.known) == (0, 1)
    assert (retyped.added, retyped.known) == (0, 1)
    (callback,) = outage.write(lambda s: s.scalars(select(Callback)).all())
    assert (callback.purpose, callback.topic) == (Purpose.SERVICE_NOTICE, "查询不到订单")


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"key": ""}, "record_bad"),
        ({"matter": " "}, "matter_missing"),
        ({"number": ""}, "number_missing"),
        ({"number": "abc"}, "number_bad"),
        ({"taken_at": "yesterday"}, "time_bad"),
        ({"taken_at": "2026-07-01T09:30:00"}, "time_bad"),  # no offset
        ({"taken_at": "1999-07-01T09:30:00+08:00"}, "time_bad"),
        ({"matter": 7}, "record_bad"),
    ],
)
def test_a_wrong_record_is_named_by_its_place(outage: Outage, changed: dict[str, object], code: str) -> None:
    assert [(w.place, w.code) for w in bring(outage, saved(**changed)).wrong] == [(1, code)]


@pytest.mark.parametrize("content", [b"", b"{}", b"[1]", b'{"kind": "x", "records": []}', b"\xff"])
def test_another_file_is_refused(outage: Outage, content: bytes) -> None:
    with pytest.raises(IncidentRefusedError, match="file_bad"):
        manual_records.read(content, outage.now)


# ── afterwards ──


def test_whoever_asked_and_got_no_all_clear_is_called(outage: Outage) -> None:
    incident = report(outage)
    supervisor, asked = outage.staff("supervisor"), outage.contact("周望舒")
    outage.write(lambda s: s.add(NotifyMe(incident_id=incident, contact_id=asked, at=outage.now)))
    outage.write(lambda s: incidents.confirm(s, outage.centre, incident, staff_id=supervisor, now=outage.now))
    outage.write(lambda s: incidents.recover(s, outage.centre, incident, staff_id=supervisor, text="", now=outage.now))
    outage.write(lambda s: incidents.waive_all_clear(s, incident, staff_id=supervisor, why="逐户告知", now=outage.now))
    outage.complete(incident)
    outage.write(lambda s: incidents.review(s, incident, staff_id=supervisor, text="好", now=outage.now))
    assert outage.write(lambda s: recovery_calls.tick(s, outage.centre, outage.now)) == 0
    outage.write(
        lambda s: incidents.close(s, outage.centre, incident, staff_id=supervisor, evaluation="好", now=outage.now)
    )
    for _ in range(2):
        outage.write(lambda s: recovery_calls.tick(s, outage.centre, outage.now))
    (callback,) = outage.write(lambda s: s.scalars(select(Callback)).all())
    assert (callback.contact_id, callback.state) == (asked, CallbackState.SCHEDULED)


def test_drills_fall_due_and_the_supervisors_hear_once(outage: Outage, clock: ManualClock) -> None:
    remind = lambda: outage.write(lambda s: drills.remind(s, outage.centre, outage.now))  # noqa: E731
    assert remind() == 0
    clock.advance(timedelta(days=181))
    assert remind() == 4
    assert alerts_about(outage, "演练到期") == 4
    remind()
    assert alerts_about(outage, "演练到期") == 4


# ── a drill never reaches a customer (REQ-F54) ──


@pytest.mark.parametrize("purpose", list(Purpose))
@pytest.mark.parametrize("channel", [c for c in ChannelName if c is not ChannelName.STAFF])
@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_whatever_makes_a_drill_row_the_gate_stops_it(
    outage: Outage, purpose: Purpose, channel: ChannelName, known: bool
) -> None:
    """Every purpose by every channel, with a contact and without one."""

    def work(session):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
        contact = session.scalars(select(Contact.id).order_by(Contact.id)).first()
        address = contacts.add_address(session, contact, channel, f"somebody-{channel}", outage.now)
        delivery_id = outbox.put(
            session,
            dedupe_key="drill",
            purpose=purpose,
            channel=channel,
            address_id=address.id,
            contact_id=contact if known else None,
            text="演练",
            language=Language.ZH,
            metadata={},
            now=outage.now,
            drill=True,
        )
        delivery = session.get_one(Delivery, delivery_id)
        shelf = outage.centre.library.current
        return gate.ask_for_all(session, [delivery], shelf.policies, shelf.calendar, outage.now)[delivery.id]

    assert isinstance(outage.write(work), gate.Refused)


def test_a_drill_row_to_somebodys_own_chat_of_the_staff_passes(outage: Outage) -> None:
    def work(session):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
        person = session.scalars(select(Staff)).first()
        contact = session.scalars(select(Contact.id)).first()
        address = contacts.add_address(session, contact, ChannelName.TELEGRAM, "77", outage.now)
        person.telegram_id = address.id
        delivery = Delivery(drill=True, purpose=Purpose.STAFF_ALERT, address_id=address.id, contact_id=None, body={})
        shelf = outage.centre.library.current
        return gate.ask_for_all(session, [delivery], shelf.policies, shelf.calendar, outage.now)[delivery.id]

    with outage.centre.db.engine.connect():
        assert not isinstance(outage.write(work), gate.Refused)


async def test_a_drill_touches_no_customer_by_any_way(outage: Outage, clock: ManualClock) -> None:
    """Announced, asked about, written by hand, recovered, called back: nothing of it goes out."""
    incident = report(outage, drill=True, title="演练爆管")
    supervisor = outage.staff("supervisor")
    outage.write(lambda s: incidents.confirm(s, outage.centre, incident, staff_id=supervisor, now=outage.now))
    notice = outage.draft(incident)
    outage.approve(notice)
    outage.send(notice)
    assert "演练爆管" not in await ask(outage, "1", "没暖气", "3号楼2单元501")
    bring(outage, saved(), incident)
    asked = outage.contact("周望舒")
    outage.write(lambda s: s.add(NotifyMe(incident_id=incident, contact_id=asked, at=outage.now)))
    await outage.settle()
    outage.write(lambda s: incidents.recover(s, outage.centre, incident, staff_id=supervisor, text="", now=outage.now))
    clock.advance(timedelta(hours=3))
    tick(outage, 6)
    outage.write(lambda s: incidents.waive_all_clear(s, incident, staff_id=supervisor, why="演练", now=outage.now))
    outage.complete(incident)
    outage.write(lambda s: incidents.review(s, incident, staff_id=supervisor, text="好", now=outage.now))
    outage.write(
        lambda s: incidents.close(s, outage.centre, incident, staff_id=supervisor, evaluation="好", now=outage.now)
    )
    outage.write(lambda s: recovery_calls.tick(s, outage.centre, outage.now))
    await outage.settle()

    assert outage.sms.sent == []
    assert outage.voice.sent == []
    assert outage.write(lambda s: s.scalars(select(Callback)).all()) == []
    rows = outage.write(
        lambda s: s.execute(
            select(Delivery.state, Delivery.purpose)
            .join(Address, Address.id == Delivery.address_id)
            .where(Delivery.channel != ChannelName.STAFF)
        ).all()
    )
    assert {purpose for _, purpose in rows} <= {Purpose.REPLY}  # the answers to whoever wrote
    assert all(state is not DeliveryState.FAILED for state, _ in rows)
    reports = outage.write(lambda s: s.scalars(select(CustomerReport.incident_id)).all())
    assert incident not in reports
