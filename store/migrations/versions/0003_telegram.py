"""Telegram: files that come with messages, staff's own chats, and who asks the provider for updates."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from store.base import UTCDateTime

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
JSON = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")
UTC = UTCDateTime()
CHANNELS = "channel IN ('webchat', 'rest', 'telegram', 'sms', 'voice', 'staff')"


def upgrade() -> None:
    op.add_column("message", sa.Column("details", JSON, nullable=True))
    kind = "BIGINT" if op.get_bind().dialect.name == "postgresql" else "INTEGER"
    op.execute(  # written out: on SQLite Alembic would make the table anew and lose its CHECK constraints
        f"ALTER TABLE staff ADD COLUMN telegram_id {kind} CONSTRAINT fk_staff_telegram_id REFERENCES address (id)"
    )
    op.create_index("uq_staff_telegram_id", "staff", ["telegram_id"], unique=True)
    op.create_table(
        "attachment",
        sa.Column("id", ID, nullable=False),
        sa.Column("message_id", ID, nullable=False),
        sa.Column("channel", sa.String(24), nullable=False),
        sa.Column("kind", sa.String(24), nullable=False),
        sa.Column("state", sa.String(24), nullable=False),
        sa.Column("name", sa.String(length=120), nullable=False),
        sa.Column("mime", sa.String(length=120), nullable=False),
        sa.Column("size", sa.Integer(), nullable=True),
        sa.Column("source", sa.String(length=250), nullable=False),
        sa.Column("file", sa.String(length=80), nullable=True),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("due_at", UTC, nullable=False),
        sa.CheckConstraint(CHANNELS, name="ck_attachment_channel"),
        sa.CheckConstraint("kind IN ('photo', 'voice', 'audio', 'video', 'document')", name="ck_attachment_kind"),
        sa.CheckConstraint("state IN ('waiting', 'kept', 'refused', 'failed')", name="ck_attachment_state"),
        sa.CheckConstraint("(state = 'kept') = (file IS NOT NULL)", name="ck_attachment_kept_has_file"),
        sa.ForeignKeyConstraint(["message_id"], ["message.id"], name="fk_attachment_message_id"),
        sa.PrimaryKeyConstraint("id", name="pk_attachment"),
        sa.UniqueConstraint("file", name="uq_attachment_file"),
    )
    op.create_index("ix_attachment_message_id", "attachment", ["message_id"], unique=False)
    op.create_index(
        "ix_attachment_due_at",
        "attachment",
        ["due_at"],
        unique=False,
        sqlite_where=sa.text("state = 'waiting'"),
        postgresql_where=sa.text("state = 'waiting'"),
    )
    op.create_table(
        "chat_link",
        sa.Column("token_hash", sa.String(length=64), nullable=False),
        sa.Column("staff_id", ID, nullable=False),
        sa.Column("expires_at", UTC, nullable=False),
        sa.ForeignKeyConstraint(["staff_id"], ["staff.id"], name="fk_chat_link_staff_id"),
        sa.PrimaryKeyConstraint("token_hash", name="pk_chat_link"),
    )
    op.create_table(
        "poll",
        sa.Column("channel", sa.String(24), nullable=False),
        sa.Column("worker", sa.String(length=60), nullable=False),
        sa.Column("until", UTC, nullable=False),
        sa.Column("since", UTC, nullable=False),
        sa.Column("heard_at", UTC, nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("error_at", UTC, nullable=True),
        sa.Column("url", sa.Text(), nullable=True),
        sa.CheckConstraint(CHANNELS, name="ck_poll_channel"),
        sa.PrimaryKeyConstraint("channel", name="pk_poll"),
    )
