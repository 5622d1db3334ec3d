"""A legal hold reaches everything that hangs together, and only its lifting lets go (REQ-G08, G11)."""

from __future__ import annotations

import pytest
from sqlalchemy import delete, select, update
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from bot.core.media import MediaKind
from bot.core.retention import HoldSubject
from bot.core.words import CaseKind, Role
from bot.services import audit, contacts, sealing
from bot.services.casework import cases
from bot.services.records import holds
from bot.services.records.holds import held
from bot.services.refusal import RefusedError
from store.db import Database
from store.holds import unlocked
from store.tables import (
    Attachment,
    AuditEntry,
    CaseLink,
    CaseNote,
    CustomerReport,
    Incident,
    LegalHold,
    LinkKind,
    Unlocked,
)
from tests.fakes.records import NOW, ZONE, Talk, person

S = HoldSubject


class World:
    """One person with a conversation, a recording in it, its case, an incident; another person with nothing in it."""

    def __init__(self, session: Session) -> None:
        self.keeper = person(session, "keeper", Role.MANAGER)
        talk, another = Talk(session, "lin", NOW), Talk(session, "wu", NOW)
        self.contact, self.conversation, self.recording = talk.contact, talk.id, talk.recording
        self.other, self.elsewhere = another.contact, another.id
        case = cases.open_case(
            session,
            kind=CaseKind.COMPLAINT,
            contact_id=self.contact,
            subject="漏水",
            zone=ZONE,
            now=NOW,
            conversation_id=self.conversation,
        )
        incident = Incident(code="INC-01", title="停水", started_at=NOW)
        session.add(incident)
        session.flush()
        self.case, self.incident = case.id, incident.id
        session.add(CaseLink(case_id=case.id, kind=LinkKind.INCIDENT, other_id=incident.id, at=NOW))
        session.flush()

    def all(self) -> dict[str, tuple[HoldSubject, int]]:
        return {
            "contact": (S.CONTACT, self.contact),
            "conversation": (S.CONVERSATION, self.conversation),
            "recording": (S.RECORDING, self.recording),
            "case": (S.CASE, self.case),
            "incident": (S.INCIDENT, self.incident),
        }

    def reached(self, session: Session) -> set[str]:
        return {name for name, which in self.all().items() if held(session, *which)}


@pytest.mark.parametrize(
    ("placed", "reached"),
    [
        ("contact", {"contact", "conversation", "recording", "case"}),
        ("case", {"contact", "conversation", "recording", "case"}),
        ("incident", {"contact", "conversation", "recording", "case", "incident"}),
        ("conversation", {"contact", "conversation", "recording", "case"}),
        ("recording", {"contact", "conversation", "recording"}),
    ],
)
def test_a_hold_reaches_what_hangs_together(db: Database, placed: str, reached: set[str]) -> None:
    def work(session: Session) -> None:
        world = World(session)
        assert world.reached(session) == set()
        hold = holds.place(session, *world.all()[placed], "法院来函", staff_id=world.keeper, now=NOW)
        assert world.reached(session) == reached
        assert [each.id for each in held(session, *world.all()[placed])] == [hold.id]
        assert held(session, S.CONTACT, world.other) == held(session, S.CONVERSATION, world.elsewhere) == ()
        holds.lift(session, hold.id, "已结案", staff_id=world.keeper, now=NOW)
        assert world.reached(session) == set()
        assert list(session.scalars(select(LegalHold.lifted_why))) == ["已结案"]

    db.write_now(work)


def test_two_reasons_are_two_holds_and_each_is_lifted_by_itself(db: Database) -> None:
    def work(session: Session) -> None:
        world = World(session)
        which = S.CASE, world.case
        first = holds.place(session, *which, "法院来函", staff_id=world.keeper, now=NOW)
        second = holds.place(session, *which, "保险理赔", staff_id=world.keeper, now=NOW)
        with pytest.raises(RefusedError, match="hold_placed_already"):
            holds.place(session, *which, " 保险理赔 ", staff_id=world.keeper, now=NOW)
        holds.lift(session, first.id, "已结案", staff_id=world.keeper, now=NOW)
        assert [each.id for each in held(session, *which)] == [second.id]
        with pytest.raises(RefusedError, match="hold_lifted_already"):
            holds.lift(session, first.id, "又一次", staff_id=world.keeper, now=NOW)
        with pytest.raises(RefusedError, match="hold_reason_missing"):
            holds.lift(session, second.id, "  ", staff_id=world.keeper, now=NOW)
        done = session.scalars(select(AuditEntry.action).where(AuditEntry.subject == "hold").order_by(AuditEntry.id))
        assert done.all() == ["hold.place", "hold.place", "hold.lift"]

    db.write_now(work)


def test_what_is_not_there_is_not_held(db: Database) -> None:
    def work(session: Session) -> None:
        world = World(session)
        with pytest.raises(RefusedError, match="hold_nothing_there"):
            holds.place(session, S.CASE, 999_999_999, "x", staff_id=world.keeper, now=NOW)
        with pytest.raises(RefusedError, match="hold_reason_missing"):
            holds.place(session, S.CASE, world.case, "", staff_id=world.keeper, now=NOW)
        photo = session.get_one(Attachment, world.recording)
        photo.kind = MediaKind.PHOTO
        with pytest.raises(RefusedError, match="hold_nothing_there"):
            holds.place(session, S.RECORDING, world.recording, "x", staff_id=world.keeper, now=NOW)
        assert session.scalars(select(LegalHold)).all() == []

    db.write_now(work)


def test_a_hold_on_one_of_merged_contacts_holds_the_person(db: Database) -> None:
    def work(session: Session) -> None:
        world = World(session)
        contacts.merge(session, world.other, world.contact, staff_id=world.keeper, why="test", now=NOW)
        holds.place(session, S.CONTACT, world.other, "法院来函", staff_id=world.keeper, now=NOW)
        assert held(session, S.CONTACT, world.contact)
        assert held(session, S.CASE, world.case)
        assert held(session, S.CONVERSATION, world.elsewhere)

    db.write_now(work)


def test_who_reported_an_incident_is_held_with_it(db: Database) -> None:
    def work(session: Session) -> None:
        world = World(session)
        session.add(
            CustomerReport(
                intent="no_water",
                contact_id=world.other,
                conversation_id=world.elsewhere,
                incident_id=world.incident,
                at=NOW,
            )
        )
        session.flush()
        holds.place(session, S.INCIDENT, world.incident, "调查", staff_id=world.keeper, now=NOW)
        assert held(session, S.CONVERSATION, world.elsewhere)
        assert held(session, S.CONTACT, world.other)

    db.write_now(work)


# ── the permit ──


def test_append_only_rows_go_only_under_a_permit(db: Database) -> None:
    case_id = db.write_now(lambda s: World(s).case)
    blacken = update(CaseNote).where(CaseNote.case_id == case_id).values(text="—")
    with pytest.raises(DBAPIError, match="append-only"):
        db.write_now(lambda s: s.execute(blacken))

    def under_permit(session: Session) -> None:
        with unlocked(session, "test"):
            session.execute(blacken)
            session.execute(delete(CaseNote).where(CaseNote.case_id == case_id))

    db.write_now(under_permit)
    assert db.read_now(lambda s: s.scalars(select(CaseNote)).all()) == []
    assert db.read_now(lambda s: s.scalars(select(Unlocked)).all()) == []


def test_no_permit_opens_the_audit(db: Database) -> None:
    db.write_now(lambda s: audit.record(s, "test.made", "test", 1, now=NOW))

    def work(session: Session) -> None:
        with unlocked(session, "test"):
            session.execute(delete(AuditEntry))

    with pytest.raises(DBAPIError, match="append-only"):
        db.write_now(work)
    db.write_now(lambda s: sealing.seal(s, 2**40, NOW))
    assert db.read_now(sealing.verify).broken is None
    assert db.read_now(lambda s: s.scalars(select(Unlocked)).all()) == []
