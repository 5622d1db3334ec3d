"""The archive: records that are over, gathered under a number, checked by the responsible leader and locked (REQ-G05).

What is archived is no longer changed at the console, but by a request that somebody else grants
(bot/services/records/archive_changes.py, REQ-G06). A record that goes on after all, because its customer says so,
leaves the archive by itself and is gathered again when it is over.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import ColumnElement, exists, select
from sqlalchemy.orm import Session

from bot.core.words import CaseState, IncidentState
from bot.services import audit
from bot.services.casework.cases import next_number
from bot.services.permissions import Function, Grant, may
from bot.services.records.customer_records import CALLED
from bot.services.records.locked import IN_REGISTER, file_of
from bot.services.refusal import RefusedError
from store.tables import Archivable, ArchiveFile, Callback, Case, FileState, Incident, Staff

TABLES: Mapping[Archivable, Any] = {
    Archivable.CASE: Case,
    Archivable.INCIDENT: Incident,
    Archivable.CALLBACK: Callback,
}
OVER: Mapping[Archivable, ColumnElement[bool]] = {
    Archivable.CASE: Case.state == CaseState.CLOSED,
    Archivable.INCIDENT: Incident.state == IncidentState.CLOSED,
    Archivable.CALLBACK: Callback.state.in_(CALLED),
}


def gather(
    session: Session, subject: Archivable, subject_id: int, *, shelf: str, zone: ZoneInfo, staff_id: int, now: datetime
) -> ArchiveFile:
    """Enters a record that is over in the register; its number reads A2026-0001. Raises RefusedError."""
    allow(session, staff_id, Function.ARCHIVE, Grant.RECORD)
    table = TABLES[subject]
    row = session.scalar(select(table).where(table.id == subject_id, OVER[subject]))
    if row is None:
        raise RefusedError("archive_not_over")
    if file_of(session, subject, subject_id) is not None:
        raise RefusedError("archived_already")
    year = now.astimezone(zone).year
    file = ArchiveFile(
        number=f"A{year}-{next_number(session, f'archive:{year}'):04d}",
        subject=subject,
        subject_id=subject_id,
        title=title_of(row),
        shelf=shelf.strip()[:60],
        gathered_by=staff_id,
        gathered_at=now,
    )
    session.add(file)
    session.flush()
    audit.record(session, "archive.gather", "archive", file.id, now=now, staff_id=staff_id, number=file.number)
    return file


def title_of(row: Case | Incident | Callback) -> str:
    """What names a record without naming a person."""
    match row:
        case Case():
            return row.number
        case Incident():
            return f"{row.code} #{row.id}"
        case Callback():
            return f"#{row.id}"


def check(session: Session, file_id: int, *, good: bool, note: str, staff_id: int, now: datetime) -> ArchiveFile:
    """The responsible leader finds it whole and legible, and it is locked; or sends it back and says why."""
    allow(session, staff_id, Function.ARCHIVE, Grant.APPROVE)
    file = locked_row(session, file_id)
    if file.state is not FileState.GATHERED:
        raise RefusedError("archive_not_waiting")
    if file.gathered_by == staff_id:
        raise RefusedError("archive_second_person")
    if not good and not note.strip():
        raise RefusedError("reason_missing")
    file.state = FileState.ARCHIVED if good else FileState.SENT_BACK
    file.checked_by, file.checked_at, file.note = staff_id, now, note.strip()[:2000]
    audit.record(session, "archive.check", "archive", file.id, now=now, staff_id=staff_id, note=note.strip(), good=good)
    return file


def not_gathered(session: Session, subject: Archivable, limit: int) -> list[Any]:
    """Records that are over and not in the archive, the latest first."""
    table = TABLES[subject]
    here = ArchiveFile.subject == subject, ArchiveFile.subject_id == table.id, ArchiveFile.state.in_(IN_REGISTER)
    query = select(table).where(OVER[subject], ~exists(select(ArchiveFile.id).where(*here)))
    return list(session.scalars(query.order_by(table.id.desc()).limit(limit)))


def locked_row(session: Session, file_id: int) -> ArchiveFile:
    file = session.get(ArchiveFile, file_id, with_for_update=True, populate_existing=True)
    if file is None:
        raise RefusedError("not_found")
    return file


def allow(session: Session, staff_id: int, function: Function, *wanted: Grant) -> None:
    """Raises RefusedError("not_allowed")."""
    person = session.get(Staff, staff_id)
    roles = {each.role for each in person.roles} if person is not None and person.active else set()
    if not may(roles, function, *wanted):
        raise RefusedError("not_allowed")
