"""Indexes along which due callbacks are claimed: those moved forward or back are few, and stand apart."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None

RUNNING = sa.text("state IN ('scheduled', 'dialling')")
MOVED = sa.text("state IN ('scheduled', 'dialling') AND priority <> 0")


def upgrade() -> None:
    op.drop_index("ix_callback_order", table_name="callback")
    op.drop_index("ix_callback_due_at", table_name="callback")
    _make("ix_callback_due_at", ["due_at", "id"], RUNNING)
    _make("ix_callback_moved", ["priority", "due_at", "id"], MOVED)


def downgrade() -> None:
    op.drop_index("ix_callback_moved", table_name="callback")
    op.drop_index("ix_callback_due_at", table_name="callback")
    _make("ix_callback_due_at", ["due_at"], RUNNING)
    _make("ix_callback_order", ["priority", "due_at", "id"], RUNNING)


def _make(name: str, columns: list[str], where: sa.TextClause) -> None:
    op.create_index(name, "callback", columns, unique=False, sqlite_where=where, postgresql_where=where)
