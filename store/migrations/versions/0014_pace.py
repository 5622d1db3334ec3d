"""Indexes for a broadcast's pace: a channel's queue in its order, and who became whom."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

QUEUED = sa.text("state = 'queued'")
MERGED = sa.text("merged_into_id IS NOT NULL")


def _queue(columns: list[str]) -> None:
    op.create_index("ix_delivery_queued", "delivery", columns, sqlite_where=QUEUED, postgresql_where=QUEUED)


def upgrade() -> None:
    op.drop_index("ix_delivery_queued", table_name="delivery")
    _queue(["channel", "priority", "not_before", "id"])
    op.create_index(
        "ix_contact_merged_into_id", "contact", ["merged_into_id"], sqlite_where=MERGED, postgresql_where=MERGED
    )


def downgrade() -> None:
    op.drop_index("ix_contact_merged_into_id", table_name="contact")
    op.drop_index("ix_delivery_queued", table_name="delivery")
    _queue(["priority", "not_before", "id"])
