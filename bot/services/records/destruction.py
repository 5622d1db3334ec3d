"""Destroying a record with everything that is part of it, a page of rows at a time (REQ-G08).

GOES says row by row what goes along, LETS_GO what only forgets that it belonged to it. What a conversation or an
incident still counts for stays: a destroyed transcript leaves its conversation's times and rating. The audit stays
whole. Files go from the disk after the commit; until then their names wait in `file_removal`.

What belongs to a row goes before the row, so that a record stands until nothing of it is left: a large one, such as an
incident that many were told of, is destroyed in several short transactions, and the next one finds where to go on.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Table, delete, insert, select, update
from sqlalchemy.orm import Session

from bot.core.policy import RecordKind
from store.archive import Archivable, FileState
from store.holds import unlocked
from store.many import among
from store.search import forget
from store.tables import (
    ArchiveChange,
    ArchiveFile,
    Base,
    CaseLink,
    Conversation,
    FileRemoval,
    LinkKind,
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

REVISED = frozenset(
    {
        "case_file",
        "case_note",
        "callback",
        "answer",
        "incident",
        "incident_entry",
        "visit",
        "next_step",
        "broadcast",
    }
)
"""Tables whose rows have revisions, or corrections, that go with them."""

AT_ONCE = 500  # rows of one statement

ARCHIVED: Mapping[str, Archivable] = {
    "case_file": Archivable.CASE,
    "incident": Archivable.INCIDENT,
    "callback": Archivable.CALLBACK,
}


@dataclass(frozen=True, slots=True)
class Gone:
    """What one page destroyed: rows by table, how many rows may still go in this transaction, and whether the record is
    `whole`ly gone; if not, there is more of it."""

    counts: dict[str, int]
    left: int
    whole: bool


def destroy(session: Session, kind: RecordKind, record_id: int, *, disposal_id: int, most: int) -> Gone:
    """Destroys a record, or about `most` (above 0) rows of it. The caller has made sure that it may."""
    page = _Page(session, disposal_id, most)
    with unlocked(session, "disposal"):
        if kind is RecordKind.TRANSCRIPT:
            whole = page.transcript(record_id)
        elif kind is RecordKind.SATISFACTION:
            whole = page.rating(record_id)
        else:
            table = _table(TABLES[kind])
            _forget_links(session, table.name, record_id)
            if whole := page.rows(table, _key(table) == record_id):
                _close_file(session, table.name, record_id)
    return Gone(dict(page.counts), page.left, whole)


class _Page:
    """What goes in one transaction. Each of its works says whether it is through; else there is no room left."""

    def __init__(self, session: Session, disposal_id: int, most: int) -> None:
        self.session, self.disposal_id, self.left = session, disposal_id, most
        self.counts: Counter[str] = Counter()

    def transcript(self, conversation_id: int) -> bool:
        for name in ("message", "abuse"):
            table = _table(name)
            if not self.rows(table, table.c.conversation_id == conversation_id):
                return False
        self._revisions("conversation", [conversation_id])
        mine = Conversation.id == conversation_id
        self.session.execute(update(Conversation).where(mine).values(flow={}, wrap_up_note=""))
        return True

    def rating(self, conversation_id: int) -> bool:
        values = {"rating": None, "rating_comment": ""}
        self.session.execute(update(Conversation).where(Conversation.id == conversation_id).values(**values))
        self._count("rating", 1)
        return True

    def rows(self, table: Table, where: ColumnElement[bool]) -> bool:
        """Deletes these rows, some at a time, after what goes with them."""
        key = _key(table)
        while ids := self._some(key, where):
            if self.left <= 0:
                return False
            for column in map(_column, GOES.get(table.name, ())):
                if not self.rows(column.table, among(column, ids)):
                    return False
            for column in map(_column, LETS_GO.get(table.name, ())):
                if not self._let_go(column, ids):
                    return False
            self._delete(table, ids)
        return True

    def _some(self, key: Any, where: ColumnElement[bool]) -> Sequence[int]:
        some = select(key).where(where).order_by(key).limit(max(1, min(AT_ONCE, self.left)))
        return self.session.scalars(some).all()

    def _let_go(self, column: Any, ids: Sequence[int]) -> bool:
        key = _key(column.table)
        while found := self._some(key, among(column, ids)):
            if self.left <= 0:
                return False
            self.session.execute(update(column.table).where(among(key, found)).values({column.name: None}))
            self.left -= len(found)
        return True

    def _delete(self, table: Table, ids: Sequence[int]) -> None:
        if table.name == "attachment":
            self._files(ids)
        if table.name == "message":
            forget(self.session.connection(), ids)
        if table.name in REVISED:
            self._revisions(NAMES.get(table.name, table.name), ids)
        self._count(table.name, _deleted(self.session, table, among(_key(table), ids)))

    def _files(self, ids: Sequence[int]) -> None:
        table = _table("attachment")
        files = list(
            self.session.scalars(select(table.c.file).where(among(table.c.id, ids), table.c.file.is_not(None)))
        )
        if files:
            self.session.execute(insert(FileRemoval), [{"disposal_id": self.disposal_id, "file": f} for f in files])
            self._count("file", len(files))

    def _revisions(self, subject: str, ids: Sequence[int]) -> None:
        """What corrections of these rows replaced, and those that were proposed."""
        for name in ("revision", "correction"):
            table = _table(name)
            about = table.c.subject == subject, among(table.c.subject_id, ids)
            self._count(name, _deleted(self.session, table, *about))

    def _count(self, name: str, gone: int) -> None:
        if gone:
            self.counts[name] += gone
            self.left -= gone


def _deleted(session: Session, table: Table, *where: ColumnElement[bool]) -> int:
    gone: Any = session.execute(delete(table).where(*where))
    return int(gone.rowcount)


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
