"""Disposals with their certificates, the archive with its loans, and records declared void."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from store.base import UTCDateTime, guard_on_postgresql, guards_on_sqlite

revision = "0027"
down_revision = "0026"
branch_labels = None
depends_on = None

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
JSON = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")
JSON_OR_NULL = sa.JSON(none_as_null=True).with_variant(postgresql.JSONB(none_as_null=True), "postgresql")
UTC = UTCDateTime()
WORD = sa.String(24)
KINDS = (
    "'incident', 'review', 'drill', 'complaint', 'case', 'follow_up', 'satisfaction', 'transcript', 'recording', "
    "'by_hand'"
)


def upgrade() -> None:
    op.create_table(
        "archive_file",
        sa.Column("id", ID, nullable=False),
        sa.Column("number", sa.String(20), nullable=False),
        sa.Column("subject", WORD, nullable=False),
        sa.Column("subject_id", ID, nullable=False),
        sa.Column("title", sa.String(80), nullable=False),
        sa.Column("state", WORD, nullable=False),
        sa.Column("shelf", sa.String(60), nullable=False),
        sa.Column("gathered_by", ID, nullable=False),
        sa.Column("gathered_at", UTC, nullable=False),
        sa.Column("checked_by", ID, nullable=True),
        sa.Column("checked_at", UTC, nullable=True),
        sa.Column("note", sa.Text(), nullable=False),
        sa.CheckConstraint("state <> 'archived' OR checked_by IS NOT NULL", name="ck_archive_file_checked"),
        sa.CheckConstraint("state IN ('gathered', 'archived', 'sent_back', 'destroyed')", name="ck_archive_file_state"),
        sa.CheckConstraint("subject IN ('case', 'incident', 'callback')", name="ck_archive_file_subject"),
        sa.CheckConstraint("checked_by IS NULL OR checked_by <> gathered_by", name="ck_archive_file_second_person"),
        sa.ForeignKeyConstraint(["checked_by"], ["staff.id"], name="fk_archive_file_checked_by"),
        sa.ForeignKeyConstraint(["gathered_by"], ["staff.id"], name="fk_archive_file_gathered_by"),
        sa.PrimaryKeyConstraint("id", name="pk_archive_file"),
        sa.UniqueConstraint("number", name="uq_archive_file_number"),
    )
    op.create_index("ix_archive_file_state", "archive_file", ["state", "id"])
    op.create_index(
        "uq_archive_file_subject",
        "archive_file",
        ["subject", "subject_id"],
        unique=True,
        sqlite_where=sa.text("state IN ('gathered', 'archived')"),
        postgresql_where=sa.text("state IN ('gathered', 'archived')"),
    )
    op.create_table(
        "disposal",
        sa.Column("id", ID, nullable=False),
        sa.Column("number", sa.String(20), nullable=False),
        sa.Column("state", WORD, nullable=False),
        sa.Column("proposed_by", ID, nullable=True),
        sa.Column("proposed_at", UTC, nullable=False),
        sa.Column("frozen_at", UTC, nullable=True),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("declined_by", ID, nullable=True),
        sa.Column("declined_why", sa.Text(), nullable=False),
        sa.Column("ended_at", UTC, nullable=True),
        sa.Column("certificate", JSON_OR_NULL, nullable=True),
        sa.Column("sealed", sa.String(64), nullable=False),
        sa.CheckConstraint("(state = 'done') = (certificate IS NOT NULL)", name="ck_disposal_certified"),
        sa.CheckConstraint("state IN ('proposed', 'approved', 'done', 'declined')", name="ck_disposal_state"),
        sa.CheckConstraint(
            "state IN ('proposed', 'declined') OR frozen_at IS NOT NULL", name="ck_disposal_frozen_first"
        ),
        sa.ForeignKeyConstraint(["declined_by"], ["staff.id"], name="fk_disposal_declined_by"),
        sa.ForeignKeyConstraint(["proposed_by"], ["staff.id"], name="fk_disposal_proposed_by"),
        sa.PrimaryKeyConstraint("id", name="pk_disposal"),
        sa.UniqueConstraint("number", name="uq_disposal_number"),
    )
    op.create_index("ix_disposal_state", "disposal", ["state", "id"])
    op.create_table(
        "void_mark",
        sa.Column("id", ID, nullable=False),
        sa.Column("subject", WORD, nullable=False),
        sa.Column("subject_id", ID, nullable=False),
        sa.Column("why", sa.Text(), nullable=False),
        sa.Column("staff_id", ID, nullable=False),
        sa.Column("at", UTC, nullable=False),
        sa.CheckConstraint("subject IN ('case', 'incident', 'callback')", name="ck_void_mark_subject"),
        sa.ForeignKeyConstraint(["staff_id"], ["staff.id"], name="fk_void_mark_staff_id"),
        sa.PrimaryKeyConstraint("id", name="pk_void_mark"),
        sa.UniqueConstraint("subject", "subject_id", name="uq_void_mark_subject_subject_id"),
    )
    op.create_table(
        "archive_change",
        sa.Column("id", ID, nullable=False),
        sa.Column("file_id", ID, nullable=False),
        sa.Column("field", sa.String(40), nullable=False),
        sa.Column("new", sa.Text(), nullable=False),
        sa.Column("why", sa.Text(), nullable=False),
        sa.Column("asked_by", ID, nullable=False),
        sa.Column("asked_at", UTC, nullable=False),
        sa.Column("granted", sa.Boolean(), nullable=True),
        sa.Column("decided_by", ID, nullable=True),
        sa.Column("decided_at", UTC, nullable=True),
        sa.Column("note", sa.Text(), nullable=False),
        sa.CheckConstraint("(granted IS NULL) = (decided_by IS NULL)", name="ck_archive_change_decided"),
        sa.CheckConstraint("decided_by IS NULL OR decided_by <> asked_by", name="ck_archive_change_second_person"),
        sa.ForeignKeyConstraint(["asked_by"], ["staff.id"], name="fk_archive_change_asked_by"),
        sa.ForeignKeyConstraint(["decided_by"], ["staff.id"], name="fk_archive_change_decided_by"),
        sa.ForeignKeyConstraint(["file_id"], ["archive_file.id"], name="fk_archive_change_file_id"),
        sa.PrimaryKeyConstraint("id", name="pk_archive_change"),
    )
    op.create_index("ix_archive_change_file_id", "archive_change", ["file_id", "id"])
    op.create_table(
        "disposal_approval",
        sa.Column("id", ID, nullable=False),
        sa.Column("disposal_id", ID, nullable=False),
        sa.Column("staff_id", ID, nullable=False),
        sa.Column("decides", sa.Boolean(), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("at", UTC, nullable=False),
        sa.ForeignKeyConstraint(["disposal_id"], ["disposal.id"], name="fk_disposal_approval_disposal_id"),
        sa.ForeignKeyConstraint(["staff_id"], ["staff.id"], name="fk_disposal_approval_staff_id"),
        sa.PrimaryKeyConstraint("id", name="pk_disposal_approval"),
        sa.UniqueConstraint("disposal_id", "staff_id", name="uq_disposal_approval_disposal_id_staff_id"),
    )
    op.create_table(
        "disposal_item",
        sa.Column("id", ID, nullable=False),
        sa.Column("disposal_id", ID, nullable=False),
        sa.Column("kind", WORD, nullable=False),
        sa.Column("record_id", ID, nullable=False),
        sa.Column("title", sa.String(80), nullable=False),
        sa.Column("cls", WORD, nullable=False),
        sa.Column("why", WORD, nullable=False),
        sa.Column("since", UTC, nullable=False),
        sa.Column("due", UTC, nullable=False),
        sa.Column("state", WORD, nullable=False),
        sa.Column("kept_why", sa.String(24), nullable=False),
        sa.Column("counts", JSON, nullable=False),
        sa.Column("done_at", UTC, nullable=True),
        sa.CheckConstraint("cls IN ('permanent', 'long', 'short')", name="ck_disposal_item_cls"),
        sa.CheckConstraint(f"kind IN ({KINDS})", name="ck_disposal_item_kind"),
        sa.CheckConstraint("state IN ('waiting', 'destroyed', 'kept')", name="ck_disposal_item_state"),
        sa.CheckConstraint(
            "why IN ('own', 'linked', 'held', 'goes_on', 'permanent', 'unset')", name="ck_disposal_item_why"
        ),
        sa.ForeignKeyConstraint(["disposal_id"], ["disposal.id"], name="fk_disposal_item_disposal_id"),
        sa.PrimaryKeyConstraint("id", name="pk_disposal_item"),
        sa.UniqueConstraint("disposal_id", "kind", "record_id", name="uq_disposal_item_disposal_id_kind_record_id"),
    )
    op.create_index("ix_disposal_item_record", "disposal_item", ["kind", "record_id"])
    op.create_index(
        "ix_disposal_item_waiting",
        "disposal_item",
        ["disposal_id", "id"],
        sqlite_where=sa.text("state = 'waiting'"),
        postgresql_where=sa.text("state = 'waiting'"),
    )
    op.create_table(
        "file_removal",
        sa.Column("id", ID, nullable=False),
        sa.Column("disposal_id", ID, nullable=True),
        sa.Column("file", sa.String(80), nullable=False),
        sa.Column("removed_at", UTC, nullable=True),
        sa.ForeignKeyConstraint(["disposal_id"], ["disposal.id"], name="fk_file_removal_disposal_id"),
        sa.PrimaryKeyConstraint("id", name="pk_file_removal"),
        sa.UniqueConstraint("file", name="uq_file_removal_file"),
    )
    op.create_index(
        "ix_file_removal_waiting",
        "file_removal",
        ["id"],
        sqlite_where=sa.text("removed_at IS NULL"),
        postgresql_where=sa.text("removed_at IS NULL"),
    )
    op.create_table(
        "loan",
        sa.Column("id", ID, nullable=False),
        sa.Column("file_id", ID, nullable=False),
        sa.Column("staff_id", ID, nullable=False),
        sa.Column("purpose", sa.Text(), nullable=False),
        sa.Column("asked_at", UTC, nullable=False),
        sa.Column("granted", sa.Boolean(), nullable=True),
        sa.Column("decided_by", ID, nullable=True),
        sa.Column("decided_at", UTC, nullable=True),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("registered_by", ID, nullable=True),
        sa.Column("registered_at", UTC, nullable=True),
        sa.Column("until", UTC, nullable=True),
        sa.Column("returned_at", UTC, nullable=True),
        sa.CheckConstraint("(granted IS NULL) = (decided_by IS NULL)", name="ck_loan_decided"),
        sa.CheckConstraint("decided_by IS NULL OR decided_by <> staff_id", name="ck_loan_second_person"),
        sa.CheckConstraint("registered_at IS NULL OR (granted AND until IS NOT NULL)", name="ck_loan_registered"),
        sa.ForeignKeyConstraint(["decided_by"], ["staff.id"], name="fk_loan_decided_by"),
        sa.ForeignKeyConstraint(["file_id"], ["archive_file.id"], name="fk_loan_file_id"),
        sa.ForeignKeyConstraint(["registered_by"], ["staff.id"], name="fk_loan_registered_by"),
        sa.ForeignKeyConstraint(["staff_id"], ["staff.id"], name="fk_loan_staff_id"),
        sa.PrimaryKeyConstraint("id", name="pk_loan"),
    )
    op.create_index("ix_loan_file_id", "loan", ["file_id", "id"])
    op.create_index("ix_loan_staff_id", "loan", ["staff_id", "id"])

    if op.get_bind().dialect.name == "postgresql":
        op.execute(guard_on_postgresql("disposal_approval"))
        return
    for statement in guards_on_sqlite("disposal_approval"):
        op.execute(statement)


def downgrade() -> None:
    for table in (
        "loan",
        "file_removal",
        "disposal_item",
        "disposal_approval",
        "archive_change",
        "void_mark",
        "disposal",
        "archive_file",
    ):
        op.drop_table(table)
    if op.get_bind().dialect.name == "postgresql":
        op.execute("DROP FUNCTION disposal_approval_append_only()")
