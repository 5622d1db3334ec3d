"""The audit: who did what to which row, when (REQ-G03)."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from store.tables import AuditEntry


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
