"""Destroying a record with everything that is part of it, in one transaction (REQ-G08).

GOES says row by row what goes along, LETS_GO what only forgets that it belonged to it. What a conversation or an
incident still counts for stays: a destroyed transcript leaves its conversation's times and rating. The audit stays
whole. Files go from the disk after the commit; until then their names wait in `file_removal`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Table, delete, insert, select, update
from sqlalchemy.orm import Session

from bot.core.policy import RecordKind
from store.archive import Archivable, FileState
from store.holds import unlocked
from store.search import forget
from store.tables import (
    ArchiveChange,
    ArchiveFile,
    Base,
    CaseLink,
    Conversation,
    FileRemoval,
    LinkKind,
    Revision,
    VoidMark,
)

TABLES: Mapping[RecordKind, str] = {
    RecordKind.RECORDING: "attachment",
    RecordKind.FOLLOW_UP: "callback",
    RecordKind.BY_HAND: "manual_record",
    RecordKind.COMPLAINT: "case_file",
    RecordKind.CASE: "case_file",
    RecordKind.DRILL: "incident",
    RecordKind.INCIDENT: "incident",
    RecordKind.REPORTED: "customer_report",
    RecordKind.EVENT: "event",
    RecordKind.HAND_OVER: "hand_over",
    RecordKind.SHIFT: "shift",
    RecordKind.SEAT_LEAVE: "seat_leave",
    RecordKind.SURGE: "surge",
    RecordKind.PROPOSAL: "proposal",
    RecordKind.ALERT: "delivery",
    RecordKind.IMPORT: "import_run",
    RecordKind.LOOK: "unmasking",
    RecordKind.EXPORT: "export",
}
"""The row a kind of record is; a transcript and a rating are parts of a conversation, which stays."""

GOES: Mapping[str, tuple[str, ...]] = {
    "message": ("attachment.message_id", "misunderstood.message_id", "delivery.message_id"),
    "delivery": ("sandbox_text.delivery_id", "sandbox_call.delivery_id"),
    "callback": ("answer.callback_id", "next_step.callback_id", "call_attempt.callback_id", "delivery.callback_id"),
    "case_file": (
        "case_note.case_id",
        "case_task.case_id",
        "case_link.case_id",
        "found_item.case_id",
        "repair_order.case_id",
        "visit.case_id",
        "escalation.case_id",
        "privacy_request.case_id",
    ),
    "escalation": ("delivery.escalation_id",),
    "incident": (
        "incident_told.incident_id",
        "incident_step.incident_id",
        "incident_entry.incident_id",
        "notify_me.incident_id",
        "customer_report.incident_id",
        "cap_alert.incident_id",
        "broadcast.incident_id",
        "escalation.incident_id",
    ),
    "incident_step": ("incident_told.step_id",),
    "broadcast": ("broadcast_recipient.broadcast_id",),
    "broadcast_recipient": ("acknowledgement.recipient_id", "delivery.recipient_id"),
    "event": ("planned_message.event_id",),
    "shift": ("swap.shift_id",),
    "import_run": ("import_job.run_id",),
    "import_job": ("import_page.job_id",),
}
"""What goes with a row: columns that point to it, in the order in which they go."""

LETS_GO: Mapping[str, tuple[str, ...]] = {
    "callback": ("manual_record.callback_id",),
    "case_file": ("callback.case_id",),
    "incident": ("manual_record.incident_id", "proposal.incident_id"),
    "broadcast": ("broadcast.follows_id", "conversation.broadcast_id", "case_file.broadcast_id"),
    "event": ("callback.event_id",),
    "export": ("privacy_request.export_id",),
}
"""What stays and no longer points to it. A conversation and a case may go on naming a callback that is gone: to look
for them would read every row, and nothing is found behind the name."""

STAYS = frozenset({"privacy_request.case_id"})
"""What keeps the row it points to: a case about somebody's own data is the proof of what was done, never listed."""

NAMES: Mapping[str, str] = {"case_file": "case"}
"""What a table's rows are called in revisions, where that is not the table's name."""

ARCHIVED: Mapping[str, Archivable] = {
    "case_file": Archivable.CASE,
    "incident": Archivable.INCIDENT,
    "callback": Archivable.CALLBACK,
}


def destroy(session: Session, kind: RecordKind, record_id: int, *, disposal_id: int) -> dict[str, int]:
    """Destroys a record; gives how many rows of each table went. The caller has made sure that it may."""
    counts: Counter[str] = Counter()
    with unlocked(session, "disposal"):
        if kind is RecordKind.TRANSCRIPT:
            _destroy_transcript(session, record_id, disposal_id, counts)
        elif kind is RecordKind.SATISFACTION:
            _forget_rating(session, record_id, counts)
        else:
            table = _table(TABLES[kind])
            _forget_links(session, table.name, record_id)
            _destroy(session, table, _key(table) == record_id, disposal_id, counts)
            _close_file(session, table.name, record_id)
    return dict(counts)


def _destroy_transcript(session: Session, conversation_id: int, disposal_id: int, counts: Counter[str]) -> None:
    for name, column in (("message", "conversation_id"), ("abuse", "conversation_id")):
        table = _table(name)
        _destroy(session, table, table.c[column] == conversation_id, disposal_id, counts)
    _forget_revisions(session, "conversation", [conversation_id], counts)
    session.execute(update(Conversation).where(Conversation.id == conversation_id).values(flow={}, wrap_up_note=""))


def _forget_rating(session: Session, conversation_id: int, counts: Counter[str]) -> None:
    values = {"rating": None, "rating_comment": ""}
    session.execute(update(Conversation).where(Conversation.id == conversation_id).values(**values))
    counts["rating"] += 1


def _destroy(
    session: Session, table: Table, where: ColumnElement[bool], disposal_id: int, counts: Counter[str]
) -> None:
    """Deletes these rows, after what goes with them."""
    ids = select(_key(table)).where(where)
    for column in map(_column, GOES.get(table.name, ())):
        _destroy(session, column.table, column.in_(ids), disposal_id, counts)
    for column in map(_column, LETS_GO.get(table.name, ())):
        session.execute(update(column.table).where(column.in_(ids)).values({column.name: None}))
    if table.name == "attachment":
        _note_files(session, where, disposal_id, counts)
    if table.name == "message":
        forget(session.connection(), list(session.scalars(ids)))
    if table.name in ("case_file", "callback", "incident", "visit", "next_step", "broadcast"):
        _forget_revisions(session, NAMES.get(table.name, table.name), list(session.scalars(ids)), counts)
    gone: Any = session.execute(delete(table).where(where))
    if gone.rowcount:
        counts[table.name] += gone.rowcount


def _note_files(session: Session, where: ColumnElement[bool], disposal_id: int, counts: Counter[str]) -> None:
    column = _table("attachment").c.file
    files = list(session.scalars(select(column).where(where, column.is_not(None))))
    if files:
        session.execute(insert(FileRemoval), [{"disposal_id": disposal_id, "file": file} for file in files])
        counts["file"] += len(files)


def _forget_revisions(session: Session, subject: str, ids: Sequence[int], counts: Counter[str]) -> None:
    gone: Any = session.execute(delete(Revision).where(Revision.subject == subject, Revision.subject_id.in_(ids)))
    if gone.rowcount:
        counts["revision"] += gone.rowcount


def _forget_links(session: Session, table: str, record_id: int) -> None:
    """Other cases are no longer linked with it."""
    kinds = {"case_file": LinkKind.CASE, "incident": LinkKind.INCIDENT}
    if table in kinds:
        session.execute(delete(CaseLink).where(CaseLink.kind == kinds[table], CaseLink.other_id == record_id))


def _close_file(session: Session, table: str, record_id: int) -> None:
    """The register says that the file is destroyed: what was asked of it goes, who had it on loan stays."""
    subject = ARCHIVED.get(table)
    if subject is None:
        return
    files = select(ArchiveFile.id).where(ArchiveFile.subject == subject, ArchiveFile.subject_id == record_id)
    session.execute(delete(ArchiveChange).where(ArchiveChange.file_id.in_(files)))
    session.execute(update(ArchiveFile).where(ArchiveFile.id.in_(files)).values(state=FileState.DESTROYED))
    session.execute(delete(VoidMark).where(VoidMark.subject == subject, VoidMark.subject_id == record_id))


def _table(name: str) -> Table:
    return Base.metadata.tables[name]


def _key(table: Table) -> Any:
    (key,) = table.primary_key.columns
    return key


def _column(name: str) -> Any:
    table, column = name.split(".")
    return _table(table).c[column]
