"""Loans of archived files: asked for, granted by the general manager, handed out by the archivist, over after some days
(REQ-G07).

Who has a loan may read, for so long and nothing else; each reading is audited. More time is a loan of its own.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import StrEnum

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from bot.services import audit
from bot.services.permissions import Function, Grant
from bot.services.records.archive import allow, locked_row
from bot.services.refusal import RefusedError
from store.tables import ArchiveFile, FileState, Loan


class LoanState(StrEnum):
    """Where a loan stands; `expired` comes with the clock."""

    ASKED = "asked"
    GRANTED = "granted"
    REFUSED = "refused"
    OUT = "out"
    RETURNED = "returned"
    EXPIRED = "expired"


def state_of(loan: Loan, now: datetime) -> LoanState:
    """Where it stands now."""
    if loan.granted is None:
        return LoanState.ASKED
    if not loan.granted:
        return LoanState.REFUSED
    if loan.returned_at is not None:
        return LoanState.RETURNED
    if loan.until is None:
        return LoanState.GRANTED
    return LoanState.OUT if now < loan.until else LoanState.EXPIRED


def ask(session: Session, file_id: int, *, purpose: str, staff_id: int, now: datetime) -> Loan:
    """Asks to read an archived file. Raises RefusedError; one request at a time."""
    allow(session, staff_id, Function.BORROW)
    file = locked_row(session, file_id)
    if file.state is not FileState.ARCHIVED:
        raise RefusedError("archive_not_archived")
    if not purpose.strip():
        raise RefusedError("loan_purpose_missing")
    mine = select(Loan).where(Loan.file_id == file.id, Loan.staff_id == staff_id)
    if any(state_of(each, now) in (LoanState.ASKED, LoanState.GRANTED) for each in session.scalars(mine)):
        raise RefusedError("loan_asked_already")
    loan = Loan(file_id=file.id, staff_id=staff_id, purpose=purpose.strip()[:2000], asked_at=now)
    session.add(loan)
    session.flush()
    audit.record(session, "loan.ask", "loan", loan.id, now=now, staff_id=staff_id, file=file.number)
    return loan


def decide(session: Session, loan_id: int, *, granted: bool, note: str, staff_id: int, now: datetime) -> Loan:
    """The general manager grants a loan or not; never their own."""
    allow(session, staff_id, Function.BORROW, Grant.APPROVE)
    loan = _locked(session, loan_id)
    if loan.granted is not None:
        raise RefusedError("archive_decided")
    if loan.staff_id == staff_id:
        raise RefusedError("archive_second_person")
    loan.granted, loan.decided_by, loan.decided_at, loan.note = granted, staff_id, now, note.strip()[:2000]
    audit.record(
        session, "loan.decide", "loan", loan.id, now=now, staff_id=staff_id, note=note.strip(), granted=granted
    )
    return loan


def register(session: Session, loan_id: int, *, lasts: timedelta, staff_id: int, now: datetime) -> Loan:
    """The archivist hands the file out, from now on for `lasts`."""
    allow(session, staff_id, Function.BORROW, Grant.RECORD)
    loan = _locked(session, loan_id)
    if state_of(loan, now) is not LoanState.GRANTED:
        raise RefusedError("loan_not_granted")
    loan.registered_by, loan.registered_at, loan.until = staff_id, now, now + lasts
    audit.record(session, "loan.register", "loan", loan.id, now=now, staff_id=staff_id, until=loan.until.isoformat())
    return loan


def give_back(session: Session, loan_id: int, *, staff_id: int, now: datetime) -> Loan:
    """The loan ends early: its reader gives it back, or the archivist takes it back."""
    loan = _locked(session, loan_id)
    if loan.staff_id != staff_id:
        allow(session, staff_id, Function.BORROW, Grant.RECORD)
    if state_of(loan, now) is not LoanState.OUT:
        raise RefusedError("loan_not_out")
    loan.returned_at = now
    audit.record(session, "loan.return", "loan", loan.id, now=now, staff_id=staff_id)
    return loan


def current(session: Session, file_id: int, staff_id: int, now: datetime) -> Loan | None:
    """The loan by which this person may read the file now."""
    theirs = Loan.file_id == file_id, Loan.staff_id == staff_id, Loan.until > now, Loan.returned_at.is_(None)
    return session.scalar(select(Loan).where(*theirs).order_by(Loan.until.desc()).limit(1))


def opened(session: Session, file: ArchiveFile, loan: Loan | None, *, staff_id: int, now: datetime) -> None:
    """Notes that somebody read an archived file, by a loan or by their office."""
    loan_id = loan.id if loan is not None else None
    audit.record(session, "loan.read", "archive", file.id, now=now, staff_id=staff_id, file=file.number, loan=loan_id)


def waiting(session: Session) -> list[Loan]:
    """What a manager must decide or an archivist must hand out, the oldest first."""
    undone = or_(Loan.granted.is_(None), Loan.granted & Loan.registered_at.is_(None))
    return list(session.scalars(select(Loan).where(undone).order_by(Loan.id).limit(200)))


def _locked(session: Session, loan_id: int) -> Loan:
    loan = session.get(Loan, loan_id, with_for_update=True, populate_existing=True)
    if loan is None:
        raise RefusedError("not_found")
    return loan
