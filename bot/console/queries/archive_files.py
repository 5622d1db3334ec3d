"""The archive's register, its loans, and one file's card, as the viewer may see them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from bot.services.permissions import Function, Grant
from bot.services.records import archive, loans
from bot.services.records.loans import LoanState
from bot.services.records.locked import IN_REGISTER
from bot.services.staffing.staff import SignedIn
from store.tables import Archivable, ArchiveChange, ArchiveFile, FileState, Loan, Staff

PAGE = 50
CANDIDATES = 20


@dataclass(frozen=True, slots=True)
class LoanRow:
    """A loan with where it stands and the file it is of."""

    loan: Loan
    state: LoanState
    file: ArchiveFile


@dataclass(frozen=True, slots=True)
class FilePage:
    """One file's card. `loan` is the viewer's own that is running; `readable`: they may read what is in it."""

    file: ArchiveFile
    loan: Loan | None
    readable: bool
    asked: bool
    loans: tuple[LoanRow, ...]
    changes: tuple[ArchiveChange, ...]
    people: dict[int, str]


def register(session: Session, viewer: SignedIn, now: datetime, page: int) -> dict[str, Any]:
    """A page of the register, the loans that are the viewer's business, and what could be gathered."""
    files = session.scalars(
        select(ArchiveFile).order_by(ArchiveFile.id.desc()).limit(PAGE).offset((page - 1) * PAGE)
    ).all()
    mine = select(Loan).where(Loan.staff_id == viewer.staff_id).order_by(Loan.id.desc()).limit(50)
    asked = list(session.scalars(mine))
    if viewer.may(Function.BORROW, Grant.APPROVE, Grant.RECORD):
        out = select(Loan).where(Loan.until > now, Loan.returned_at.is_(None)).order_by(Loan.until).limit(200)
        asked += [*loans.waiting(session), *session.scalars(out)]
    rows = _rows(session, {each.id: each for each in asked}.values(), now)
    gathers = viewer.may(Function.ARCHIVE, Grant.RECORD)
    found = (
        tuple(
            (subject, row.id, archive.title_of(row))
            for subject in Archivable
            for row in archive.not_gathered(session, subject, CANDIDATES)
        )
        if gathers
        else ()
    )
    return {
        "files": files,
        "pages": max(1, -(-(session.scalar(select(func.count()).select_from(ArchiveFile)) or 0) // PAGE)),
        "loans": rows,
        "candidates": found,
        "people": _names(session),
    }


def file_page(session: Session, file_id: int, viewer: SignedIn, now: datetime) -> FilePage | None:
    """One file's card; None where there is none."""
    file = session.get(ArchiveFile, file_id)
    if file is None:
        return None
    rows = _rows(session, session.scalars(select(Loan).where(Loan.file_id == file_id).order_by(Loan.id.desc())), now)
    own = loans.current(session, file_id, viewer.staff_id, now)
    office = viewer.may(Function.BORROW, Grant.APPROVE) or (
        file.state is FileState.GATHERED and viewer.may(Function.ARCHIVE, Grant.APPROVE)
    )
    asked = any(
        row.loan.staff_id == viewer.staff_id and row.state in (LoanState.ASKED, LoanState.GRANTED) for row in rows
    )
    changes = select(ArchiveChange).where(ArchiveChange.file_id == file_id).order_by(ArchiveChange.id.desc())
    return FilePage(
        file,
        own,
        file.state in IN_REGISTER and (office or own is not None),
        asked,
        tuple(row for row in rows if viewer.may(Function.SEE_ARCHIVE) or row.loan.staff_id == viewer.staff_id),
        tuple(session.scalars(changes)) if viewer.may(Function.SEE_ARCHIVE) else (),
        _names(session),
    )


def _rows(session: Session, found: Any, now: datetime) -> tuple[LoanRow, ...]:
    rows = list(found)
    files = select(ArchiveFile).where(ArchiveFile.id.in_({each.file_id for each in rows}))
    by_id = {file.id: file for file in session.scalars(files)}
    return tuple(LoanRow(each, loans.state_of(each, now), by_id[each.file_id]) for each in rows)


def _names(session: Session) -> dict[int, str]:
    return dict(session.execute(select(Staff.id, Staff.name)).tuples().all())
