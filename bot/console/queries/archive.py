"""The archive as its readers see it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from bot.core.policy import RecordKind, Retention, RetentionClass
from bot.core.retention import HoldSubject, class_of, period_of
from bot.services.records import certificates, disposals, due_records, holds, locked, voids
from bot.services.staffing.staff import SignedIn
from store.tables import (
    Archivable,
    ArchiveFile,
    Disposal,
    DisposalItem,
    DisposalState,
    FileState,
    ItemState,
    LegalHold,
    Staff,
    VoidMark,
)

PAGE = 100
OPEN = (DisposalState.PROPOSED, DisposalState.APPROVED)


@dataclass(frozen=True, slots=True)
class Kept:
    """A kind of record: its class and period, how many there are that are over, how many wait on open lists."""

    kind: RecordKind
    cls: RetentionClass
    period: timedelta | None
    over: int
    listed: int


@dataclass(frozen=True, slots=True)
class ListRow:
    """A disposal in a list."""

    disposal: Disposal
    size: int
    approvals: int


def overview(session: Session, retention: Retention, now: datetime) -> dict[str, Any]:
    """What is kept under which class, the lists there are, and what is held."""
    waiting = (
        select(DisposalItem.kind, func.count())
        .join(Disposal, Disposal.id == DisposalItem.disposal_id)
        .where(DisposalItem.state == ItemState.WAITING, Disposal.state.in_(OPEN))
        .group_by(DisposalItem.kind)
    )
    listed = dict(session.execute(waiting).tuples().all())
    kinds = tuple(
        Kept(
            kind,
            cls := class_of(kind, retention),
            period_of(cls, retention),
            due_records.ended(session, kind, now),
            listed.get(kind, 0),
        )
        for kind in sorted(due_records.KINDS, key=list(RecordKind).index)
    )
    sizes = select(func.count()).where(DisposalItem.disposal_id == Disposal.id).scalar_subquery()
    rows = session.execute(select(Disposal, sizes).order_by(Disposal.id.desc()).limit(50)).all()
    lists = tuple(ListRow(row, size, len(disposals.approvals(session, row.id))) for row, size in rows)
    held = session.scalar(select(func.count()).select_from(LegalHold).where(LegalHold.lifted_at.is_(None))) or 0
    return {"kinds": kinds, "lists": lists, "held": held}


def disposal_file(session: Session, disposal_id: int, viewer: SignedIn, page: int) -> dict[str, Any] | None:
    """One list with a page of what is on it, and whether the viewer can approve it."""
    disposal = session.get(Disposal, disposal_id)
    if disposal is None:
        return None
    mine = DisposalItem.disposal_id == disposal_id
    counts = session.execute(
        select(DisposalItem.kind, DisposalItem.state, func.count())
        .where(mine)
        .group_by(DisposalItem.kind, DisposalItem.state)
    ).all()
    items = select(DisposalItem).where(mine).order_by(DisposalItem.id).limit(PAGE).offset((page - 1) * PAGE)
    given = disposals.approvals(session, disposal_id)
    people = {disposal.proposed_by, disposal.declined_by, *(each.staff_id for each in given)} - {None}
    names = select(Staff.id, Staff.name).where(Staff.id.in_(people))
    return {
        "disposal": disposal,
        "totals": sorted(((kind, state, count) for kind, state, count in counts), key=lambda row: (row[0], row[1])),
        "size": sum(count for _, _, count in counts),
        "items": session.scalars(items).all(),
        "approvals": given,
        "people": dict(session.execute(names).tuples().all()),
        "seen": disposals.list_digest(session, disposal_id) if disposal.state is DisposalState.PROPOSED else "",
        "why_not": disposals.why_not(session, disposal, viewer.staff_id),
        "genuine": certificates.genuine(session, disposal) if disposal.certificate is not None else None,
    }


def hold_rows(session: Session) -> dict[str, Any]:
    """Every hold, open ones first, the latest first."""
    rows = session.scalars(
        select(LegalHold).order_by(LegalHold.lifted_at.is_not(None), LegalHold.id.desc()).limit(500)
    ).all()
    people = {each for row in rows for each in (row.staff_id, row.lifted_by) if each is not None}
    names = select(Staff.id, Staff.name).where(Staff.id.in_(people))
    return {"rows": rows, "people": dict(session.execute(names).tuples().all())}


@dataclass(frozen=True, slots=True)
class Marks:
    """What the archive says of a thing: holds that reach it, whether it is void, and its entry in the register."""

    subject: HoldSubject | None
    archivable: Archivable | None
    id: int
    holds: tuple[LegalHold, ...]
    void: VoidMark | None
    void_by: str
    file: ArchiveFile | None

    @property
    def locked(self) -> bool:
        return self.file is not None and self.file.state is FileState.ARCHIVED


def marks_of(session: Session, subject: HoldSubject | None, archivable: Archivable | None, subject_id: int) -> Marks:
    """For the page of a contact, case, incident, conversation or callback."""
    mark = voids.mark_of(session, archivable, subject_id) if archivable is not None else None
    return Marks(
        subject,
        archivable,
        subject_id,
        holds.held(session, subject, subject_id) if subject is not None else (),
        mark,
        session.get_one(Staff, mark.staff_id).name if mark is not None else "",
        locked.file_of(session, archivable, subject_id) if archivable is not None else None,
    )
