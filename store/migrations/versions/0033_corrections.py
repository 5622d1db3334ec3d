"""Corrections that are proposed, and who made or refused them."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from store.base import UTCDateTime

revision = "0033"
down_revision = "0032"
branch_labels = None
depends_on = None

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "correction",
        sa.Column("id", ID, nullable=False),
        sa.Column("subject", sa.String(40), nullable=False),
        sa.Column("subject_id", ID, nullable=False),
        sa.Column("field", sa.String(60), nullable=False),
        sa.Column("old", sa.LargeBinary(), nullable=False),
        sa.Column("new", sa.LargeBinary(), nullable=False),
        sa.Column("why", sa.Text(), nullable=False),
        sa.Column("state", sa.String(24), nullable=False),
        sa.Column("proposed_by", ID, nullable=False),
        sa.Column("proposed_at", UTCDateTime(), nullable=False),
        sa.Column("decided_by", ID, nullable=True),
        sa.Column("decided_at", UTCDateTime(), nullable=True),
        sa.CheckConstraint("state IN ('proposed', 'made', 'refused')", name="ck_correction_state"),
        sa.CheckConstraint("state = 'proposed' OR decided_by IS NOT NULL", name="ck_correction_decided"),
        sa.ForeignKeyConstraint(["proposed_by"], ["staff.id"], name="fk_correction_proposed_by"),
        sa.ForeignKeyConstraint(["decided_by"], ["staff.id"], name="fk_correction_decided_by"),
        sa.PrimaryKeyConstraint("id", name="pk_correction"),
    )
    op.create_index("ix_correction_state", "correction", ["state", "id"])
    op.create_index("ix_correction_subject", "correction", ["subject", "subject_id"])


def downgrade() -> None:
    op.drop_table("correction")
