"""Where a callback comes from, why it waits, whose diary it is in; paused plans and days without calls."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from store.base import UTCDateTime

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
UTC = UTCDateTime()
SOURCES = "'customer', 'queue', 'plan', 'complaint', 'recovery', 'diary', 'api'"
RUNNING = sa.text("state IN ('scheduled', 'dialling')")
CALLS_UP = sa.text("channel = 'voice' AND state IN ('sending', 'accepted', 'delivered')")
DIARY = sa.text("staff_id IS NOT NULL")


def upgrade() -> None:
    kind = "BIGINT" if op.get_bind().dialect.name == "postgresql" else "INTEGER"
    for column in (  # written out: on SQLite Alembic would make the table anew and lose its CHECK constraints
        f"source VARCHAR(24) DEFAULT 'plan' NOT NULL CONSTRAINT ck_callback_source CHECK (source IN ({SOURCES}))",
        "waits VARCHAR(24)",
        f"staff_id {kind} CONSTRAINT fk_callback_staff_id REFERENCES staff (id)",
        f"booked_by {kind} CONSTRAINT fk_callback_booked_by REFERENCES staff (id)",
    ):
        op.execute(f"ALTER TABLE callback ADD COLUMN {column}")
    op.execute(
        "UPDATE callback SET source = CASE WHEN dedupe_key LIKE 'waited:%' THEN 'queue' "
        "WHEN follow_up_group = 'after_complaint' THEN 'complaint' WHEN event_id IS NOT NULL THEN 'plan' "
        "ELSE 'customer' END"
    )
    for name, columns, where in (
        ("ix_callback_order", ["priority", "due_at", "id"], RUNNING),
        ("ix_callback_staff_id", ["staff_id", "due_at"], DIARY),
    ):
        op.create_index(name, "callback", columns, unique=False, sqlite_where=where, postgresql_where=where)
    op.create_index(
        "ix_delivery_calls_up", "delivery", ["changed_at"], sqlite_where=CALLS_UP, postgresql_where=CALLS_UP
    )
    op.create_table(
        "paused_plan",
        sa.Column("plan", sa.String(60), nullable=False),
        sa.Column("why", sa.Text(), nullable=False),
        sa.Column("staff_id", ID, nullable=False),
        sa.Column("at", UTC, nullable=False),
        sa.ForeignKeyConstraint(["staff_id"], ["staff.id"], name="fk_paused_plan_staff_id"),
        sa.PrimaryKeyConstraint("plan", name="pk_paused_plan"),
    )
    op.create_table(
        "blocked_day",
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("why", sa.Text(), nullable=False),
        sa.Column("staff_id", ID, nullable=False),
        sa.Column("at", UTC, nullable=False),
        sa.ForeignKeyConstraint(["staff_id"], ["staff.id"], name="fk_blocked_day_staff_id"),
        sa.PrimaryKeyConstraint("day", name="pk_blocked_day"),
    )


def downgrade() -> None:
    op.drop_table("blocked_day")
    op.drop_table("paused_plan")
    op.drop_index("ix_delivery_calls_up", table_name="delivery")
    op.drop_index("ix_callback_staff_id", table_name="callback")
    op.drop_index("ix_callback_order", table_name="callback")
    for column in ("booked_by", "staff_id", "waits", "source"):
        with op.batch_alter_table("callback") as table:
            table.drop_column(column)
