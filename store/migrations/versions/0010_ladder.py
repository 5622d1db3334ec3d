"""Escalations handed on, alerts that know theirs, and the telephones of the staff."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from store.base import UTCDateTime

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
JSON = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")
UTC = UTCDateTime()


def upgrade() -> None:
    op.add_column("escalation", sa.Column("declined", JSON, nullable=False, server_default="[]"))
    op.add_column("delivery", sa.Column("escalation_id", ID, nullable=True))
    op.create_index(
        "ix_delivery_escalation_id",
        "delivery",
        ["escalation_id"],
        unique=False,
        sqlite_where=sa.text("escalation_id IS NOT NULL"),
        postgresql_where=sa.text("escalation_id IS NOT NULL"),
    )
    op.create_table(
        "staff_number",
        sa.Column("id", ID, nullable=False),
        sa.Column("staff_id", ID, nullable=False),
        sa.Column("kind", sa.String(24), nullable=False),
        sa.Column("voice_id", ID, nullable=False),
        sa.Column("sms_id", ID, nullable=True),
        sa.Column("all_hours", sa.Boolean(), nullable=False),
        sa.Column("verified_at", UTC, nullable=True),
        sa.CheckConstraint("kind IN ('mobile', 'office')", name="ck_staff_number_kind"),
        sa.ForeignKeyConstraint(["staff_id"], ["staff.id"], name="fk_staff_number_staff_id"),
        sa.ForeignKeyConstraint(["voice_id"], ["address.id"], name="fk_staff_number_voice_id"),
        sa.ForeignKeyConstraint(["sms_id"], ["address.id"], name="fk_staff_number_sms_id"),
        sa.PrimaryKeyConstraint("id", name="pk_staff_number"),
        sa.UniqueConstraint("staff_id", "kind", name="uq_staff_number_staff_id_kind"),
    )


def downgrade() -> None:
    op.drop_table("staff_number")
    op.drop_index("ix_delivery_escalation_id", table_name="delivery")
    op.drop_column("delivery", "escalation_id")
    op.drop_column("escalation", "declined")
