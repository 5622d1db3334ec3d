"""What was wrong stays legible beside what is right, and not everybody may say so (REQ-A22, G02)."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from bot.core.words import (
    CallbackState,
    CaseKind,
    ChannelName,
    Disposition,
    FollowUpGroup,
    IncidentState,
    Language,
    Presence,
    Purpose,
    Role,
)
from bot.reports.follow_ups import FollowUps, follow_ups
from bot.reports.incidents import documents
from bot.reports.rows import Rights
from bot.reports.spreadsheet import Wording
from bot.services import contacts
from bot.services.casework import cases
from bot.services.centre import Centre
from bot.services.incidents.incident_costs import costs_of
from bot.services.plans import followups
from bot.services.records import corrections
from bot.services.refusal import RefusedError
from bot.services.staffing.staff import SignedIn, by_username
from store.tables import (
    Answer,
    Archivable,
    ArchiveFile,
    Callback,
    CaseNote,
    Contact,
    Correction,
    CorrectionState,
    FileState,
    Incident,
    IncidentEntry,
    Revision,
)


def somebody(session: Session, username: str, *roles: Role) -> SignedIn:
    person = by_username(session, username)
    assert person is not None
    return SignedIn(person.id, username, person.name, frozenset(roles), Presence.ONLINE, "")


def a_person(session: Session, centre: Centre) -> int:
    now = centre.clock.now()
    met = contacts.meet(session, ChannelName.WEBCHAT, "v", language=Language.ZH, zone="Asia/Shanghai", now=now)
    contacts.learn(session, met.contact_id, {"name": "王秀英", "unit": "3-2-501"}, now=now, why="")
    return met.contact_id


def test_a_leader_corrects_a_name_and_the_old_one_stays(centre: Centre) -> None:
    def story(session: Session) -> None:
        now, leader = centre.clock.now(), somebody(session, "leader", Role.LEADER)
        person = a_person(session, centre)
        assert (
            corrections.correct(session, "contact", person, "name", "王秀瑛", "写错字", staff=leader, now=now)
            is CorrectionState.MADE
        )
        session.flush()
        (was,) = corrections.history(session, "contact", [person])[(person, "name")]
        assert (was.old, was.new, was.who, was.why, was.at) == ("王秀英", "王秀瑛", leader.name, "写错字", now)
        assert session.get_one(Contact, person).name == "王秀瑛"

    centre.db.write_now(story)


def test_an_agent_proposes_and_a_supervisor_decides(centre: Centre) -> None:
    def story(session: Session) -> None:
        now, agent = centre.clock.now(), somebody(session, "agent", Role.AGENT)
        supervisor, leader = somebody(session, "supervisor", Role.SUPERVISOR), somebody(session, "leader", Role.LEADER)
        person = a_person(session, centre)
        state = corrections.correct(session, "contact", person, "unit", "3-2-502", "搬了", staff=agent, now=now)
        assert state is CorrectionState.PROPOSED
        assert contacts.unit_of(session, session.get_one(Contact, person)) == "3-2-501"
        (waiting,) = corrections.proposals(session)
        assert (waiting.old, waiting.new, waiting.who) == ("3-2-501", "3-2-502", agent.name)
        with pytest.raises(RefusedError, match="not_allowed"):
            corrections.decide(session, waiting.row.id, yes=True, staff=leader, now=now)
        corrections.decide(session, waiting.row.id, yes=True, staff=supervisor, now=now)
        session.flush()
        assert contacts.unit_of(session, session.get_one(Contact, person)) == "3-2-502"
        assert corrections.proposals(session) == []
        seen = corrections.history(session, "contact", [person])[(person, "unit")]
        hidden = corrections.history(session, "contact", [person], full=False)[(person, "unit")]
        assert [was.old for was in seen] == ["3-2-501"]
        assert [was.old for was in hidden] == ["****"]
        kept = session.scalars(select(Revision).where(Revision.field == "unit")).all()
        assert "3-2-501" not in str([(row.old, row.new) for row in kept]), "an address is sealed wherever it is kept"

    centre.db.write_now(story)


def test_what_is_append_only_is_corrected_beside_itself(centre: Centre) -> None:
    def story(session: Session) -> None:
        now, supervisor = centre.clock.now(), somebody(session, "supervisor", Role.SUPERVISOR)
        case = cases.open_case(
            session,
            kind=CaseKind.REPAIR,
            contact_id=a_person(session, centre),
            subject="灯坏了",
            zone=centre.settings.zone,
            now=now,
        )
        session.flush()
        note = session.scalars(select(CaseNote).where(CaseNote.case_id == case.id)).one()
        for new in ("走廊灯坏了", "走廊两盏灯坏了"):
            corrections.correct(session, "case_note", note.id, "text", new, "不准确", staff=supervisor, now=now)
            session.flush()
        assert note.text == "灯坏了"
        was = corrections.history(session, "case_note", [note.id])[(note.id, "text")]
        assert [each.old for each in was] == ["灯坏了", "走廊灯坏了"]
        assert corrections.value_of(session, "case_note", note.id, "text") == "走廊两盏灯坏了"

    centre.db.write_now(story)


@pytest.mark.parametrize(
    ("new", "why", "code"), [("王秀英", "一样", "correction_same"), ("", "空", "correction_same"), ("李", "", "reason")]
)
def test_a_correction_says_what_and_why(centre: Centre, new: str, why: str, code: str) -> None:
    def story(session: Session) -> None:
        leader = somebody(session, "leader", Role.LEADER)
        person = a_person(session, centre)
        with pytest.raises(RefusedError, match=code):
            corrections.correct(session, "contact", person, "name", new, why, staff=leader, now=centre.clock.now())

    centre.db.write_now(story)


def test_a_proposal_made_of_an_older_value_is_not_written_over_a_newer_one(centre: Centre) -> None:
    def story(session: Session) -> None:
        now, agent = centre.clock.now(), somebody(session, "agent", Role.AGENT)
        leader = somebody(session, "leader", Role.LEADER)
        person = a_person(session, centre)
        corrections.correct(session, "contact", person, "name", "王一", "甲", staff=agent, now=now)
        corrections.correct(session, "contact", person, "name", "王二", "乙", staff=leader, now=now)
        waiting = session.scalars(select(Correction).where(Correction.state == CorrectionState.PROPOSED)).one()
        with pytest.raises(RefusedError, match="changed_meanwhile"):
            corrections.decide(session, waiting.id, yes=True, staff=leader, now=now)

    centre.db.write_now(story)


# ── figures: reports are worked out of the records each time, so the record is what is corrected ──


def rated(session: Session, centre: Centre) -> tuple[int, int]:
    """A follow-up with a bad score, as its flag says: the callback and the answer."""
    now = centre.clock.now()
    callback = Callback(
        dedupe_key="rated",
        contact_id=a_person(session, centre),
        follow_up_group=FollowUpGroup.AFTER_COMPLAINT,
        plan="x",
        purpose=Purpose.FOLLOW_UP,
        policies="",
        flow_id="x",
        flags=[followups.LOW, "late"],
        state=CallbackState.DONE,
        disposition=Disposition.COMPLETED,
        due_at=now,
        created_at=now,
        closed_at=now,
    )
    session.add(callback)
    session.flush()
    answer = Answer(callback_id=callback.id, question="score_service", answer="1", score=1, at=now)
    session.add(answer)
    session.flush()
    return callback.id, answer.id


def test_a_corrected_score_counts_in_the_report_and_the_first_one_stays(centre: Centre) -> None:
    def story(session: Session) -> None:
        now, supervisor = centre.clock.now(), somebody(session, "supervisor", Role.SUPERVISOR)
        callback_id, answer = rated(session, centre)

        def read() -> FollowUps:
            day, rights = timedelta(days=1), Rights(health=True, numbers=False)
            return follow_ups(session, since=now - day, until=now + day, rights=rights, zone=centre.settings.zone)

        assert read().figures.scores == {"score_service": (1.0, 1)}
        for wrong in ("0", "6", "很好"):
            with pytest.raises(RefusedError, match="correction_score"):
                corrections.correct(session, "answer", answer, "answer", wrong, "x", staff=supervisor, now=now)
        corrections.correct(session, "answer", answer, "answer", "5", "听错了", staff=supervisor, now=now)
        session.flush()
        report = read()
        assert report.figures.scores == {"score_service": (5.0, 1)}
        assert (report.rows[0].answers, report.rows[0].corrected) == ({"score_service": "5"}, {"score_service": "1"})
        words = Wording(Language.ZH, centre.settings.zone, centre.library.current.book)
        assert words.answer(report.rows[0], "score_service") == "5（更正，原为：1）"
        assert session.get_one(Callback, callback_id).flags == ["late"], "it is no bad rating any more"
        assert session.get_one(Answer, answer).score == 1, "what was written first is not touched"
        hidden = follow_ups(
            session,
            since=now - timedelta(days=1),
            until=now + timedelta(days=1),
            rights=Rights(health=False, numbers=False),
            zone=centre.settings.zone,
        )
        assert hidden.rows[0].corrected == {"score_service": "1"}

    centre.db.write_now(story)


def filed(session: Session, centre: Centre) -> tuple[int, int]:
    """A closed incident with the report to the authorities and a cost: the incident and the entry."""
    now = centre.clock.now()
    incident = Incident(
        code="INC-01",
        title="停水",
        state=IncidentState.CLOSED,
        facts={"authorities": {"loss": "3000元", "casualties": "0"}},
        started_at=now,
        ended_at=now,
    )
    session.add(incident)
    session.flush()
    cost = IncidentEntry(incident_id=incident.id, kind="cost", text="人工", amount=120_050, currency="CNY", at=now)
    session.add(cost)
    session.flush()
    return incident.id, cost.id


def cells(session: Session, centre: Centre, incident_id: int, kind: str = "file") -> list[str]:
    report = documents(session, centre, incident_id, kind, Language.ZH, centre.clock.now(), numbers=True)
    return [cell for part in report.parts for row in part.rows for cell in row]


def test_figures_of_a_closed_incident_are_corrected_in_its_report(centre: Centre) -> None:
    def story(session: Session) -> None:
        now, supervisor = centre.clock.now(), somebody(session, "supervisor", Role.SUPERVISOR)
        incident_id, cost = filed(session, centre)

        def correct(subject: str, subject_id: int, field: str, new: str) -> None:
            corrections.correct(session, subject, subject_id, field, new, "核对票据", staff=supervisor, now=now)
            session.flush()

        correct("incident", incident_id, "authorities.loss", "3500元")
        correct("incident_entry", cost, "amount", "1,300")
        correct("incident_entry", cost, "amount", "1350.5")
        for wrong in ("很多", "0"):
            with pytest.raises(RefusedError, match="number_bad"):
                correct("incident_entry", cost, "amount", wrong)
        with pytest.raises(RefusedError, match="correction_same"):
            correct("incident_entry", cost, "amount", "1350.50")

        costs = costs_of(session, incident_id)
        assert costs.sums == (("CNY", Decimal("1350.50")),)
        assert [was.old for was in costs.entries[0].was] == ["1,200.50", "1,300.00"]
        assert session.get_one(IncidentEntry, cost).amount == 120_050, "what was entered is not touched"
        said = cells(session, centre, incident_id)
        assert {"1,350.50（更正，原为：1,200.50）", "3500元（更正，原为：3000元）", "1,350.50"} <= set(said)
        assert "3500元（更正，原为：3000元）" in cells(session, centre, incident_id, "authorities")

    centre.db.write_now(story)


def test_an_owner_proposes_and_what_is_archived_is_left_to_its_own_way(centre: Centre) -> None:
    def story(session: Session) -> None:
        now, leader = centre.clock.now(), somebody(session, "leader", Role.LEADER)
        supervisor = somebody(session, "supervisor", Role.SUPERVISOR)
        incident_id, _ = filed(session, centre)
        session.get_one(Incident, incident_id).owner_id = leader.staff_id
        assert corrections.own_matter(session, "incident", incident_id, leader.staff_id)
        given = ("incident", incident_id, "authorities.casualties", "1", "又查到一人")
        assert corrections.correct(session, *given, staff=leader, now=now) is CorrectionState.PROPOSED
        (waiting,) = corrections.proposals(session)
        assert (waiting.old, waiting.new, waiting.link) == ("0", "1", f"/console/incidents/{incident_id}")
        corrections.decide(session, waiting.row.id, yes=True, staff=supervisor, now=now)
        session.flush()
        assert session.get_one(Incident, incident_id).facts["authorities"]["casualties"] == "1"
        session.add(
            ArchiveFile(
                number="A1",
                subject=Archivable.INCIDENT,
                subject_id=incident_id,
                title="停水",
                state=FileState.ARCHIVED,
                gathered_by=leader.staff_id,
                gathered_at=now,
                checked_by=supervisor.staff_id,
            )
        )
        session.flush()
        with pytest.raises(RefusedError, match="correction_archived"):
            corrections.correct(
                session, "incident", incident_id, "authorities.loss", "1元", "x", staff=supervisor, now=now
            )

    centre.db.write_now(story)
