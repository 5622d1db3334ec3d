"""Records known to be bad: declared void with a reason, left out of every figure, and still shown (REQ-G04)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, exists, select
from sqlalchemy.orm import Session

from bot.services import audit
from bot.services.permissions import Function, Grant
from bot.services.records.archive import TABLES, allow
from bot.services.refusal import RefusedError
from store.tables import Archivable, VoidMark

MAY = (Grant.APPROVE, Grant.APPROVE_ARCHIVED)


def declare(
    session: Session, subject: Archivable, subject_id: int, *, why: str, staff_id: int, now: datetime
) -> VoidMark:
    """Declares a record void. Raises RefusedError."""
    allow(session, staff_id, Function.CORRECT_RECORD, *MAY)
    if session.get(TABLES[subject], subject_id) is None:
        raise RefusedError("not_found")
    if not why.strip():
        raise RefusedError("reason_missing")
    if mark_of(session, subject, subject_id) is not None:
        raise RefusedError("void_already")
    mark = VoidMark(subject=subject, subject_id=subject_id, why=why.strip()[:2000], staff_id=staff_id, at=now)
    session.add(mark)
    session.flush()
    audit.record(session, "void.declare", subject, subject_id, now=now, staff_id=staff_id, note=why.strip())
    return mark


def lift(session: Session, subject: Archivable, subject_id: int, *, why: str, staff_id: int, now: datetime) -> None:
    """It counts again after all."""
    allow(session, staff_id, Function.CORRECT_RECORD, *MAY)
    if not why.strip():
        raise RefusedError("reason_missing")
    mark = mark_of(session, subject, subject_id)
    if mark is None:
        raise RefusedError("not_found")
    session.delete(mark)
    audit.record(session, "void.lift", subject, subject_id, now=now, staff_id=staff_id, note=why.strip(), was=mark.why)


def mark_of(session: Session, subject: Archivable, subject_id: int) -> VoidMark | None:
    here = VoidMark.subject == subject, VoidMark.subject_id == subject_id
    return session.scalar(select(VoidMark).where(*here))


def counts(subject: Archivable, key: Any) -> ColumnElement[bool]:
    """The condition that leaves void records out of a figure; `key` is the column of the record's id."""
    return ~exists(select(VoidMark.id).where(VoidMark.subject == subject, VoidMark.subject_id == key))


def among(session: Session, subject: Archivable, ids: Sequence[int], page: int = 500) -> frozenset[int]:
    """Those of these records that are void."""
    found: set[int] = set()
    for at in range(0, len(ids), page):
        where = VoidMark.subject == subject, VoidMark.subject_id.in_(ids[at : at + page])
        found.update(session.scalars(select(VoidMark.subject_id).where(*where)))
    return frozenset(found)
