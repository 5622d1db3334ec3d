"""The audit: who did what to which row, when, and what a correction replaced (REQ-G02, G03)."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import insert
from sqlalchemy.orm import Session

from store.tables import AuditEntry, Revision
from store.vault import Vault


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


@dataclass(frozen=True, slots=True)
class Entry:
    """One row that the program itself did the same thing to as to many others."""

    subject_id: int
    details: Mapping[str, Any]


def record_all(session: Session, action: str, subject: str, entries: Sequence[Entry], *, now: datetime) -> None:
    """`record` for many at once."""
    if entries:
        same = {"action": action, "subject": subject, "note": "", "at": now}
        session.execute(
            insert(AuditEntry),
            [same | {"subject_id": each.subject_id, "details": dict(each.details)} for each in entries],
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


def sealed(vault: Vault, value: str | None) -> dict[str, str] | None:
    """An address as a revision keeps it: legible for who may see it, and for nobody else (REQ-G14)."""
    return {"sealed": base64.b64encode(vault.seal(value)).decode()} if value else None


def opened(vault: Vault, kept: Any) -> str | None:
    """What `sealed` kept; None where a value is not of that kind."""
    return vault.open(base64.b64decode(kept["sealed"])) if isinstance(kept, dict) and "sealed" in kept else None


def _plain(value: Any) -> Any:
    return value.isoformat() if isinstance(value, datetime) else value
