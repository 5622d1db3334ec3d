"""Colleagues and the audit."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Select, select
from sqlalchemy.orm import Session

from bot.services.permissions import Function
from bot.services.staffing.staff import SignedIn
from store.tables import (
    AuditEntry,
    Staff,
)

PAGE = 50


def colleagues(session: Session) -> tuple[Staff, ...]:
    """Everybody, active first."""
    return tuple(session.scalars(select(Staff).order_by(Staff.active.desc(), Staff.name)))


def assignable(session: Session) -> tuple[tuple[int, str], ...]:
    """Active staff a case can be given to."""
    return tuple(
        (person.id, person.name)
        for person in colleagues(session)
        if person.active
        and SignedIn(
            person.id, person.username, person.name, frozenset(r.role for r in person.roles), person.presence, ""
        ).may(Function.HANDLE_QUEUE)
    )


@dataclass(frozen=True, slots=True)
class AuditRow:
    entry: AuditEntry
    who: str | None


def audit_trail(
    session: Session, *, action: str = "", staff_id: int | None = None, before: int | None = None
) -> tuple[AuditRow, ...]:
    """The audit, latest first, a page at a time; `before` is the last id seen, `action` the beginning of an action."""
    query: Select[tuple[AuditEntry, str]] = (
        select(AuditEntry, Staff.name)
        .outerjoin(Staff, Staff.id == AuditEntry.staff_id)
        .order_by(AuditEntry.id.desc())
        .limit(PAGE)
    )
    if action:
        query = query.where(AuditEntry.action.startswith(action, autoescape=True))
    if staff_id is not None:
        query = query.where(AuditEntry.staff_id == staff_id)
    if before is not None:
        query = query.where(AuditEntry.id < before)
    return tuple(AuditRow(entry, name) for entry, name in session.execute(query))


def audit_actions(session: Session) -> tuple[str, ...]:
    """The nouns that occur in the audit, for its filter."""
    actions = session.scalars(select(AuditEntry.action).distinct())
    return tuple(sorted({action.split(".", 1)[0] for action in actions}))
