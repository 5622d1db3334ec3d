"""Additions to archived records and changes of them: asked for by the room's leader, granted by somebody above, done
once, with what they replaced kept legible (REQ-G06, G02)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from bot.services import audit
from bot.services.i18n import N_
from bot.services.permissions import Function, Grant
from bot.services.records.archive import TABLES, allow, locked_row
from bot.services.refusal import RefusedError
from store.tables import Archivable, ArchiveChange, ArchiveFile, CaseNote, FileState, IncidentEntry

FIELDS: Mapping[Archivable, Mapping[str, str]] = {
    Archivable.CASE: {"subject": N_("事由"), "feedback": N_("反馈结果")},
    Archivable.INCIDENT: {"title": N_("标题"), "place": N_("地点")},
    Archivable.CALLBACK: {"remarks": N_("备注")},
}
"""What may be changed in an archived record; anything else is added to it."""

LENGTHS: Mapping[str, int] = {"subject": 200, "title": 160, "place": 120}
LEADERS = (Grant.APPROVE_SMALL, Grant.APPROVE, Grant.APPROVE_ARCHIVED)


def ask(
    session: Session, file_id: int, *, field: str, new: str, why: str, staff_id: int, now: datetime
) -> ArchiveChange:
    """Asks to add to an archived record (`field` ""), or to change one of its FIELDS. Raises RefusedError."""
    allow(session, staff_id, Function.CORRECT_RECORD, *LEADERS)
    file = locked_row(session, file_id)
    if file.state is not FileState.ARCHIVED:
        raise RefusedError("archive_not_archived")
    if field and field not in FIELDS[file.subject]:
        raise RefusedError("not_found")
    if not new.strip() or not why.strip():
        raise RefusedError("archive_change_empty")
    change = ArchiveChange(
        file_id=file.id, field=field, new=new.strip()[: LENGTHS.get(field, 4000)], why=why.strip()[:2000],
        asked_by=staff_id, asked_at=now,
    )  # fmt: skip
    session.add(change)
    session.flush()
    audit.record(session, "archive.ask", "archive", file.id, now=now, staff_id=staff_id, change=change.id, field=field)
    return change


def decide(
    session: Session, change_id: int, *, granted: bool, note: str, staff_id: int, now: datetime
) -> ArchiveChange:
    """Grants a request, and does it, or refuses it. An addition is granted by the responsible manager, a change by the
    general manager; never by who asked."""
    change = session.get(ArchiveChange, change_id, with_for_update=True, populate_existing=True)
    if change is None:
        raise RefusedError("not_found")
    above = (Grant.APPROVE_ARCHIVED,) if change.field else (Grant.APPROVE, Grant.APPROVE_ARCHIVED)
    allow(session, staff_id, Function.CORRECT_RECORD, *above)
    if change.granted is not None:
        raise RefusedError("archive_decided")
    if change.asked_by == staff_id:
        raise RefusedError("archive_second_person")
    file = locked_row(session, change.file_id)
    if granted and file.state is not FileState.ARCHIVED:
        raise RefusedError("archive_not_archived")
    change.granted, change.decided_by, change.decided_at, change.note = granted, staff_id, now, note.strip()[:2000]
    if granted:
        _do(session, file, change, now)
    audit.record(
        session,
        "archive.decide",
        "archive",
        file.id,
        now=now,
        staff_id=staff_id,
        note=note.strip(),
        change=change.id,
        granted=granted,
    )
    return change


def _do(session: Session, file: ArchiveFile, change: ArchiveChange, now: datetime) -> None:
    """Writes it into the record: an addition behind what is there, a change over it with the old value kept."""
    row: Any = session.get_one(TABLES[file.subject], file.subject_id, with_for_update=True)
    if not change.field:
        _add(session, file, change, row, now)
        return
    old = getattr(row, change.field)
    setattr(row, change.field, change.new)
    audit.revise(
        session,
        file.subject,
        file.subject_id,
        change.field,
        old,
        change.new,
        now=now,
        staff_id=change.asked_by,
        why=change.why,
    )


def _add(session: Session, file: ArchiveFile, change: ArchiveChange, row: Any, now: datetime) -> None:
    match file.subject:
        case Archivable.CASE:
            session.add(
                CaseNote(case_id=file.subject_id, staff_id=change.asked_by, kind="added", text=change.new, at=now)
            )
        case Archivable.INCIDENT:
            session.add(
                IncidentEntry(
                    incident_id=file.subject_id, staff_id=change.asked_by, kind="added", text=change.new, at=now
                )
            )
        case Archivable.CALLBACK:
            old, row.remarks = row.remarks, "\n".join(filter(None, (row.remarks, change.new)))
            audit.revise(
                session,
                "callback",
                row.id,
                "remarks",
                old,
                row.remarks,
                now=now,
                staff_id=change.asked_by,
                why=change.why,
            )
