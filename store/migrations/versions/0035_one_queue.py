"""The queue by its time alone, which claims were led astray by: it was read whole for each of them."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0035"
down_revision = "0034"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.drop_index("ix_delivery_not_before", "delivery")


def downgrade() -> None:
    queued = sa.text("state = 'queued'")
    op.create_index("ix_delivery_not_before", "delivery", ["not_before"], sqlite_where=queued, postgresql_where=queued)
