"""What is written down so that people's data stays theirs: who looked at a number and why, what left the house and who
allowed it, and what a person asked for about their own data (REQ-G09, G12, G14)."""

from __future__ import annotations

from datetime import date, datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, Index, LargeBinary, String, Text, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from bot.core.words import ChannelName, Language
from store.base import Base, BigId, Json, UTCDateTime, held, words


class Unmasking(Base):
    """Somebody had a contact's numbers and addresses shown, until `until`. `reason` is a code of
    bot/services/records/unmasking.py, `note` their own words."""

    __tablename__ = "unmasking"
    __table_args__ = (
        Index("ix_unmasking_contact_id", "contact_id", "id"),
        Index("ix_unmasking_staff_id", "staff_id", "at"),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    contact_id: Mapped[int] = mapped_column(ForeignKey("contact.id"))
    staff_id: Mapped[int] = mapped_column(ForeignKey("staff.id"))
    reason: Mapped[str] = mapped_column(String(24))
    note: Mapped[str] = mapped_column(String(200), default="")
    at: Mapped[datetime] = mapped_column(UTCDateTime)
    until: Mapped[datetime] = mapped_column(UTCDateTime)


class ExportKind(StrEnum):
    """What an export holds."""

    CONTACTS = "contacts"
    CASES = "cases"
    FOLLOW_UPS = "follow_ups"
    RECIPIENTS = "recipients"  # of an announcement, with what became of each
    INCIDENT = "incident"  # an incident's file, to be handed out of the house
    SERVICE = "service"  # the service report, to be handed out of the house
    PERSON = "person"  # everything held of one person, for themselves


class ExportState(StrEnum):
    """An export is asked for, allowed, made, and gone after a while."""

    ASKED = "asked"
    APPROVED = "approved"
    READY = "ready"
    REFUSED = "refused"
    FAILED = "failed"
    EXPIRED = "expired"


class Export(Base):
    """A file with people's data: what for, for whom, who allowed it, and the file while it is kept.

    `scope` holds since and until (ISO dates of the centre, both included) and a plan, or the id of what it is about.
    `outside`: it leaves the house. `file` is a random name under HOTLINE_DATA_DIR/exports; `due_at` (machine time) is
    when it may be made, or tried again; `digest` is the file's SHA-256.
    """

    __tablename__ = "export"
    __table_args__ = (
        held(ExportKind, "kind"),
        held(ExportState, "state"),
        held(Language, "language"),
        CheckConstraint("decided_by IS NULL OR decided_by <> asked_by", name="second_person"),
        CheckConstraint("(state = 'ready') = (file IS NOT NULL)", name="ready_has_file"),
        Index(
            "ix_export_due_at",
            "due_at",
            sqlite_where=text("state = 'approved'"),
            postgresql_where=text("state = 'approved'"),
        ),
        Index(
            "ix_export_expires_at",
            "expires_at",
            sqlite_where=text("state = 'ready'"),
            postgresql_where=text("state = 'ready'"),
        ),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    number: Mapped[str] = mapped_column(String(20), unique=True)
    kind: Mapped[ExportKind] = mapped_column(words(ExportKind))
    state: Mapped[ExportState] = mapped_column(words(ExportState), default=ExportState.ASKED)
    scope: Mapped[dict[str, Any]] = mapped_column(Json, default=dict)
    fields: Mapped[list[str]] = mapped_column(Json, default=list)
    language: Mapped[Language] = mapped_column(words(Language))
    purpose: Mapped[str] = mapped_column(Text)
    recipient: Mapped[str] = mapped_column(String(120))
    outside: Mapped[bool] = mapped_column(default=False)
    asked_by: Mapped[int] = mapped_column(ForeignKey("staff.id"))
    asked_at: Mapped[datetime] = mapped_column(UTCDateTime)
    decided_by: Mapped[int | None] = mapped_column(ForeignKey("staff.id"))
    decided_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    decision: Mapped[str] = mapped_column(Text, default="")
    rows: Mapped[int] = mapped_column(default=0)
    size: Mapped[int] = mapped_column(default=0)
    digest: Mapped[str] = mapped_column(String(64), default="")
    file: Mapped[str | None] = mapped_column(String(80), unique=True)
    tries: Mapped[int] = mapped_column(default=0)
    due_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    made_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    expires_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    downloads: Mapped[int] = mapped_column(default=0)


class RequestKind(StrEnum):
    """What a person may ask about their own data."""

    ACCESS = "access"
    ERASURE = "erasure"


class RequestState(StrEnum):
    """A request waits for the identity check, then for its approvals, is carried out, and over."""

    OPEN = "open"
    CHECKED = "checked"
    RUNNING = "running"
    DONE = "done"
    REFUSED = "refused"


class PrivacyRequest(Base):
    """A person asks for a copy of their data, or for its erasure; nobody who took the request approves it.

    `contact_id` is who it is about; `identity` says how it was made sure who asks. An erasure needs two approvals by
    two people. `step` is how far the execution has come (bot/services/records/erasure.py), `done` what it did, by kind
    of record; `digest` seals that. `token_hash` is of the link by which the person takes the copy themselves.
    """

    __tablename__ = "privacy_request"
    __table_args__ = (
        held(RequestKind, "kind"),
        held(RequestState, "state"),
        CheckConstraint("second_by IS NULL OR second_by <> first_by", name="two_people"),
        CheckConstraint("opened_by NOT IN (COALESCE(first_by, 0), COALESCE(second_by, 0))", name="not_who_took_it"),
        CheckConstraint("state NOT IN ('running', 'done') OR first_by IS NOT NULL", name="approved"),
        CheckConstraint(
            "kind <> 'erasure' OR state NOT IN ('running', 'done') OR second_by IS NOT NULL", name="approved_twice"
        ),
        CheckConstraint("state NOT IN ('running', 'done') OR checked_at IS NOT NULL", name="identity_checked"),
        Index("ix_privacy_request_contact_id", "contact_id"),
        Index("ix_privacy_request_state", "state", "id"),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    number: Mapped[str] = mapped_column(String(20), unique=True)
    kind: Mapped[RequestKind] = mapped_column(words(RequestKind))
    state: Mapped[RequestState] = mapped_column(words(RequestState), default=RequestState.OPEN)
    case_id: Mapped[int] = mapped_column(ForeignKey("case_file.id"))
    contact_id: Mapped[int] = mapped_column(ForeignKey("contact.id"))
    due_on: Mapped[date]
    opened_by: Mapped[int] = mapped_column(ForeignKey("staff.id"))
    opened_at: Mapped[datetime] = mapped_column(UTCDateTime)
    identity: Mapped[str] = mapped_column(String(24), default="")  # a code of bot/services/records/privacy_requests.py
    checked_by: Mapped[int | None] = mapped_column(ForeignKey("staff.id"))
    checked_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    first_by: Mapped[int | None] = mapped_column(ForeignKey("staff.id"))
    first_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    second_by: Mapped[int | None] = mapped_column(ForeignKey("staff.id"))
    second_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    refused_by: Mapped[int | None] = mapped_column(ForeignKey("staff.id"))
    refused_why: Mapped[str] = mapped_column(Text, default="")
    export_id: Mapped[int | None] = mapped_column(ForeignKey("export.id"))
    token_hash: Mapped[str | None] = mapped_column(String(64), unique=True)
    step: Mapped[int] = mapped_column(default=0)
    done: Mapped[dict[str, int]] = mapped_column(Json, default=dict)
    digest: Mapped[str] = mapped_column(String(64), default="")
    done_at: Mapped[datetime | None] = mapped_column(UTCDateTime)


class DoNotContact(Base):
    """Somebody whose data were erased had asked not to be contacted: all that is kept of their address is its keyed
    index, so that they are not contacted again when it comes back from elsewhere. `scopes` are what they withdrew."""

    __tablename__ = "do_not_contact"
    __table_args__ = (held(ChannelName, "channel"), UniqueConstraint("channel", "blind"))

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    channel: Mapped[ChannelName] = mapped_column(words(ChannelName))
    blind: Mapped[str] = mapped_column(String(43))
    scopes: Mapped[list[str]] = mapped_column(Json)
    at: Mapped[datetime] = mapped_column(UTCDateTime)


class CorrectionState(StrEnum):
    """A correction is proposed, and made or refused by somebody who may."""

    PROPOSED = "proposed"
    MADE = "made"
    REFUSED = "refused"


class Correction(Base):
    """Somebody says that a field of a record is wrong. `old` and `new` are sealed, since they may be an address; what
    a correction replaced is kept as a revision (REQ-A22, G02)."""

    __tablename__ = "correction"
    __table_args__ = (
        held(CorrectionState, "state"),
        CheckConstraint("state = 'proposed' OR decided_by IS NOT NULL", name="decided"),
        Index("ix_correction_state", "state", "id"),
        Index("ix_correction_subject", "subject", "subject_id"),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    subject: Mapped[str] = mapped_column(String(40))
    subject_id: Mapped[int] = mapped_column(BigId)
    field: Mapped[str] = mapped_column(String(60))
    old: Mapped[bytes] = mapped_column(LargeBinary)
    new: Mapped[bytes] = mapped_column(LargeBinary)
    why: Mapped[str] = mapped_column(Text)
    state: Mapped[CorrectionState] = mapped_column(words(CorrectionState), default=CorrectionState.PROPOSED)
    proposed_by: Mapped[int] = mapped_column(ForeignKey("staff.id"))
    proposed_at: Mapped[datetime] = mapped_column(UTCDateTime)
    decided_by: Mapped[int | None] = mapped_column(ForeignKey("staff.id"))
    decided_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
