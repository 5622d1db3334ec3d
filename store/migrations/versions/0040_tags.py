"""Customers carry tags: free labels that staff put on them."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from store.base import Json

revision = "0040"
down_revision = "0039"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("contact", sa.Column("tags", Json, nullable=False, server_default="[]"))


def downgrade() -> None:
    op.drop_column("contact", "tags")
