"""Contacts who may be one person, and what was decided about them."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from store.base import UTCDateTime

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
JSON = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")
UTC = UTCDateTime()


def upgrade() -> None:
    op.create_table(
        "merge",
        sa.Column("id", ID, nullable=False),
        sa.Column("kept_id", ID, nullable=False),
        sa.Column("other_id", ID, nullable=False),
        sa.Column("why", sa.String(24), nullable=False),
        sa.Column("hint", sa.String(16), nullable=False),
        sa.Column("conversation_id", ID, nullable=True),
        sa.Column("state", sa.String(24), nullable=False),
        sa.Column("moved", JSON, nullable=False),
        sa.Column("at", UTC, nullable=False),
        sa.Column("staff_id", ID, nullable=True),
        sa.Column("decided_at", UTC, nullable=True),
        sa.CheckConstraint("state IN ('open', 'merged', 'declined')", name="ck_merge_state"),
        sa.CheckConstraint("kept_id < other_id", name="ck_merge_earlier_kept"),
        sa.ForeignKeyConstraint(["kept_id"], ["contact.id"], name="fk_merge_kept_id"),
        sa.ForeignKeyConstraint(["other_id"], ["contact.id"], name="fk_merge_other_id"),
        sa.ForeignKeyConstraint(["conversation_id"], ["conversation.id"], name="fk_merge_conversation_id"),
        sa.ForeignKeyConstraint(["staff_id"], ["staff.id"], name="fk_merge_staff_id"),
        sa.PrimaryKeyConstraint("id", name="pk_merge"),
        sa.UniqueConstraint("kept_id", "other_id", name="uq_merge_kept_id_other_id"),
    )
    op.create_index("ix_merge_other_id", "merge", ["other_id"], unique=False)
    op.create_index("ix_merge_state", "merge", ["state", "id"], unique=False)


def downgrade() -> None:
    op.drop_index("ix_merge_state", table_name="merge")
    op.drop_index("ix_merge_other_id", table_name="merge")
    op.drop_table("merge")
