"""Exports by approval, people's requests about their own data, and whom erasure leaves as not to be contacted."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from store.base import UTCDateTime

revision = "0030"
down_revision = "0029"
branch_labels = None
depends_on = None

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
JSON = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")
UTC = UTCDateTime()
CHANNELS = "'webchat', 'rest', 'telegram', 'sms', 'voice', 'staff'"


def upgrade() -> None:
    op.add_column("contact", sa.Column("erased_at", UTC, nullable=True))
    _exports()
    _requests()
    op.create_table(
        "do_not_contact",
        sa.Column("id", ID, nullable=False),
        sa.Column("channel", sa.String(24), nullable=False),
        sa.Column("blind", sa.String(43), nullable=False),
        sa.Column("scopes", JSON, nullable=False),
        sa.Column("at", UTC, nullable=False),
        sa.CheckConstraint(f"channel IN ({CHANNELS})", name="ck_do_not_contact_channel"),
        sa.PrimaryKeyConstraint("id", name="pk_do_not_contact"),
        sa.UniqueConstraint("channel", "blind", name="uq_do_not_contact_channel_blind"),
    )


def _exports() -> None:
    op.create_table(
        "export",
        sa.Column("id", ID, nullable=False),
        sa.Column("number", sa.String(20), nullable=False),
        sa.Column("kind", sa.String(24), nullable=False),
        sa.Column("state", sa.String(24), nullable=False),
        sa.Column("scope", JSON, nullable=False),
        sa.Column("fields", JSON, nullable=False),
        sa.Column("language", sa.String(24), nullable=False),
        sa.Column("purpose", sa.Text(), nullable=False),
        sa.Column("recipient", sa.String(120), nullable=False),
        sa.Column("outside", sa.Boolean(), nullable=False),
        sa.Column("asked_by", ID, nullable=False),
        sa.Column("asked_at", UTC, nullable=False),
        sa.Column("decided_by", ID, nullable=True),
        sa.Column("decided_at", UTC, nullable=True),
        sa.Column("decision", sa.Text(), nullable=False),
        sa.Column("rows", sa.Integer(), nullable=False),
        sa.Column("size", sa.Integer(), nullable=False),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("file", sa.String(80), nullable=True),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("due_at", UTC, nullable=True),
        sa.Column("made_at", UTC, nullable=True),
        sa.Column("expires_at", UTC, nullable=True),
        sa.Column("downloads", sa.Integer(), nullable=False),
        sa.CheckConstraint("kind IN ('contacts', 'cases', 'follow_ups', 'person')", name="ck_export_kind"),
        sa.CheckConstraint(
            "state IN ('asked', 'approved', 'ready', 'refused', 'failed', 'expired')", name="ck_export_state"
        ),
        sa.CheckConstraint("language IN ('zh', 'en')", name="ck_export_language"),
        sa.CheckConstraint("decided_by IS NULL OR decided_by <> asked_by", name="ck_export_second_person"),
        sa.CheckConstraint("(state = 'ready') = (file IS NOT NULL)", name="ck_export_ready_has_file"),
        sa.ForeignKeyConstraint(["asked_by"], ["staff.id"], name="fk_export_asked_by"),
        sa.ForeignKeyConstraint(["decided_by"], ["staff.id"], name="fk_export_decided_by"),
        sa.PrimaryKeyConstraint("id", name="pk_export"),
        sa.UniqueConstraint("number", name="uq_export_number"),
        sa.UniqueConstraint("file", name="uq_export_file"),
    )
    for column, state in (("due_at", "approved"), ("expires_at", "ready")):
        where = sa.text(f"state = '{state}'")
        op.create_index(f"ix_export_{column}", "export", [column], sqlite_where=where, postgresql_where=where)


def _requests() -> None:
    staff = ("opened_by", "checked_by", "first_by", "second_by", "refused_by")
    op.create_table(
        "privacy_request",
        sa.Column("id", ID, nullable=False),
        sa.Column("number", sa.String(20), nullable=False),
        sa.Column("kind", sa.String(24), nullable=False),
        sa.Column("state", sa.String(24), nullable=False),
        sa.Column("case_id", ID, nullable=False),
        sa.Column("contact_id", ID, nullable=False),
        sa.Column("due_on", sa.Date(), nullable=False),
        sa.Column("opened_by", ID, nullable=False),
        sa.Column("opened_at", UTC, nullable=False),
        sa.Column("identity", sa.String(24), nullable=False),
        sa.Column("checked_by", ID, nullable=True),
        sa.Column("checked_at", UTC, nullable=True),
        sa.Column("first_by", ID, nullable=True),
        sa.Column("first_at", UTC, nullable=True),
        sa.Column("second_by", ID, nullable=True),
        sa.Column("second_at", UTC, nullable=True),
        sa.Column("refused_by", ID, nullable=True),
        sa.Column("refused_why", sa.Text(), nullable=False),
        sa.Column("export_id", ID, nullable=True),
        sa.Column("token_hash", sa.String(64), nullable=True),
        sa.Column("step", sa.Integer(), nullable=False),
        sa.Column("done", JSON, nullable=False),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("done_at", UTC, nullable=True),
        sa.CheckConstraint("kind IN ('access', 'erasure')", name="ck_privacy_request_kind"),
        sa.CheckConstraint(
            "state IN ('open', 'checked', 'running', 'done', 'refused')", name="ck_privacy_request_state"
        ),
        sa.CheckConstraint("second_by IS NULL OR second_by <> first_by", name="ck_privacy_request_two_people"),
        sa.CheckConstraint(
            "opened_by NOT IN (COALESCE(first_by, 0), COALESCE(second_by, 0))",
            name="ck_privacy_request_not_who_took_it",
        ),
        sa.CheckConstraint(
            "state NOT IN ('running', 'done') OR first_by IS NOT NULL", name="ck_privacy_request_approved"
        ),
        sa.CheckConstraint(
            "kind <> 'erasure' OR state NOT IN ('running', 'done') OR second_by IS NOT NULL",
            name="ck_privacy_request_approved_twice",
        ),
        sa.CheckConstraint(
            "state NOT IN ('running', 'done') OR checked_at IS NOT NULL", name="ck_privacy_request_identity_checked"
        ),
        sa.ForeignKeyConstraint(["case_id"], ["case_file.id"], name="fk_privacy_request_case_id"),
        sa.ForeignKeyConstraint(["contact_id"], ["contact.id"], name="fk_privacy_request_contact_id"),
        sa.ForeignKeyConstraint(["export_id"], ["export.id"], name="fk_privacy_request_export_id"),
        *(sa.ForeignKeyConstraint([each], ["staff.id"], name=f"fk_privacy_request_{each}") for each in staff),
        sa.PrimaryKeyConstraint("id", name="pk_privacy_request"),
        sa.UniqueConstraint("number", name="uq_privacy_request_number"),
        sa.UniqueConstraint("token_hash", name="uq_privacy_request_token_hash"),
    )
    op.create_index("ix_privacy_request_contact_id", "privacy_request", ["contact_id"])
    op.create_index("ix_privacy_request_state", "privacy_request", ["state", "id"])


def downgrade() -> None:
    for table in ("privacy_request", "export", "do_not_contact"):
        op.drop_table(table)
    op.drop_column("contact", "erased_at")
