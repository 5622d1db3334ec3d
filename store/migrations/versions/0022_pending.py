"""Since when a case waits for its customer; the clocks of cases that are open already begin to be looked at."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from store.base import UTCDateTime

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("case_file", sa.Column("pending_since", UTCDateTime(), nullable=True))
    op.execute("UPDATE case_file SET look_at = opened_at WHERE state IN ('open', 'assigned', 'pending')")
    op.execute("UPDATE case_file SET resolved_at = feedback_at WHERE feedback_at IS NOT NULL")


def downgrade() -> None:
    op.drop_column("case_file", "pending_since")
