"""Messages of follow-up plans; a contact's birthday, day and month."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from store.base import UTCDateTime

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
UTC = UTCDateTime()
WAITING = sa.text("state = 'scheduled'")
PURPOSES = "'reply', 'requested_callback', 'service_notice', 'follow_up', 'marketing', 'emergency', 'staff_alert'"
CHANNELS = "'webchat', 'rest', 'telegram', 'sms', 'voice', 'staff'"


def upgrade() -> None:
    op.add_column("contact", sa.Column("birthday", sa.String(5), nullable=True))
    op.create_index("ix_contact_birthday", "contact", ["birthday"])
    op.create_table(
        "planned_message",
        sa.Column("id", ID, nullable=False),
        sa.Column("dedupe_key", sa.String(120), nullable=False),
        sa.Column("contact_id", ID, nullable=False),
        sa.Column("event_id", ID, nullable=False),
        sa.Column("plan", sa.String(40), nullable=False),
        sa.Column("step", sa.Integer(), nullable=False),
        sa.Column("purpose", sa.String(24), nullable=False),
        sa.Column("policies", sa.String(64), nullable=False),
        sa.Column("state", sa.String(24), nullable=False),
        sa.Column("why", sa.String(40), nullable=True),
        sa.Column("due_at", UTC, nullable=False),
        sa.Column("not_after", UTC, nullable=False),
        sa.Column("channel", sa.String(24), nullable=True),
        sa.Column("conversation_id", ID, nullable=True),
        sa.Column("created_at", UTC, nullable=False),
        sa.Column("closed_at", UTC, nullable=True),
        sa.CheckConstraint("state IN ('scheduled', 'said', 'called', 'cancelled')", name="ck_planned_message_state"),
        sa.CheckConstraint(f"purpose IN ({PURPOSES})", name="ck_planned_message_purpose"),
        sa.CheckConstraint(f"channel IN ({CHANNELS})", name="ck_planned_message_channel"),
        sa.ForeignKeyConstraint(["contact_id"], ["contact.id"], name="fk_planned_message_contact_id"),
        sa.ForeignKeyConstraint(["event_id"], ["event.id"], name="fk_planned_message_event_id"),
        sa.ForeignKeyConstraint(["conversation_id"], ["conversation.id"], name="fk_planned_message_conversation_id"),
        sa.PrimaryKeyConstraint("id", name="pk_planned_message"),
        sa.UniqueConstraint("dedupe_key", name="uq_planned_message_dedupe_key"),
    )
    for name, columns, where in (
        ("ix_planned_message_due_at", ["due_at"], WAITING),
        ("ix_planned_message_plan", ["plan", "due_at"], None),
        ("ix_planned_message_contact_id", ["contact_id", "id"], None),
    ):
        op.create_index(name, "planned_message", columns, sqlite_where=where, postgresql_where=where)


def downgrade() -> None:
    op.drop_table("planned_message")
    op.drop_index("ix_contact_birthday", "contact")
    op.drop_column("contact", "birthday")
