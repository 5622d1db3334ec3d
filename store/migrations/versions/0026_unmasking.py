"""Who had whose numbers shown, and why."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from store.base import UTCDateTime

revision = "0026"
down_revision = "0025"
branch_labels = None
depends_on = None

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "unmasking",
        sa.Column("id", ID, nullable=False),
        sa.Column("contact_id", ID, nullable=False),
        sa.Column("staff_id", ID, nullable=False),
        sa.Column("reason", sa.String(24), nullable=False),
        sa.Column("note", sa.String(200), nullable=False),
        sa.Column("at", UTCDateTime(), nullable=False),
        sa.Column("until", UTCDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_unmasking"),
        sa.ForeignKeyConstraint(["contact_id"], ["contact.id"], name="fk_unmasking_contact_id"),
        sa.ForeignKeyConstraint(["staff_id"], ["staff.id"], name="fk_unmasking_staff_id"),
    )
    op.create_index("ix_unmasking_contact_id", "unmasking", ["contact_id", "id"])
    op.create_index("ix_unmasking_staff_id", "unmasking", ["staff_id", "at"])


def downgrade() -> None:
    op.drop_table("unmasking")
