"""Whom a follow-up plan is assigned to; how a plan's messages stood today."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from store.base import UTCDateTime

revision = "0031"
down_revision = "0030"
branch_labels = None
depends_on = None

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "plan_owner",
        sa.Column("plan", sa.String(60), nullable=False),
        sa.Column("staff_id", ID, nullable=False),
        sa.Column("assigned_by", ID, nullable=False),
        sa.Column("at", UTCDateTime(), nullable=False),
        sa.ForeignKeyConstraint(["staff_id"], ["staff.id"], name="fk_plan_owner_staff_id"),
        sa.ForeignKeyConstraint(["assigned_by"], ["staff.id"], name="fk_plan_owner_assigned_by"),
        sa.PrimaryKeyConstraint("plan", name="pk_plan_owner"),
    )
    op.create_index("ix_planned_message_closed_at", "planned_message", ["closed_at"])


def downgrade() -> None:
    op.drop_index("ix_planned_message_closed_at", "planned_message")
    op.drop_table("plan_owner")
