"""The archive: numbered files that are locked, changes to them by request, their loans; and records declared void
(REQ-G04..G07)."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from sqlalchemy import CheckConstraint, ForeignKey, Index, String, Text, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from store.base import Base, BigId, UTCDateTime, held, words


class Archivable(StrEnum):
    """What is put into the archive, and what may be void."""

    CASE = "case"
    INCIDENT = "incident"
    CALLBACK = "callback"


class FileState(StrEnum):
    """A file is gathered, checked by the responsible leader and then locked; or sent back; at last it is destroyed."""

    GATHERED = "gathered"
    ARCHIVED = "archived"
    SENT_BACK = "sent_back"
    DESTROYED = "destroyed"


class ArchiveFile(Base):
    """An entry of the archive's register (REQ-G05). `title` names the record without naming a person; `checked_by` is
    never who gathered it. From ARCHIVED on its record is locked."""

    __tablename__ = "archive_file"
    __table_args__ = (
        held(Archivable, "subject"),
        held(FileState, "state"),
        CheckConstraint("checked_by IS NULL OR checked_by <> gathered_by", name="second_person"),
        CheckConstraint("state <> 'archived' OR checked_by IS NOT NULL", name="checked"),
        Index(
            "uq_archive_file_subject",
            "subject",
            "subject_id",
            unique=True,
            sqlite_where=text("state IN ('gathered', 'archived')"),
            postgresql_where=text("state IN ('gathered', 'archived')"),
        ),
        Index("ix_archive_file_state", "state", "id"),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    number: Mapped[str] = mapped_column(String(20), unique=True)
    subject: Mapped[Archivable] = mapped_column(words(Archivable))
    subject_id: Mapped[int] = mapped_column(BigId)
    title: Mapped[str] = mapped_column(String(80))
    state: Mapped[FileState] = mapped_column(words(FileState), default=FileState.GATHERED)
    shelf: Mapped[str] = mapped_column(String(60), default="")  # where papers that belong to it lie
    gathered_by: Mapped[int] = mapped_column(ForeignKey("staff.id"))
    gathered_at: Mapped[datetime] = mapped_column(UTCDateTime)
    checked_by: Mapped[int | None] = mapped_column(ForeignKey("staff.id"))
    checked_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    note: Mapped[str] = mapped_column(Text, default="")


class ArchiveChange(Base):
    """Somebody asks to add to an archived record, or to change a field of it; somebody else decides (REQ-G06).
    `field` "": an addition. Once granted it is done, and what it replaced stays as a revision."""

    __tablename__ = "archive_change"
    __table_args__ = (
        CheckConstraint("decided_by IS NULL OR decided_by <> asked_by", name="second_person"),
        CheckConstraint("(granted IS NULL) = (decided_by IS NULL)", name="decided"),
        Index("ix_archive_change_file_id", "file_id", "id"),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    file_id: Mapped[int] = mapped_column(ForeignKey("archive_file.id"))
    field: Mapped[str] = mapped_column(String(40), default="")
    new: Mapped[str] = mapped_column(Text)
    why: Mapped[str] = mapped_column(Text)
    asked_by: Mapped[int] = mapped_column(ForeignKey("staff.id"))
    asked_at: Mapped[datetime] = mapped_column(UTCDateTime)
    granted: Mapped[bool | None]
    decided_by: Mapped[int | None] = mapped_column(ForeignKey("staff.id"))
    decided_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    note: Mapped[str] = mapped_column(Text, default="")


class Loan(Base):
    """Somebody may read an archived file for a while: asked for, granted by the general manager, handed out by the
    archivist, and over at `until` or when it is given back (REQ-G07). Longer is a loan of its own."""

    __tablename__ = "loan"
    __table_args__ = (
        CheckConstraint("decided_by IS NULL OR decided_by <> staff_id", name="second_person"),
        CheckConstraint("(granted IS NULL) = (decided_by IS NULL)", name="decided"),
        CheckConstraint("registered_at IS NULL OR (granted AND until IS NOT NULL)", name="registered"),
        Index("ix_loan_staff_id", "staff_id", "id"),
        Index("ix_loan_file_id", "file_id", "id"),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    file_id: Mapped[int] = mapped_column(ForeignKey("archive_file.id"))
    staff_id: Mapped[int] = mapped_column(ForeignKey("staff.id"))
    purpose: Mapped[str] = mapped_column(Text)
    asked_at: Mapped[datetime] = mapped_column(UTCDateTime)
    granted: Mapped[bool | None]
    decided_by: Mapped[int | None] = mapped_column(ForeignKey("staff.id"))
    decided_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    note: Mapped[str] = mapped_column(Text, default="")
    registered_by: Mapped[int | None] = mapped_column(ForeignKey("staff.id"))
    registered_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    until: Mapped[datetime | None] = mapped_column(UTCDateTime)
    returned_at: Mapped[datetime | None] = mapped_column(UTCDateTime)


class VoidMark(Base):
    """A record known to be bad: left out of every figure and still shown, with who said so and why (REQ-G04)."""

    __tablename__ = "void_mark"
    __table_args__ = (held(Archivable, "subject"), UniqueConstraint("subject", "subject_id"))

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    subject: Mapped[Archivable] = mapped_column(words(Archivable))
    subject_id: Mapped[int] = mapped_column(BigId)
    why: Mapped[str] = mapped_column(Text)
    staff_id: Mapped[int] = mapped_column(ForeignKey("staff.id"))
    at: Mapped[datetime] = mapped_column(UTCDateTime)
