"""The archive: gathered, checked by another, locked, changed by request, lent for a while; void (REQ-G04..G07)."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from bot.core.words import CaseState, Language, Role
from bot.reports.archive import contents
from bot.reports.service import service
from bot.services.casework import cases
from bot.services.centre import Centre
from bot.services.records import archive, archive_changes, loans, locked, voids
from bot.services.records.loans import LoanState
from bot.services.refusal import RefusedError
from store.db import Database
from store.tables import Archivable, ArchiveChange, ArchiveFile, AuditEntry, Case, CaseNote, FileState, Loan, Revision
from tests.fakes.records import NOW, ZONE, Complaint, Talk, person

A = Archivable
WEEK = timedelta(days=7)


class Room:
    """Somebody of each role that the archive knows, and a closed complaint."""

    def __init__(self, session: Session) -> None:
        self.agent, self.leader, self.supervisor, self.manager, self.archivist = (
            person(session, f"archive-{role}", role)
            for role in (Role.AGENT, Role.LEADER, Role.SUPERVISOR, Role.MANAGER, Role.ARCHIVIST)
        )
        talk = Talk(session, "lin", NOW)
        self.complaint = Complaint(session, talk, NOW, self.agent)

    def gathered(self, session: Session, subject: Archivable = A.CASE, subject_id: int | None = None) -> ArchiveFile:
        which = self.complaint.id if subject_id is None else subject_id
        return archive.gather(session, subject, which, shelf="", zone=ZONE, staff_id=self.archivist, now=NOW)

    def archived(self, session: Session, subject: Archivable = A.CASE, subject_id: int | None = None) -> ArchiveFile:
        file = self.gathered(session, subject, subject_id)
        return archive.check(session, file.id, good=True, note="", staff_id=self.leader, now=NOW)


def refused(code: str, work: Callable[[], Any]) -> None:
    with pytest.raises(RefusedError, match=code):
        work()


def in_room(db: Database, work: Callable[[Session, Room], None]) -> None:
    db.write_now(lambda session: work(session, Room(session)))


def test_a_file_is_numbered_checked_by_another_and_locked(db: Database) -> None:
    def work(session: Session, room: Room) -> None:
        file = room.gathered(session)
        assert (file.number, file.title) == ("A2026-0001", room.complaint.number)
        refused("archived_already", lambda: room.gathered(session))
        assert not locked.is_locked(session, A.CASE, room.complaint.id)
        again = {"note": "", "now": NOW}
        refused("not_allowed", lambda: archive.check(session, file.id, good=True, staff_id=room.archivist, **again))
        refused("reason_missing", lambda: archive.check(session, file.id, good=False, staff_id=room.leader, **again))
        archive.check(session, file.id, good=True, staff_id=room.leader, **again)
        assert locked.is_locked(session, A.CASE, room.complaint.id)
        refused(
            "archive_not_waiting", lambda: archive.check(session, file.id, good=True, staff_id=room.manager, **again)
        )

    in_room(db, work)


def test_only_what_is_over_is_gathered_and_only_by_the_archivist(db: Database) -> None:
    def work(session: Session, room: Room) -> None:
        session.get_one(Case, room.complaint.id).state = CaseState.RESOLVED
        session.flush()
        refused("archive_not_over", lambda: room.gathered(session))
        refused(
            "not_allowed",
            lambda: archive.gather(
                session, A.CALLBACK, room.complaint.callback, shelf="", zone=ZONE, staff_id=room.leader, now=NOW
            ),
        )
        assert [row.id for row in archive.not_gathered(session, A.CALLBACK, 10)] == [room.complaint.callback]
        room.gathered(session, A.CALLBACK, room.complaint.callback)
        assert archive.not_gathered(session, A.CALLBACK, 10) == []

    in_room(db, work)


def test_what_is_sent_back_may_be_gathered_again(db: Database) -> None:
    def work(session: Session, room: Room) -> None:
        file = room.gathered(session)
        archive.check(session, file.id, good=False, note="缺反馈", staff_id=room.leader, now=NOW)
        assert file.state is FileState.SENT_BACK
        assert room.gathered(session).number == "A2026-0002"

    in_room(db, work)


# ── changes by request ──


def ask(session: Session, file: ArchiveFile, who: int, field: str, new: str = "漏水两次") -> ArchiveChange:
    return archive_changes.ask(session, file.id, field=field, new=new, why="笔误", staff_id=who, now=NOW)


@pytest.mark.parametrize(
    ("field", "asks", "decides", "code"),
    [
        ("subject", "leader", "manager", ""),
        ("subject", "supervisor", "manager", ""),
        ("subject", "leader", "supervisor", "not_allowed"),
        ("", "leader", "supervisor", ""),
        ("", "leader", "manager", ""),
        ("", "leader", "leader", "not_allowed"),
        ("", "supervisor", "supervisor", "archive_second_person"),
        ("subject", "manager", "manager", "archive_second_person"),
        ("subject", "leader", "archivist", "not_allowed"),
    ],
)
def test_who_grants_a_change(db: Database, field: str, asks: str, decides: str, code: str) -> None:
    def work(session: Session, room: Room) -> None:
        file = room.archived(session)
        change = ask(session, file, getattr(room, asks), field)

        def decide() -> ArchiveChange:
            return archive_changes.decide(
                session, change.id, granted=True, note="", staff_id=getattr(room, decides), now=NOW
            )

        if code:
            refused(code, decide)
            assert change.granted is None
        else:
            decide()
            refused("archive_decided", decide)

    in_room(db, work)


def test_a_change_keeps_the_old_text_and_an_addition_stands_behind(db: Database) -> None:
    def work(session: Session, room: Room) -> None:
        file = room.archived(session)
        change, more = ask(session, file, room.leader, "subject"), ask(session, file, room.leader, "", "附照片两张")
        for each in (change, more):
            archive_changes.decide(session, each.id, granted=True, note="", staff_id=room.manager, now=NOW)
        session.flush()
        assert session.get_one(Case, room.complaint.id).subject == "漏水两次"
        latest = session.scalars(
            select(Revision).where(Revision.subject == "case").order_by(Revision.id.desc())
        ).first()
        assert latest is not None
        assert (latest.old, latest.new, latest.staff_id, latest.why) == ("漏水", "漏水两次", room.leader, "笔误")
        added = session.scalars(select(CaseNote).where(CaseNote.kind == "added")).one()
        assert added.text == "附照片两张"

    in_room(db, work)


@pytest.mark.parametrize(("asks", "code"), [("agent", "not_allowed"), ("archivist", "not_allowed")])
def test_who_may_not_ask_for_a_change(db: Database, asks: str, code: str) -> None:
    def work(session: Session, room: Room) -> None:
        file = room.archived(session)
        refused(code, lambda: ask(session, file, getattr(room, asks), "subject"))
        refused("not_found", lambda: ask(session, file, room.leader, "state"))
        refused("archive_change_empty", lambda: ask(session, file, room.leader, "subject", " "))

    in_room(db, work)


# ── loans ──


def test_a_loan_is_asked_granted_handed_out_and_over(db: Database) -> None:
    def work(session: Session, room: Room) -> None:
        file = room.archived(session)
        loan = loans.ask(session, file.id, purpose="复核", staff_id=room.agent, now=NOW)
        refused("loan_asked_already", lambda: loans.ask(session, file.id, purpose="x", staff_id=room.agent, now=NOW))
        hand_out: dict[str, Any] = {"lasts": WEEK, "staff_id": room.archivist, "now": NOW}
        refused("loan_not_granted", lambda: loans.register(session, loan.id, **hand_out))
        grant: dict[str, Any] = {"granted": True, "note": "", "now": NOW}
        refused("not_allowed", lambda: loans.decide(session, loan.id, staff_id=room.supervisor, **grant))
        loans.decide(session, loan.id, staff_id=room.manager, **grant)
        assert loans.current(session, file.id, room.agent, NOW) is None, "nobody handed it out"
        loans.register(session, loan.id, **hand_out)
        session.flush()
        assert loans.current(session, file.id, room.agent, NOW + WEEK - timedelta(seconds=1)) is loan
        assert loans.current(session, file.id, room.leader, NOW) is None
        assert loans.current(session, file.id, room.agent, NOW + WEEK) is None
        assert loans.state_of(loan, NOW + WEEK) is LoanState.EXPIRED
        later = loans.ask(session, file.id, purpose="再看", staff_id=room.agent, now=NOW + WEEK)
        assert later.id != loan.id, "longer is a loan of its own"
        loans.opened(session, file, loan, staff_id=room.agent, now=NOW)
        session.flush()
        read = session.scalars(select(AuditEntry).where(AuditEntry.action == "loan.read")).one()
        assert (read.staff_id, read.details["loan"]) == (room.agent, loan.id)

    in_room(db, work)


def test_a_loan_given_back_is_over(db: Database) -> None:
    def work(session: Session, room: Room) -> None:
        file = room.archived(session)
        loan = loans.ask(session, file.id, purpose="复核", staff_id=room.agent, now=NOW)
        loans.decide(session, loan.id, granted=True, note="", staff_id=room.manager, now=NOW)
        loans.register(session, loan.id, lasts=WEEK, staff_id=room.archivist, now=NOW)
        refused("not_allowed", lambda: loans.give_back(session, loan.id, staff_id=room.leader, now=NOW))
        loans.give_back(session, loan.id, staff_id=room.agent, now=NOW)
        session.flush()
        assert loans.current(session, file.id, room.agent, NOW) is None
        refused("loan_not_out", lambda: loans.give_back(session, loan.id, staff_id=room.agent, now=NOW))

    in_room(db, work)


def test_nobody_grants_their_own_loan(db: Database) -> None:
    def work(session: Session, room: Room) -> None:
        file = room.archived(session)
        loan = loans.ask(session, file.id, purpose="复核", staff_id=room.manager, now=NOW)
        refused(
            "archive_second_person",
            lambda: loans.decide(session, loan.id, granted=True, note="", staff_id=room.manager, now=NOW),
        )
        refused("loan_purpose_missing", lambda: loans.ask(session, file.id, purpose=" ", staff_id=room.leader, now=NOW))

    in_room(db, work)


# ── what goes on, what is void ──


def test_a_case_that_goes_on_leaves_the_archive(centre: Centre) -> None:
    def work(session: Session) -> None:
        room = Room(session)
        room.archived(session)
        cases.reopen(session, centre, room.complaint.id, "没有解决", now=NOW)
        assert not locked.is_locked(session, A.CASE, room.complaint.id)
        assert session.scalars(select(ArchiveFile.state)).one() is FileState.SENT_BACK

    centre.db.write_now(work)


def test_an_archived_case_can_be_read(centre: Centre) -> None:
    def work(session: Session) -> None:
        room = Room(session)
        case, call = room.archived(session), room.archived(session, A.CALLBACK, room.complaint.callback)
        said = str(contents(session, centre, case, Language.EN, NOW))
        assert "漏水" in said
        assert "修好了" in said
        assert "是" in str(contents(session, centre, call, Language.ZH, NOW))

    centre.db.write_now(work)


def test_what_is_void_counts_in_no_figure_and_is_still_there(centre: Centre) -> None:
    sla, zone = centre.library.current.policies.sla, ZoneInfo("Asia/Shanghai")
    since, until = NOW - timedelta(days=1), NOW + timedelta(days=1)

    def complaints(session: Session) -> int:
        found = service(session, since=since, until=until, sla=sla, zone=zone, now=until)
        return sum(count for _, count in found.complaints)

    def work(session: Session) -> None:
        room = Room(session)
        which: tuple[Session, Archivable, int] = session, A.CASE, room.complaint.id
        later: dict[str, Any] = {"now": NOW}
        assert complaints(session) == 1
        refused("not_allowed", lambda: voids.declare(*which, why="测试单", staff_id=room.agent, **later))
        refused("reason_missing", lambda: voids.declare(*which, why="", staff_id=room.supervisor, **later))
        voids.declare(*which, why="测试单", staff_id=room.supervisor, **later)
        refused("void_already", lambda: voids.declare(*which, why="又", staff_id=room.manager, **later))
        assert complaints(session) == 0
        assert session.get(Case, room.complaint.id) is not None
        voids.lift(*which, why="查明有效", staff_id=room.manager, **later)
        session.flush()
        assert complaints(session) == 1

    centre.db.write_now(work)


def test_loans_of_the_register(db: Database) -> None:
    """What waits for a manager or the archivist, the oldest first."""

    def work(session: Session, room: Room) -> None:
        file = room.archived(session)
        first = loans.ask(session, file.id, purpose="一", staff_id=room.agent, now=NOW)
        second = loans.ask(session, file.id, purpose="二", staff_id=room.leader, now=NOW)
        assert loans.waiting(session) == [first, second]
        loans.decide(session, first.id, granted=True, note="", staff_id=room.manager, now=NOW)
        loans.decide(session, second.id, granted=False, note="", staff_id=room.manager, now=NOW)
        session.flush()
        assert loans.waiting(session) == [first]
        assert session.scalars(select(Loan.id).where(Loan.registered_at.is_not(None))).all() == []
        at: datetime = NOW
        assert loans.state_of(second, at) is LoanState.REFUSED

    in_room(db, work)
