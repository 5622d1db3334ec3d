"""Whether a record lies in the archive, and so changes by request only (REQ-G06)."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from bot.services import audit
from store.tables import Archivable, ArchiveFile, FileState

IN_REGISTER = (FileState.GATHERED, FileState.ARCHIVED)


def file_of(session: Session, subject: Archivable, subject_id: int) -> ArchiveFile | None:
    """The register's entry of a record that is gathered or archived."""
    here = ArchiveFile.subject == subject, ArchiveFile.subject_id == subject_id, ArchiveFile.state.in_(IN_REGISTER)
    return session.scalar(select(ArchiveFile).where(*here))


def is_locked(session: Session, subject: Archivable, subject_id: int) -> bool:
    """Whether a record is archived."""
    file = file_of(session, subject, subject_id)
    return file is not None and file.state is FileState.ARCHIVED


def goes_on(session: Session, subject: Archivable, subject_id: int, *, now: datetime) -> None:
    """A record is not over after all, its customer says: it leaves the archive, and the register says so."""
    file = file_of(session, subject, subject_id)
    if file is not None:
        file.state = FileState.SENT_BACK
        audit.record(session, "archive.goes_on", "archive", file.id, now=now, number=file.number)
