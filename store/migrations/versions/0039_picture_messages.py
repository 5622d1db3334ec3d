"""The file that came with a text on a sandbox phone."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from store.base import JsonOrNull

revision = "0039"
down_revision = "0038"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("sandbox_text", sa.Column("file", JsonOrNull, nullable=True))


def downgrade() -> None:
    op.drop_column("sandbox_text", "file")
