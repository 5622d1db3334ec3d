"""An incident from report to close: what people may do, and what customers are told."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest
from sqlalchemy import select

from bot.core.words import (
    BroadcastKind,
    BroadcastState,
    ChannelName,
    EscalationState,
    IncidentState,
    Incoming,
    Language,
)
from bot.reports.incidents import documents
from bot.services.announcements import announcements
from bot.services.centre import Centre
from bot.services.conversation import inbox
from bot.services.escalation import alerts, ladders
from bot.services.incidents import detection, incident_costs, incidents
from bot.services.incidents.incident_file import IncidentRefusedError
from store.tables import Broadcast, Escalation, Incident, IncidentEntry, NotifyMe, Revision
from tests.fakes.announcing import TEXT, Outage
from tests.fakes.clock import ManualClock


@pytest.fixture
def outage(centre: Centre) -> Outage:
    return Outage(centre)


def state(outage: Outage, incident: int) -> IncidentState:
    return outage.write(lambda s: s.get_one(Incident, incident).state)


def kinds(outage: Outage, incident: int) -> list[str]:
    query = select(IncidentEntry.kind).where(IncidentEntry.incident_id == incident).order_by(IncidentEntry.id)
    return outage.write(lambda s: list(s.scalars(query)))


def test_an_agent_reports_and_does_no_more(outage: Outage) -> None:
    agent = outage.staff("agent")
    incident = outage.write(
        lambda s: (
            detection.report(
                s, outage.centre, code="INC-11", title="查询很慢", buildings=[], staff_id=agent, now=outage.now
            ).id
        )
    )
    with pytest.raises(IncidentRefusedError, match="not_allowed"):
        outage.write(lambda s: incidents.confirm(s, outage.centre, incident, staff_id=agent, now=outage.now))
    leader, supervisor = outage.staff("leader"), outage.staff("supervisor")
    with pytest.raises(IncidentRefusedError, match="not_allowed"):
        outage.write(
            lambda s: incidents.confirm(s, outage.centre, incident, staff_id=leader, plan="general", now=outage.now)
        )
    outage.write(
        lambda s: incidents.confirm(s, outage.centre, incident, staff_id=supervisor, plan="major", now=outage.now)
    )
    assert outage.write(lambda s: s.get_one(Incident, incident).plan) == "major"


def test_the_fault_ladder_climbs_until_service_is_back(outage: Outage, clock: ManualClock) -> None:
    """REQ-F11: five minutes to the supervisor, ten to the manager; recovery ends it."""
    ops = outage.staff("ops")
    incident = outage.write(
        lambda s: (
            detection.report(
                s, outage.centre, code="INC-11", title="查询很慢", buildings=[], staff_id=ops, now=outage.now
            ).id
        )
    )

    def climb() -> None:
        for _ in range(5):
            outage.write(lambda s: ladders.tick(s, outage.centre, outage.now))

    def told(username: str) -> bool:
        who = outage.staff(username)
        return any("查询很慢" in a.body["text"] for a in outage.write(lambda s: alerts.unread(s, who)))

    climb()
    clock.advance(timedelta(minutes=6))
    climb()
    assert told("supervisor")
    assert not told("manager")
    outage.write(lambda s: incidents.confirm(s, outage.centre, incident, staff_id=ops, now=outage.now))
    outage.write(lambda s: incidents.recover(s, outage.centre, incident, staff_id=ops, text="重启", now=outage.now))
    clock.advance(timedelta(minutes=30))
    climb()
    assert not told("manager")
    assert outage.write(lambda s: s.scalars(select(Escalation.state)).all()) == [EscalationState.CLOSED]


def test_closing_waits_for_the_all_clear_and_an_evaluation(outage: Outage) -> None:
    notice = outage.launched()
    incident = outage.the_incident(notice).id
    supervisor = outage.staff("supervisor")

    def close(text: str = "处置及时") -> None:
        outage.write(
            lambda s: incidents.close(s, outage.centre, incident, staff_id=supervisor, evaluation=text, now=outage.now)
        )

    with pytest.raises(IncidentRefusedError, match="all_clear_missing"):
        close()
    outage.write(lambda s: incidents.recover(s, outage.centre, incident, staff_id=supervisor, text="", now=outage.now))
    with pytest.raises(IncidentRefusedError, match="all_clear_missing"):
        close()
    with pytest.raises(IncidentRefusedError, match="reason_missing"):
        outage.write(lambda s: incidents.waive_all_clear(s, incident, staff_id=supervisor, why=" ", now=outage.now))
    outage.write(
        lambda s: incidents.waive_all_clear(s, incident, staff_id=supervisor, why="已逐户电话告知", now=outage.now)
    )
    with pytest.raises(IncidentRefusedError, match="record_incomplete"):
        close()
    outage.complete(incident)
    with pytest.raises(IncidentRefusedError, match="record_incomplete"):
        close()
    outage.write(lambda s: incidents.review(s, incident, staff_id=supervisor, text="阀门老化", now=outage.now))
    with pytest.raises(IncidentRefusedError, match="evaluation_missing"):
        close(" ")
    close()

    assert state(outage, incident) is IncidentState.CLOSED
    assert {"announced", "all_clear_waived", "reviewed", "evaluation", "closed"} <= set(kinds(outage, incident))


def test_a_false_alarm_ends_at_once_but_not_after_people_were_told(outage: Outage) -> None:
    ops = outage.staff("ops")

    def report() -> int:
        return outage.write(
            lambda s: (
                detection.report(
                    s, outage.centre, code="INC-29", title="漏水", buildings=["3"], staff_id=ops, now=outage.now
                ).id
            )
        )

    first, second = report(), report()
    outage.write(lambda s: incidents.dismiss(s, first, staff_id=ops, why="看错了", now=outage.now))
    assert state(outage, first) is IncidentState.CLOSED
    notice = outage.draft(second)
    outage.approve(notice)
    outage.send(notice)
    with pytest.raises(IncidentRefusedError, match="already_confirmed"):
        outage.write(lambda s: incidents.dismiss(s, second, staff_id=ops, why="看错了", now=outage.now))


def test_a_new_estimate_is_kept_beside_the_old_and_drafts_the_update(outage: Outage) -> None:
    notice = outage.launched()
    incident = outage.the_incident(notice).id
    ops, leader = outage.staff("ops"), outage.staff("leader")
    eta = outage.now + timedelta(hours=6)
    with pytest.raises(IncidentRefusedError, match="not_allowed"):
        outage.write(lambda s: announcements.new_eta(s, outage.centre, incident, eta, staff_id=leader, now=outage.now))
    for _ in range(2):
        outage.write(lambda s: announcements.new_eta(s, outage.centre, incident, eta, staff_id=ops, now=outage.now))

    drafts = outage.write(lambda s: s.scalars(select(Broadcast).where(Broadcast.follows_id == notice)).all())
    assert [(d.kind, d.state) for d in drafts] == [(BroadcastKind.UPDATE, BroadcastState.DRAFT)]
    assert "16:00" in drafts[0].text_zh
    revised = outage.write(lambda s: s.scalars(select(Revision).where(Revision.field == "eta_at")).all())
    assert len(revised) == 2


async def test_everybody_says_the_agreed_words_and_nothing_before_it_is_confirmed(outage: Outage) -> None:
    ops, supervisor = outage.staff("ops"), outage.staff("supervisor")
    incident = outage.write(
        lambda s: (
            detection.report(
                s, outage.centre, code="INC-29", title="三号楼停暖", buildings=["3"], staff_id=ops, now=outage.now
            ).id
        )
    )

    async def asks(number: str, unit: str = "3号楼2单元501") -> str:
        person = Incoming(ChannelName.REST, f"visitor-{number}", number, "没暖气", language=Language.ZH)
        await inbox.receive(outage.centre, person)
        answer = await inbox.receive(
            outage.centre, Incoming(ChannelName.REST, f"visitor-{number}", f"{number}-unit", unit)
        )
        return " ".join(say.text for say in answer.answers)

    assert "三号楼停暖" not in await asks("1")
    outage.write(lambda s: incidents.confirm(s, outage.centre, incident, staff_id=supervisor, now=outage.now))
    assert "三号楼停暖" in await asks("2")
    outage.write(
        lambda s: incidents.agree_wording(s, incident, TEXT.zh, TEXT.en, staff_id=supervisor, why="", now=outage.now)
    )
    assert TEXT.zh in await asks("3")
    assert TEXT.zh not in await asks("4", "5号楼1单元101")


def test_who_asked_to_be_told_gets_the_all_clear_too(outage: Outage) -> None:
    notice = outage.launched()
    incident = outage.the_incident(notice).id
    asked = outage.contact("周望舒")
    outage.write(lambda s: s.add(NotifyMe(incident_id=incident, contact_id=asked, at=outage.now)))
    supervisor, ops = outage.staff("supervisor"), outage.staff("ops")
    outage.write(lambda s: incidents.recover(s, outage.centre, incident, staff_id=supervisor, text="", now=outage.now))
    over = outage.write(
        lambda s: (
            announcements.follow(s, outage.centre, notice, BroadcastKind.ALL_CLEAR, staff_id=ops, now=outage.now).id
        )
    )
    outage.approve(over)

    assert outage.broadcast(over).audience_size == 6


def test_costs_are_figures_and_sum_up_in_the_report(outage: Outage) -> None:
    """REQ-F53: recovered material counts against them; what is no amount is refused."""
    incident, who = outage.incident(), outage.staff("leader")

    def add(amount: str, what: str) -> None:
        outage.write(
            lambda s: incident_costs.add(s, outage.centre, incident, amount, what, staff_id=who, now=outage.now)
        )

    add("1,200.50", "抢修人工")
    add("300", "管材")
    add("-100.25", "回收废管")
    for wrong in ("", "0", "很多", "1.234", "NaN", "1e12"):
        with pytest.raises(IncidentRefusedError, match="number_bad"):
            add(wrong, "管材")
    with pytest.raises(IncidentRefusedError, match="text_empty"):
        add("5", " ")
    costs = outage.write(lambda s: incident_costs.costs_of(s, incident))
    assert costs.sums == (("CNY", Decimal("1400.25")),)
    report = outage.write(
        lambda s: documents(s, outage.centre, incident, "file", Language.ZH, outage.now, numbers=True)
    )
    (part,) = (part for part in report.parts if part.heading == "费用")
    assert [row[1:4] for row in part.rows] == [
        ("抢修人工", "1,200.50", "CNY"),
        ("管材", "300.00", "CNY"),
        ("回收废管", "-100.25", "CNY"),
        ("合计", "1,400.25", "CNY"),
    ]
