"""The audit: who did what to which row, when, and what a correction replaced (REQ-G02, G03)."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from store.tables import AuditEntry, Revision


def record(
    session: Session,
    action: str,
    subject: str,
    subject_id: int | None,
    *,
    now: datetime,
    staff_id: int | None = None,
    note: str = "",
    **details: Any,
) -> None:
    """Adds an entry; `staff_id` None means the program itself. `action` reads "<noun>.<verb>"."""
    session.add(
        AuditEntry(
            staff_id=staff_id,
            action=action,
            subject=subject,
            subject_id=subject_id,
            details=details,
            note=note,
            at=now,
        )
    )


def revise(
    session: Session,
    subject: str,
    subject_id: int,
    field: str,
    old: Any,
    new: Any,
    *,
    now: datetime,
    staff_id: int | None = None,
    why: str = "",
) -> None:
    """Keeps what a correction replaced, legible (REQ-G02); instants are kept as ISO 8601."""
    session.add(
        Revision(
            subject=subject,
            subject_id=subject_id,
            field=field,
            old=_plain(old),
            new=_plain(new),
            staff_id=staff_id,
            why=why,
            at=now,
        )
    )


def _plain(value: Any) -> Any:
    return value.isoformat() if isinstance(value, datetime) else value
