"""When somebody was last reminded of a next step, and who finished it when."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from store.base import UTCDateTime

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("next_step", sa.Column("reminded_on", sa.Date(), nullable=True))
    op.add_column("next_step", sa.Column("done_at", UTCDateTime(), nullable=True))
    kind = "BIGINT" if op.get_bind().dialect.name == "postgresql" else "INTEGER"
    op.execute(  # written out: on SQLite Alembic would make the table anew and lose its CHECK constraints
        f"ALTER TABLE next_step ADD COLUMN done_by {kind} CONSTRAINT fk_next_step_done_by REFERENCES staff (id)"
    )
    op.create_index("ix_next_step_due_on", "next_step", ["state", "due_on"], unique=False)
    op.create_index("ix_next_step_owner_id", "next_step", ["owner_id", "state"], unique=False)


def downgrade() -> None:
    op.drop_index("ix_next_step_owner_id", table_name="next_step")
    op.drop_index("ix_next_step_due_on", table_name="next_step")
    for name in ("done_by", "done_at", "reminded_on"):
        op.drop_column("next_step", name)
