"""What was wrong stays legible beside what is right, and not everybody may say so (REQ-A22, G02)."""

from __future__ import annotations

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from bot.core.words import CaseKind, ChannelName, Language, Presence, Role
from bot.services import contacts
from bot.services.casework import cases
from bot.services.centre import Centre
from bot.services.records import corrections
from bot.services.refusal import RefusedError
from bot.services.staffing.staff import SignedIn, by_username
from store.tables import CaseNote, Contact, Correction, CorrectionState, Revision


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
